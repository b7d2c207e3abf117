package reference_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/bench/reference"
	"github.com/rapport-engine/rapport/bench/replay"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
)

// TestBuiltInTriggersOverSevenDays holds a running engine, with what is built in,
// to the model.
func TestBuiltInTriggersOverSevenDays(t *testing.T) {
	path := dataFile(t, "ga360-events.csv.zst")
	text, err := os.ReadFile(filepath.Join("..", "..", "rules", "builtin", "triggers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := reference.Read(text, shopConditions)
	if err != nil {
		t.Fatal(err)
	}
	model := reference.New(read, engine.DefaultConfig().Timezone, false)
	const days = 7
	runModel(t, model, path, days, false)
	got := engineDecisions(t, path, time.UnixMilli(august+days*dayMs))
	for _, d := range compare(model.Decisions, got) {
		t.Error(d)
	}
	if len(got) < 1000 {
		t.Errorf("only %d decisions", len(got))
	}
	t.Logf("%d decisions: %v", len(got), reasons(got))
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
			var m streams.Message
			if err := json.Unmarshal(recs[i].Value, &m); err != nil {
				return err
			}
			all = append(all, sent(&m))
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
