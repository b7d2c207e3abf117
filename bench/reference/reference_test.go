package reference_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/bench/reference"
	"github.com/rapport-engine/rapport/bench/replay"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
)

// dataFile returns a file of the real data, and skips the test where there is none.
func dataFile(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real data: %v; set RAPPORT_DATA", err)
	}
	return path
}

// sevenDays is the end of the first seven days of the file.
var sevenDays = time.Date(2016, 8, 8, 0, 0, 0, 0, time.UTC)

func TestEngineDecidesAsTheReferenceOverSevenDays(t *testing.T) {
	path := dataFile(t, "ga360-events.csv.zst")
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	want, err := reference.Run(plain, sevenDays.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	got := engineDecisions(t, path, sevenDays)
	for _, list := range [][]reference.Decision{want, got} {
		slices.SortFunc(list, func(a, b reference.Decision) int {
			return compareText(key(a), key(b))
		})
	}
	if len(want) < 1000 {
		t.Fatalf("the reference made only %d decisions", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("engine differs from the reference (-reference +engine):\n%.4000s", diff)
	}
	t.Logf("%d decisions compared", len(want))
}

func key(d reference.Decision) string {
	return fmt.Sprintf("%s %d %s %d %s", d.Profile, d.At, d.Trigger, d.Step, d.Reason)
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// skips collects the sends not made from the engine's log.
type skips struct{ take func(slog.Record) }

func (s skips) Enabled(context.Context, slog.Level) bool { return true }
func (s skips) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s skips) WithGroup(string) slog.Handler            { return s }

func (s skips) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "not sent" {
		s.take(r)
	}
	return nil
}

// engineDecisions replays the file through an engine.
func engineDecisions(t *testing.T, path string, until time.Time) []reference.Decision {
	t.Helper()
	var mu sync.Mutex
	var all []reference.Decision
	logger := slog.New(skips{func(r slog.Record) {
		d := skipped(r)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, d)
	}})
	cfg := engine.DefaultConfig()
	cfg.Data = t.TempDir()
	cfg.Rules = filepath.Join(cfg.Data, "none")
	e, err := engine.New(cfg, engine.Options{Quiet: true, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	feed(t, ctx, e, path, until)
	err = e.ReadMessages(ctx, func(recs []streams.Record) error {
		for i := range recs {
			all = append(all, sent(t, recs[i].Value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func feed(t *testing.T, ctx context.Context, e *engine.Engine, path string, until time.Time) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ready := false; !ready; ready, _ = e.Ready() {
		<-tick.C
	}
	file, err := datasets.Open(path, "ga360")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := replay.Feed(ctx, file, e, replay.Options{Partitions: e.Partitions(), To: until.UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	if err := e.WaitApplied(ctx); err != nil {
		t.Fatal(err)
	}
}

// skipped reads a send not made from the log.
func skipped(r slog.Record) reference.Decision {
	var d reference.Decision
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "profile":
			d.Profile = a.Value.String()
		case "trigger":
			d.Trigger = a.Value.String()
		case "step":
			d.Step = int(a.Value.Int64())
		case "reason":
			d.Reason = a.Value.String()
		case "at":
			d.At = a.Value.Int64()
		}
		return true
	})
	return d
}

// sent reads a message from the log.
func sent(t *testing.T, value []byte) reference.Decision {
	t.Helper()
	var m streams.Message
	if err := json.Unmarshal(value, &m); err != nil {
		t.Fatal(err)
	}
	items := []string{}
	for _, item := range m.Data.Items {
		items = append(items, fmt.Sprintf("%s x%d", item.ID, item.Quantity))
	}
	slices.Sort(items)
	return reference.Decision{Profile: m.Profile, Trigger: m.Trigger, Step: m.Step, At: m.At.UnixMilli(), ID: m.ID, Items: items}
}
