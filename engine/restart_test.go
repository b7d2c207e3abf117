package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-json"
	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// simulation is a log in memory with a worker for each partition, and the
// snapshots that the workers have taken.
type simulation struct {
	e        *Engine
	logs     [][]streams.Record
	workers  []*worker
	savers   []*saver
	saved    []*savedPartition
	messages map[string]string // id → body without recommendations; the first one

	// lag, where not nil, decides how long effects are under way. Those of a
	// worker that restarts meanwhile are lost.
	lag  *rand.Rand
	held [][]heldEffects

	// scarce, where not nil, lets profiles leave memory: some at random, or all
	// that can.
	scarce   *rand.Rand
	evictAll bool

	// rules, where not nil, has the records of rules, by the names of their objects.
	rules func(name string) []byte
}

type heldEffects struct {
	recs []streams.Record
	done func(error)
}

// savedPartition is a store for snapshots of one partition.
type savedPartition struct {
	snapshot.Store // of which no other method is called
	meta           snapshot.Meta
	profiles       map[string][]byte
	rules          *simulation
	away           atomic.Pointer[error] // what reading answers, nil: what there is
}

func (s *savedPartition) Get(_ context.Context, _ int32, id string) ([]byte, snapshot.Meta, error) {
	if err := s.away.Load(); err != nil {
		return nil, snapshot.Meta{}, *err
	}
	data := s.profiles[id]
	if data == nil {
		return nil, s.meta, snapshot.ErrNotFound
	}
	return data, s.meta, nil
}

func (s *savedPartition) Head(context.Context, int32) (snapshot.Meta, error) {
	if err := s.away.Load(); err != nil {
		return snapshot.Meta{}, *err
	}
	return s.meta, nil
}

func (s *savedPartition) GetObject(_ context.Context, name string) ([]byte, error) {
	if value := s.rules.rules(name); value != nil {
		return value, nil
	}
	return nil, snapshot.ErrNotFound
}

func (s *savedPartition) Acquire(context.Context, int32) (snapshot.Meta, error) {
	s.meta.Epoch++
	return s.meta, nil
}

func (s *savedPartition) Load(_ context.Context, _ int32, fn func(string, []byte) error) error {
	for _, id := range slices.Sorted(maps.Keys(s.profiles)) {
		if err := fn(id, s.profiles[id]); err != nil {
			return err
		}
	}
	return nil
}

func (s *savedPartition) Save(_ context.Context, p int32, prev, next snapshot.Meta, blobs []snapshot.Blob) error {
	if err := snapshot.Refusal(p, prev, s.meta); err != nil {
		return err
	}
	s.meta = next
	for _, blob := range blobs {
		if blob.Data == nil {
			delete(s.profiles, blob.ID)
		} else {
			s.profiles[blob.ID] = blob.Data
		}
	}
	return nil
}

func newSimulation(t *testing.T, partitions int, setups ...func(*simulation)) *simulation {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Partitions = partitions
	set := rules.BuiltIn()
	e := &Engine{cfg: cfg, settings: newSettings(&cfg, set), catalogue: recommender.NewCatalogue(),
		producer: &kafka.Producer{}, // never asked: the workers write to the simulation
		log:      slog.New(slog.NewTextHandler(io.Discard, nil)), messages: newRecent(1, func(m *streams.Message) string { return m.ID })}
	e.model = recommender.New(recommender.Config{Placements: placements(set)}, e.catalogue)
	e.rules.Store(set)
	e.producer = new(kafka.Producer) // never used: effects go to s
	s := &simulation{e: e, logs: make([][]streams.Record, partitions), workers: make([]*worker, partitions), savers: make([]*saver, partitions),
		saved: make([]*savedPartition, partitions), held: make([][]heldEffects, partitions), messages: map[string]string{}}
	for _, setup := range setups {
		setup(s)
	}
	for p := range s.workers {
		s.saved[p] = &savedPartition{profiles: map[string][]byte{}, rules: s}
		s.restart(t, p)
	}
	return s
}

