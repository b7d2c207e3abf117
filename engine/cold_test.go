package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goccy/go-json"
	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/streams"
)

// rulesOf is a record of rules.
func rulesOf(t *testing.T, number int64, files map[string]string) streams.Record {
	t.Helper()
	value, err := json.Marshal(rulesRecord{Number: number, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return streams.Record{Value: value, Headers: []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindRules)}}}
}

// New rules take in, and end the runs of, customers who are not in memory.
func TestRulesReachEvictedProfiles(t *testing.T) {
	outcome := func(scarce bool) (state string, stored map[string]string) {
		s := newSimulation(t, 1)
		r := rand.New(rand.NewPCG(1, 1))
		s.write(randomHistory(r, false), func() {})
		first := len(s.logs[0])
		s.append(0, rulesOf(t, 1, map[string]string{"a.yaml": "segments:\n  seen: {if: \"size(profile.viewed) > 0\"}\n  buyers: {if: \"profile.orders.count > 0\"}\n"}))
		if err := s.workers[0].process(t.Context(), s.logs[0][:first]); err != nil {
			t.Fatal(err)
		}
		s.snapshot(t, 0)
		w := s.workers[0]
		if scarce {
			w.evict(1 << 40)
			if w.store.InMemory() != 0 || w.store.Len() == 0 {
				t.Fatalf("%d of %d profiles in memory", w.store.InMemory(), w.store.Len())
			}
		}
		if err := w.process(t.Context(), s.logs[0][first:]); err != nil {
			t.Fatal(err)
		}
		if w.state.Rules.Members["seen"] == 0 || w.timers.Len() == 0 {
			t.Fatalf("%v, %d timers", w.state.Rules.Members, w.timers.Len())
		}
		s.snapshot(t, 0)
		stored = map[string]string{}
		for id, data := range s.saved[0].profiles {
			stored[id] = string(data)
		}
		return fmt.Sprint(string(s.saved[0].meta.State), w.timers.Len()), stored
	}
	state, stored := outcome(false)
	coldState, coldStored := outcome(true)
	if diff := cmp.Diff(state, coldState); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(stored, coldStored); diff != "" {
		t.Errorf("%.2000s", diff)
	}
}

// coldWorker is a worker none of whose profiles is in memory, and a record of a
// customer that it needs one for.
func coldWorker(t *testing.T) (s *simulation, next []streams.Record) {
	t.Helper()
	s = newSimulation(t, 1)
	s.write(randomHistory(rand.New(rand.NewPCG(2, 2)), false), func() {})
	last := len(s.logs[0]) - 1
	if err := s.workers[0].process(t.Context(), s.logs[0][:last]); err != nil {
		t.Fatal(err)
	}
	s.snapshot(t, 0)
	s.workers[0].evict(1 << 40)
	event := slices.Clone(s.logs[0][last-1 : last])
	event[0].Offset = int64(last)
	event[0].Value = []byte(`{"type":"page","messageId":"next","anonymousId":"a1"}`)
	return s, event
}

