package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/bench/backtest"
)

func backtestJSON(t *testing.T, args ...string) backtest.Report {
	t.Helper()
	got := rapport(t, append([]string{"backtest", "--json"}, args...)...)
	if got.code != exitDone {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	var r backtest.Report
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
		t.Fatalf("%v: %s", err, got.stdout)
	}
	return r
}

// equalTotals compares a backtest with a replay of the same events.
func equalTotals(t *testing.T, args ...string) {
	t.Helper()
	s := replayJSON(t, args...)
	r := backtestJSON(t, append([]string{"--rules", "rules", "--partitions", "4", "--data"}, args...)...)
	if r.Events != s.Events || r.Profiles != s.Profiles || r.Read != s.Read || r.Outside != s.Outside || s.Events == 0 {
		t.Errorf("%d events of %d customers, the replay has %d of %d", r.Events, r.Profiles, s.Events, s.Profiles)
	}
	for _, side := range []backtest.Side{r.New, r.InForce} {
		for _, diff := range []string{
			cmp.Diff(s.TriggerRuns, side.Runs), cmp.Diff(s.Messages, side.Messages), cmp.Diff(s.Skipped, side.Skipped), cmp.Diff(s.DeadLetters, r.DeadLetters),
		} {
			if diff != "" {
				t.Errorf("%s: a replay counts otherwise: %s", side.Rules, diff)
			}
		}
		if len(side.Messages) == 0 {
			t.Errorf("%s: no messages", side.Rules)
		}
	}
}

func TestBacktestCountsAsReplay(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "visits.jsonl", visits())
	if err := os.Mkdir("rules", 0o750); err != nil {
		t.Fatal(err)
	}
	equalTotals(t, "visits.jsonl", "--format", "segment")
}

func TestBacktestOfAMonthCountsAsReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("replays 480,000 events twice")
	}
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	data, err := filepath.Abs(filepath.Join(dir, "ga360-events.csv.zst"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(data); err != nil {
		t.Skip("the ga360 data set is not there")
	}
	t.Setenv("RAPPORT_DATA", "")
	t.Chdir(t.TempDir())
	if err := os.Mkdir("rules", 0o750); err != nil {
		t.Fatal(err)
	}
	equalTotals(t, data, "--format", "ga360", "--currency", "USD", "--from", "2016-09-01", "--to", "2016-10-01")
}

func TestBacktestCommand(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "visits.jsonl", visits())
	if err := os.Mkdir("new", 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, "new/a.yaml", "triggers: {hello: {start: {event: Product Viewed}, steps: [{send: {template: t, channels: [webhook]}}]}}\n")
	got := rapport(t, "backtest", "--rules", "new", "--data", "visits.jsonl", "--html", "report.html")
	for _, want := range []string{"hello: runs", "new: new\nin force: those built in\n", "only in force: 2", "dead letters, malformed: 1", "anonymous:late"} {
		if got.code != exitDone || !strings.Contains(got.stdout, want) {
			t.Errorf("exit %d %s: %q is not in\n%s", got.code, got.stderr, want, got.stdout)
		}
	}
	if page, err := os.ReadFile("report.html"); err != nil || !strings.Contains(string(page), "Messages a day") {
		t.Errorf("%v: %d bytes", err, len(page))
	}
	if r := backtestJSON(t, "--rules", "new", "--against", "new", "--data", "visits.jsonl"); r.Difference.OnlyNew != 0 || r.InForce.Rules != "new" {
		t.Errorf("%+v", r.Difference)
	}
	write(t, "new/b.yaml", "triggers: {hello: {start: {}}}\n")
	for _, c := range []struct {
		args, stderr string
		code         int
	}{
		{"--data visits.jsonl", "--rules is needed", exitUsage},
		{"--rules .", "no server has written one there", exitFailed},
		{"--rules new --data visits.jsonl", "new/b.yaml:1:", exitUsage},
		{"--rules none --data visits.jsonl", "cannot read rules", exitFailed},
		{"--rules none --data visits.jsonl --from today", "--from: must be", exitUsage},
		{"--rules . --data none", "none", exitFailed},
		{"--rules . --data visits.jsonl --format cobol", "--format: must be one of", exitUsage},
		{"--rules . --data visits.jsonl --format ga360", "is an event of format ga360", exitFailed},
	} {
		got := rapport(t, append([]string{"backtest"}, strings.Fields(c.args)...)...)
		if got.code != c.code || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("%s: exit %d, %q", c.args, got.code, got.stderr)
		}
	}
}

