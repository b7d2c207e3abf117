package kafka

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// collect reads partition 0..n of a topic up to its end.
func collect(t testing.TB, cfg Config, topic string) map[int32][]string {
	t.Helper()
	ends, err := EndOffsets(testContext(t), cfg, topic)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32][]string{}
	err = ReadRange(testContext(t), cfg, topic, nil, ends, func(recs []streams.Record) error {
		for _, r := range recs {
			got[r.Partition] = append(got[r.Partition], string(r.Value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEmbeddedReopens(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		b, cfg := startBroker(t, EmbeddedConfig{Dir: dir, SyncWrites: round != 1})
		p := newProducer(t, cfg)
		produce(t, p, numbered(1, round*100, 100))
		got := collect(t, cfg, TopicEvents)
		if len(got[1]) != (round+1)*100 || got[1][len(got[1])-1] != fmt.Sprintf("1/%d", round*100+99) {
			t.Errorf("round %d: %d records", round, len(got[1]))
		}
		p.Close()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMain of a child process that writes until it is killed.
func TestEmbeddedWriter(t *testing.T) {
	dir := os.Getenv("RAPPORT_TEST_WRITER")
	if dir == "" {
		t.Skip("runs in a process of its own, started by another test")
	}
	_, cfg := startBroker(t, EmbeddedConfig{Dir: dir})
	p := newProducer(t, cfg)
	for i := 0; ; i++ {
		produce(t, p, numbered(0, i, 1))
		fmt.Println("acknowledged", i)
	}
}

func TestEmbeddedKilled(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		os.RemoveAll(dir)
		acknowledged := killWriter(t, dir, 100+round*57)
		_, cfg := startBroker(t, EmbeddedConfig{Dir: dir})
		got := collect(t, cfg, TopicEvents)[0]
		seen := map[string]bool{}
		for _, v := range got {
			seen[v] = true
		}
		for i := range acknowledged + 1 {
			if !seen[fmt.Sprintf("0/%d", i)] {
				t.Fatalf("round %d: record %d of %d acknowledged ones is gone", round, i, acknowledged)
			}
		}
	}
}

// killWriter lets a process acknowledge so many records, kills it, and returns
// the last one that it acknowledged.
func killWriter(t *testing.T, dir string, records int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestEmbeddedWriter$")
	cmd.Env = append(os.Environ(), "RAPPORT_TEST_WRITER="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for {
		n := 0
		if _, err := fmt.Fscanf(out, "acknowledged %d\n", &n); err != nil {
			if last < records {
				t.Fatal(last, err)
			}
			break
		}
		if last = n; last == records {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	return last
}

func TestEmbeddedTornTail(t *testing.T) {
	dir := t.TempDir()
	b, cfg := startBroker(t, EmbeddedConfig{Dir: dir, Partitions: 1})
	p := newProducer(t, cfg)
	for i := range 10 {
		produce(t, p, numbered(0, i, 1))
	}
	p.Close()
	b.Close()
	segments, err := filepath.Glob(filepath.Join(dir, "log", "*", "test.events-0", "*.dat"))
	if err != nil || len(segments) == 0 {
		segments = findSegments(t, dir)
	}
	info, err := os.Stat(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(segments[0], info.Size()-5); err != nil {
		t.Fatal(err)
	}
	_, cfg = startBroker(t, EmbeddedConfig{Dir: dir, Partitions: 1})
	p = newProducer(t, cfg)
	if offsets := produce(t, p, numbered(0, 99, 1)); offsets[0] != 9 {
		t.Errorf("written at %d, want 9, the place of the torn record", offsets[0])
	}
	got := collect(t, cfg, TopicEvents)[0]
	if len(got) != 10 || got[8] != "0/8" || got[9] != "0/99" {
		t.Errorf("read %q", got)
	}
}

func findSegments(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".dat") && strings.Contains(path, "test.events") {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatal("no segments", err)
	}
	return found
}

func TestEmbeddedRefusals(t *testing.T) {
	dir := t.TempDir()
	good := EmbeddedConfig{Dir: dir, Prefix: "test.", Partitions: 4}
	b, _ := startBroker(t, good)
	if _, err := StartEmbedded(testContext(t), good); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second broker in the same directory: %v", err)
	}
	b.Close()
	other := good
	other.Partitions = 8
	if _, err := StartEmbedded(testContext(t), other); err == nil || !strings.Contains(err.Error(), "set partitions: 4") {
		t.Errorf("another number of partitions: %v", err)
	}
	other = good
	other.Prefix = "shop."
	if _, err := StartEmbedded(testContext(t), other); err == nil || !strings.Contains(err.Error(), `"test."`) {
		t.Errorf("another prefix: %v", err)
	}
	for _, bad := range []EmbeddedConfig{{}, {Partitions: 4}, {Partitions: -1, Memory: true}, {Partitions: 1, Dir: filepath.Join(dir, "layout.json")}} {
		if _, err := StartEmbedded(testContext(t), bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "layout.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := StartEmbedded(testContext(t), good); err == nil {
		t.Error("a broken layout was accepted")
	}
}

func TestEmbeddedFull(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{DataLimit: 50_000, Partitions: 1, RetentionBytes: 10_000, Holders: map[string][]string{TopicEvents: {"snapshot"}}})
	ingest := cfg
	ingest.Full = b.Full
	p := newProducer(t, ingest)
	effects := p.Unlimited()
	value := make([]byte, 10_000)
	write := func(p *Producer) error {
		_, err := p.ProduceSync(testContext(t), []streams.Record{{Topic: TopicEvents, Value: value}})
		return err
	}
	for range 6 {
		if err := write(p); err != nil {
			t.Fatal(err)
		}
	}
	b.measure()
	if err := write(p); !errors.Is(err, ErrFull) {
		t.Errorf("error %v, want ErrFull", err)
	}
	if err := write(effects); err != nil {
		t.Errorf("effects are refused, too: %v", err)
	}
	b.SetFloor("snapshot", TopicEvents, 0, 6)
	b.applyRetention(testContext(t), time.Now())
	b.measure()
	if err := write(p); err != nil {
		t.Errorf("after making room: %v", err)
	}
}

func TestEmbeddedRetention(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{
		Partitions: 2, RetentionBytes: 20_000, Retention: time.Hour,
		Holders: map[string][]string{TopicEvents: {"snapshot", "model"}}, Groups: map[string][]string{TopicMessages: {"engine"}},
	})
	p := newProducer(t, cfg)
	ctx := testContext(t)
	value := make([]byte, 1000)
	fill := func(topic string) {
		for part := range cfg.Partitions {
			for range 40 {
				produce(t, p, []streams.Record{{Topic: topic, Partition: part, Value: value}})
			}
		}
	}
	start := func(topic string) map[int32]int64 {
		t.Helper()
		b.applyRetention(ctx, time.Now())
		starts, err := StartOffsets(ctx, cfg, topic)
		if err != nil {
			t.Fatal(err)
		}
		return starts
	}
	fill(TopicEvents)
	b.SetFloor("snapshot", TopicEvents, 0, 40)
	if got := start(TopicEvents); got[0] != 0 || got[1] != 0 {
		t.Errorf("deleted up to %v, though the model has not said what it needs", got)
	}
	b.SetFloor("model", TopicEvents, 0, 10)
	if got := start(TopicEvents); got[0] != 10 || got[1] != 0 {
		t.Errorf("deleted up to %v, want 10 in partition 0", got)
	}
	b.SetFloor("model", TopicEvents, 0, 40)
	b.SetFloor("model", TopicEvents, 1, 40)
	b.SetFloor("snapshot", TopicEvents, 1, 40)
	got := start(TopicEvents)
	b.measure()
	if got[0] < 20 || got[1] < 20 || b.Size() > 30_000 {
		t.Errorf("deleted up to %v, %d bytes are left", got, b.Size())
	}
	b.applyRetention(ctx, time.Now().Add(2*time.Hour)) // all of it is too old
	if got := start(TopicEvents); got[0] != 39 || got[1] != 39 {
		t.Errorf("deleted up to %v, want all but the last record", got)
	}

	fill(TopicMessages)
	if got := start(TopicMessages); got[0] != 0 || got[1] != 0 {
		t.Errorf("deleted up to %v what a group has not read", got)
	}
	for range 40 { // nobody needs these
		produce(t, p, []streams.Record{{Topic: TopicDeadLetter, Value: value}})
	}
	if starts := start(TopicDeadLetter); starts[0] == 0 {
		t.Error("no dead letter was deleted")
	}
}