// A partition that needs a profile which only the store has waits for the store,
// and says so; meanwhile it can be looked at.
func TestPartitionWaitsForTheStore(t *testing.T) {
	s, next := coldWorker(t)
	w, away := s.workers[0], errors.New("connection refused")
	s.saved[0].away.Store(&away)
	done := make(chan error, 1)
	go func() { done <- w.process(t.Context(), next) }()
	for w.waits.Load() == nil {
		select {
		case err := <-done:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
	}
	if _, err := w.capture(); err == nil {
		t.Error("captured in the middle of a record")
	}
	w.evict(1 << 40) // drops nothing
	s.saved[0].away.Store(nil)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var p profiles.Profile
	if w.waits.Load() != nil || !w.store.ReadInto("anonymous:a1", &p) || p.Events < 2 {
		t.Errorf("after that: %v, %d events", w.waits.Load(), p.Events)
	}
	if _, err := w.capture(); err != nil {
		t.Error(err)
	}
}

// A worker that cannot have a profile back publishes, produces and saves nothing
// of what it made without it.
func TestWhatCannotBeReadBackIsNotMadeUp(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	away := errors.New("connection refused")
	older := snapshot.Meta{Epoch: 1, Number: 1, Offset: 1}
	newer := snapshot.Meta{Epoch: 1 << 50}
	for name, test := range map[string]struct {
		ctx    context.Context
		change func(saved *savedPartition)
		want   error
	}{
		"given up":     {ended, func(saved *savedPartition) { saved.away.Store(&away) }, away},
		"rolled back":  {t.Context(), func(saved *savedPartition) { saved.meta = older }, snapshot.ErrDiverged},
		"emptied":      {t.Context(), func(saved *savedPartition) { saved.meta, saved.profiles = snapshot.Meta{}, nil }, snapshot.ErrDiverged},
		"another's":    {t.Context(), func(saved *savedPartition) { saved.meta = newer }, snapshot.ErrFenced},
		"flipped bits": {t.Context(), func(saved *savedPartition) { saved.profiles["anonymous:a1"] = []byte("\xff\xff") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, next := coldWorker(t)
			w := s.workers[0]
			w.produce = func(context.Context, []streams.Record, func(error)) { t.Error("produced") }
			stood := w.applied.Load()
			test.change(s.saved[0])
			before := maps.Clone(s.saved[0].profiles)
			rules := rulesOf(t, 1, nil)
			rules.Offset = next[0].Offset + 1
			err := w.process(test.ctx, append(next, rules))
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if _, err := w.capture(); err == nil {
				t.Error("captured what is worth nothing")
			}
			if w.applied.Load() != stood || w.store.InMemory() > 0 || len(s.saved[0].profiles) != len(before) {
				t.Errorf("applied up to %d, %d profiles in memory", w.applied.Load(), w.store.InMemory())
			}
		})
	}
}

// The whole engine on a budget for hardly a profile: everything is answered, and
// restored.
func TestProfilesBeyondMemory(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Data, cfg.Rules, cfg.Partitions, cfg.SnapshotInterval, cfg.Memory = t.TempDir(), t.TempDir()+"/none", 2, 20_000_000, 1
	const customers = 300
	id := func(n int) streams.Identifier {
		return streams.Identifier{Type: "user", Value: fmt.Sprint(n)}
	}
	for start := range 2 {
		e, stop := startEngine(t, cfg)
		records := make([]streams.Record, 0, customers)
		for n := range customers {
			records = append(records, streams.Record{Partition: -1, Key: []byte(id(n).String()), Value: fmt.Appendf(nil,
				`{"type":"track","event":"Product Viewed","userId":"%d","messageId":"m%d.%d","properties":{"product_id":"p%d"}}`, n, n, start, start)})
		}
		if err := e.Ingest(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		if err := e.WaitApplied(t.Context()); err != nil {
			t.Fatal(err)
		}
		until(t, "all to be evicted", func() bool {
			e.trim()
			_, detail := e.Ready()
			return e.memoryUsed() <= customers*24 && detail.(Readiness).Profiles == customers
		})
		for n := range customers {
			p, err := e.Profile(t.Context(), id(n))
			if err != nil || int(p.Events) != start+1 || len(p.Viewed) != start+1 {
				t.Fatalf("%v: %v, %v", id(n), p, err)
			}
		}
		if _, err := e.Profile(t.Context(), id(customers)); !errors.Is(err, ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		if got := e.moves.readBack.Load(); start > 0 && got < customers/2 {
			t.Errorf("%d profiles were read back", got)
		}
		stop()
	}
}

// until waits, for a minute at most.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	c := cluster{t: t}
	c.until(what, ok)
}

func startEngine(t *testing.T, cfg Config) (e *Engine, stop func()) {
	t.Helper()
	e, err := New(cfg, Options{Quiet: true, Unsynced: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	until(t, "a start", func() bool { ok, _ := e.Ready(); return ok })
	return e, stop
}