// A log that a replay has written is backtested as the file that it came from.
func TestBacktestOfTheLogCountsAsTheFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "visits.jsonl", visits())
	write(t, "new/a.yaml", "triggers: {hello: {start: {event: Product Viewed}, steps: [{send: {template: t, channels: [webhook]}}]}}\n")
	replayJSON(t, "visits.jsonl", "--format", "segment", "--data", "kept")
	file := backtestJSON(t, "--rules", "new", "--data", "visits.jsonl")
	log := backtestJSON(t, "--rules", "new", "--data", "kept", "--partitions", "4")
	if file.Events != log.Events || file.Profiles != log.Profiles || log.Events == 0 {
		t.Errorf("%d events of %d customers, the file has %d of %d", log.Events, log.Profiles, file.Events, file.Profiles)
	}
	for _, diff := range []string{
		cmp.Diff(file.New.Messages, log.New.Messages), cmp.Diff(file.New.Skipped, log.New.Skipped), cmp.Diff(file.InForce.Messages, log.InForce.Messages),
		cmp.Diff(file.InForce.Skipped, log.InForce.Skipped), cmp.Diff(file.Difference, log.Difference),
	} {
		if diff != "" {
			t.Errorf("the file counts otherwise: %s", diff)
		}
	}
	late := backtestJSON(t, "--rules", "new", "--data", "kept", "--partitions", "4", "--from", "2038-01-01")
	if late.Outside != log.Read || late.Read != 0 {
		t.Errorf("%d events left out, %d read, of %d", late.Outside, late.Read, log.Read)
	}
}

// What happened on a server, and how its items changed, is backtested from its data
// directory once it has stopped.
func TestBacktestOfAServersLog(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "new/a.yaml", `triggers:
  cheaper:
    start: {item: price_drop, interest: cart, from: seen, collect: 1s}
    steps: [{send: {template: t, channels: [webhook]}}]
  cart:
    start: {event: Product Added, if: "item.price == 10.0 && catalog('old').price == 3.0"}
    steps: [{send: {template: t, channels: [webhook]}}]
`)
	url, stop := serving(t)
	eventually(t, url+"/readyz", func(status int, _ string) bool { return status == http.StatusOK })
	call := func(method, path, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v %s: %d", err, path, resp.StatusCode)
		}
	}
	call(http.MethodPut, "/v1/items", `[{"id":"old","price":3},{"id":"p1","price":10}]`)
	call(http.MethodPost, "/v1/track", `{"userId":"42","event":"Product Added","properties":{"product_id":"p1"}}`)
	call(http.MethodPut, "/v1/items", `[{"id":"p1","price":5}]`)
	if got := rapport(t, "backtest", "--rules", "new", "--partitions", "2"); got.code != exitFailed || !strings.Contains(got.stderr, "nobody else may have open") {
		t.Errorf("beside the server: %+v", got)
	}
	if code := stop(); code != exitDone {
		t.Fatalf("exit %d", code)
	}
	for range 2 { // it only reads
		r := backtestJSON(t, "--rules", "new", "--partitions", "2")
		if diff := cmp.Diff(map[string]int64{"cheaper": 1, "cart": 1}, r.New.Runs); diff != "" || r.Events != 1 {
			t.Errorf("%d events: %s", r.Events, diff)
		}
	}
	url, stop = serving(t)
	eventually(t, url+"/readyz", func(status int, _ string) bool { return status == http.StatusOK })
	if code := stop(); code != exitDone {
		t.Errorf("exit %d after the backtest", code)
	}
}