// restart makes a worker anew from its last snapshot; what it had under way is
// lost.
func (s *simulation) restart(t *testing.T, p int) {
	t.Helper()
	w := s.e.newWorker(int32(p))
	w.produce = func(_ context.Context, recs []streams.Record, done func(error)) {
		s.held[p] = append(s.held[p], heldEffects{recs, done})
		if s.lag == nil {
			s.release(p)
		}
	}
	s.held[p] = nil
	s.savers[p] = &saver{w: w, store: s.saved[p], kept: newCounts()}
	w.cold = s.savers[p]
	if s.scarce != nil {
		s.savers[p].full = func() bool { return s.evictAll || s.scarce.IntN(2) == 0 }
	}
	if err := s.savers[p].restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.workers[p] = w
}

// snapshot takes what changed since the last one, unless effects of it are still
// under way.
func (s *simulation) snapshot(t *testing.T, p int) {
	t.Helper()
	now, cancel := context.WithCancel(t.Context())
	cancel() // does not wait
	if err := s.savers[p].save(now); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// evict lets profiles of a partition leave memory, as far as a snapshot has them.
func (s *simulation) evict(p int) {
	switch w := s.workers[p]; {
	case s.scarce == nil:
	case s.evictAll:
		w.evict(1 << 40)
	default:
		w.evict(s.scarce.Int64N(1 + 2*w.store.Memory()))
	}
}

// release appends a worker's effects to the logs; the broker acknowledges.
func (s *simulation) release(p int) {
	held := s.held[p]
	s.held[p] = nil
	for _, h := range held {
		s.put(h.recs)
		h.done(nil)
	}
}

func (s *simulation) put(recs []streams.Record) {
	for i := range recs {
		switch recs[i].Topic {
		case kafka.TopicEvents:
			s.append(recs[i].Partition, recs[i])
		case kafka.TopicMessages:
			var m streams.Message
			if err := json.Unmarshal(recs[i].Value, &m); err != nil {
				panic(err)
			}
			m.Recommendations = nil
			body, _ := json.Marshal(&m)
			if first, ok := s.messages[m.ID]; ok && first != string(body) {
				panic(fmt.Sprintf("message %s came again with another body:\n%s\n%s", m.ID, first, body))
			}
			s.messages[m.ID] = string(body)
		}
	}
}

func (s *simulation) append(p int32, rec streams.Record) {
	rec.Partition, rec.Offset = p, int64(len(s.logs[p]))
	s.logs[p] = append(s.logs[p], rec)
}

// run folds every log to its end, in batches of random size, restarting and
// snapshotting workers at random where chaos is set.
func (s *simulation) run(t *testing.T, r *rand.Rand, chaos bool) {
	t.Helper()
	for busy := true; busy; {
		busy = false
		for _, p := range r.Perm(len(s.workers)) {
			w := s.workers[p]
			if len(s.held[p]) > 0 {
				if busy = true; s.lag.IntN(3) == 0 {
					s.release(p)
				}
			}
			from := int(w.applied.Load())
			if from == len(s.logs[p]) {
				continue
			}
			busy = true
			to := min(len(s.logs[p]), from+1+r.IntN(20))
			if err := w.process(t.Context(), slices.Clone(s.logs[p][from:to])); err != nil {
				t.Fatal(err)
			}
			s.disturb(t, r, p, chaos)
		}
	}
}

// profiles are all customers as JSON-like text, by id.
func (s *simulation) profiles() map[string]string {
	all := map[string]string{}
	for _, w := range s.workers {
		w.store.Range(func(id string, p *profiles.Profile) bool {
			all[id] = p.String()
			return true
		})
	}
	return all
}

// randomHistory is a few customers' doings over four days, one identifier
// each or several, with repeats and lateness.
func randomHistory(r *rand.Rand, several bool) []map[string]any {
	names := []string{"Product Viewed", "Product Added", "Product Removed", "Order Completed", "Checkout Started", "page"}
	events := make([]map[string]any, 0, 200)
	now := int64(1_770_000_000_000)
	for i := range 200 {
		now += int64(r.IntN(3_600_000))
		who := r.IntN(8)
		e := map[string]any{"messageId": fmt.Sprint("m", i), "anonymousId": fmt.Sprint("a", who), "at": now - int64(r.IntN(2)*r.IntN(600_000)),
			"type": "track", "event": names[r.IntN(len(names))],
			"properties": map[string]any{"product_id": fmt.Sprint("p", r.IntN(4)), "price": 5, "order_id": fmt.Sprint("o", r.IntN(30)),
				"products": nil, "query": "x"}}
		if several && r.IntN(10) == 0 {
			e["userId"] = fmt.Sprint("u", who)
			e["type"], e["traits"] = "identify", map[string]any{"email": fmt.Sprintf("c%d@x.example", who), "birthday": "1990-02-03"}
		}
		delete(e["properties"].(map[string]any), "products")
		events = append(events, e)
		if r.IntN(20) == 0 { // a repeat
			events = append(events, e)
		}
	}
	return events
}

// write logs a history with its clock, and calls after behind each event.
func (s *simulation) write(events []map[string]any, after func()) {
	clock := int64(0)
	for _, e := range events {
		clock = max(clock, e["at"].(int64))
		body := maps.Clone(e)
		delete(body, "at")
		body["timestamp"] = e["at"]
		value, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		key := "anonymous:" + e["anonymousId"].(string)
		if u, ok := e["userId"]; ok {
			key = "user:" + u.(string)
		}
		headers := []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(clock)}}
		s.append(streams.Partition(key, int32(len(s.logs))), streams.Record{Key: []byte(key), Value: value, Headers: headers})
		after()
	}
	for p := range s.logs {
		s.append(int32(p), streams.Record{Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(clock + 100_000_000)}}})
	}
}

