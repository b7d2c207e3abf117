package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/bench/replay"
)

// visits is an hour of a shop as Segment calls: one cart that is left, one that
// is bought, one look around, and a line that is no event.
func visits() string {
	var out strings.Builder
	line := func(minute int, who, event, properties string) {
		fmt.Fprintf(&out, `{"type":"track","event":%q,"anonymousId":%q,"timestamp":"2026-03-02T10:%02d:00Z","context":{"channel":"web"},"properties":%s}`+"\n",
			event, who, minute, properties)
	}
	line(1, "left", "Product Added", `{"product_id":"p1","price":10}`)
	line(2, "bought", "Product Added", `{"product_id":"p2","price":20}`)
	line(3, "looked", "Product Viewed", `{"product_id":"p1"}`)
	line(5, "bought", "Order Completed", `{"order_id":"o1","total":20,"currency":"UAH","products":[{"product_id":"p2"}]}`)
	out.WriteString("not an event\n")
	line(59, "late", "Product Viewed", `{"product_id":"p1"}`)
	return out.String()
}

func replayJSON(t *testing.T, args ...string) replay.Summary {
	t.Helper()
	got := rapport(t, append([]string{"replay", "--json", "--partitions", "4"}, args...)...)
	if got.code != exitDone {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	var s replay.Summary
	if err := json.Unmarshal([]byte(got.stdout), &s); err != nil {
		t.Fatalf("%v: %s", err, got.stdout)
	}
	return s
}

var recommendations = regexp.MustCompile(`(?m)"recommendations":.*$`)

func TestReplayTwiceGivesTheSameMessages(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "visits.jsonl", visits())
	var texts []string
	for _, out := range []string{"a.jsonl", "b.jsonl"} {
		s := replayJSON(t, "visits.jsonl", "--format", "segment", "--messages", out)
		if s.Events != 5 || s.Profiles != 4 || s.Carts != 2 || s.Messages["abandoned_cart"] != 1 || s.Messages["viewed_item"] != 1 {
			t.Errorf("summary: %+v", s)
		}
		if s.DeadLetters["malformed"] != 1 {
			t.Errorf("dead letters: %v", s.DeadLetters)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, recommendations.ReplaceAllString(string(data), ""))
	}
	if texts[0] != texts[1] || strings.Count(texts[0], "\n") != 2 {
		t.Errorf("messages:\n%s\n%s", texts[0], texts[1])
	}
	if !strings.Contains(texts[0], `"at":"2026-03-02T10:31:00Z"`) {
		t.Errorf("no message at 10:31:\n%s", texts[0])
	}
}

func TestReplaySummaryForPeople(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "visits.jsonl", visits())
	got := rapport(t, "replay", "visits.jsonl", "--format", "segment", "--partitions", "2", "--data", "log")
	for _, want := range []string{"profiles", "abandoned_cart: ", "dead letters, malformed: 1", "events/s"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s%s", want, got.stdout, got.stderr)
		}
	}
	got = rapport(t, "replay", "visits.jsonl", "--format", "segment", "--partitions", "2", "--data", "log")
	if got.code != exitUsage || !strings.Contains(got.stderr, "is not empty") {
		t.Errorf("a log with something in it: %+v", got)
	}
}

func TestReplayBounds(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "visits.jsonl", visits())
	s := replayJSON(t, "visits.jsonl", "--format", "segment", "--from", "2026-03-02T10:02:00Z", "--to", "2026-03-02T10:05:00Z")
	if s.Events != 2 || s.Outside != 3 {
		t.Errorf("%+v", s)
	}
}

func TestReplayRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "visits.jsonl", visits())
	write(t, filepath.Join("bad", "rules.yaml"), "trigers: {}\n")
	for _, c := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"replay", exitUsage, "accepts 1 arg"},
		{"replay visits.jsonl", exitUsage, "--format: must be one of ga360, online-retail"},
		{"replay missing.jsonl --format segment", exitFailed, "missing.jsonl"},
		{"replay visits.jsonl --format segment --from yesterday", exitUsage, "--from: must be a date"},
		{"replay visits.jsonl --format segment --from 2026-01-02 --to 2026-01-01", exitUsage, "--to: must be later"},
		{"replay visits.jsonl --format segment --partitions 0", exitUsage, "--partitions: partitions: must be 1 to 1024"},
		{"replay visits.jsonl --format segment --rules bad", exitUsage, "rules.yaml:1:1"},
		{"replay visits.jsonl --format ga360", exitFailed, "no row of"},
	} {
		got := rapport(t, strings.Fields(c.args)...)
		if got.code != c.code || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("rapport %s: exit %d, stderr %q", c.args, got.code, got.stderr)
		}
	}
}