func TestRestartsChangeNothing(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			history := randomHistory(rand.New(rand.NewPCG(seed, 1)), false)
			calm, wild := newSimulation(t, 3), newSimulation(t, 3)
			for _, s := range []*simulation{calm, wild} {
				s.write(history, func() {})
				s.run(t, rand.New(rand.NewPCG(seed, 2)), s == wild)
			}
			compareSimulations(t, calm, wild)
		})
	}
}

// With several identifiers a customer, the order in which records of several
// partitions meet counts, so each event and what it causes is folded before
// the next; restarts repeat effects, which must not be applied again.
func TestRestartsRepeatNoEffect(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			history := randomHistory(rand.New(rand.NewPCG(seed, 5)), true)
			calm, wild := newSimulation(t, 3), newSimulation(t, 3)
			for _, s := range []*simulation{calm, wild} {
				r := rand.New(rand.NewPCG(seed, 6))
				s.write(history, func() {
					s.run(t, r, false)
					if p := r.IntN(3); s == wild && r.IntN(5) == 0 {
						s.snapshot(t, p)
					} else if s == wild && r.IntN(5) == 0 {
						s.restart(t, p)
						s.run(t, r, false)
					}
				})
				s.run(t, r, false)
			}
			compareSimulations(t, calm, wild)
		})
	}
}

func TestPartitionsChangeNothing(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			history := randomHistory(rand.New(rand.NewPCG(seed, 3)), false)
			one, many := newSimulation(t, 1), newSimulation(t, 5)
			for _, s := range []*simulation{one, many} {
				s.write(history, func() {})
				s.run(t, rand.New(rand.NewPCG(seed, 4)), false)
			}
			compareSimulations(t, one, many)
		})
	}
}

func compareSimulations(t *testing.T, a, b *simulation) {
	t.Helper()
	if len(a.messages) == 0 {
		t.Fatal("the history caused no message")
	}
	if diff := cmp.Diff(a.messages, b.messages); diff != "" {
		t.Errorf("messages differ:\n%.2000s", diff)
	}
	if diff := cmp.Diff(a.profiles(), b.profiles()); diff != "" {
		t.Errorf("profiles differ:\n%.3000s", diff)
	}
}
