package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// settings are what the fold depends on besides the log; equal in every
// process.
type settings struct {
	Partitions int32
	Timezone   string
	Profile    profiles.Settings
	Identity   profiles.IdentityLimits
	Crowd      int64 // customers from which on work is done little by little
	Step       int   // customers that a step of it is about
}

// worker folds one partition of `events`: the single writer of its profiles.
type worker struct {
	id          int32
	cfg         *settings
	decoder     *streams.Decoder
	model       *recommender.Recommender // nil: nobody learns
	catalogue   *recommender.Catalogue
	produce     func(ctx context.Context, recs []streams.Record, done func(error))
	recommend   func(p *profiles.Profile, now int64, send *rules.Send)
	log         *slog.Logger
	onLive      func()
	onCatalogue func(number int64)
	onEvent     func(rec *streams.Record, e *streams.Event) // where it was first logged
	onStatus    func(message, status string, e *streams.Event)
	parseRules  func(record []byte) (*rules.Set, int64, error)
	watch       func(t *rules.Turn) // told what was decided; nil: nobody is

	store *profiles.Store // read by anyone, written by this worker
	cold  cold            // where the store's evicted profiles are; nil: nothing is evicted
	moves *moves

	mu        sync.Mutex // held for a batch; guards everything below
	rules     *rules.Set
	state     state
	leader    int32 // leader epoch of the record before state.Offset; -1 unknown
	timers    rules.Timers
	interests rules.Interests // kept while rules start by items
	changes   []itemChange    // that customers are still to be told of
	found     found
	outbox    outbox
	counts    Counts
	event     streams.Event
	lessons   recommender.Lessons
	scratch   rules.Turn
	env       rules.Env
	eachCold  func(begin func(), f func(p *profiles.Profile)) // during a batch, where cold is not nil
	failed    error                                           // an evicted profile could not be read: memory is worth nothing

	clock   atomic.Int64           // state.Now, for readers
	applied atomic.Int64           // state.Offset after the last batch, for readers
	stopped atomic.Pointer[string] // why the partition stands still
	waits   atomic.Pointer[string] // why it waits for the snapshot store, in the middle of a record
}

// state is a partition's state besides its profiles and their timers.
type state struct {
	Offset int64 `json:"offset"` // next record to apply
	Now    int64 `json:"now"`    // the partition's time: the greatest tick
	Live   bool  `json:"live"`   // has had a live tick
	// Fed says that there was a record of a live log, a tick or not: its owner
	// ticks, whoever that is.
	Fed bool `json:"fed"`
	// Catalog is the change number that conditions read the catalogue as of.
	Catalog int64 `json:"catalog"`
	// Watermarks holds, for each source, the number of the last effect applied.
	Watermarks map[string]string `json:"watermarks"`
	// Effects holds, for each destination, the number of the last effect sent.
	Effects     map[string]string `json:"effects"`
	Incarnation int64             `json:"incarnation"`
	Rules       rulesState        `json:"rules"`
	// Work is what is done little by little.
	Work gradual `json:"work"`
	// Triggers is what was counted of each trigger.
	Triggers map[string]*triggerCounts `json:"triggers,omitempty"`
	// Gaps are the sources of which effects are missing; Pardoned those whose
	// next effect is applied whatever is missing before it.
	Gaps     map[string]*gap `json:"gaps,omitempty"`
	Pardoned map[string]bool `json:"pardoned,omitempty"`
}

// process folds a batch of records and hands their effects to the producer.
func (w *worker) process(ctx context.Context, recs []streams.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.thaw(ctx)()
	for i := range recs {
		if w.stopped.Load() != nil {
			break // what follows waits for an operator
		}
		if w.step(&recs[i]); w.failed != nil {
			return w.failed
		}
	}
	if w.model != nil {
		w.model.Observe(w.id, &w.lessons)
	}
	w.store.Publish()
	w.applied.Store(w.state.Offset)
	if err := w.outbox.flush(ctx, w.produce); err != nil {
		return fmt.Errorf("cannot produce the effects of partition %d: %w", w.id, err)
	}
	return nil
}

// turn prepares the rules' view of one event or timer of a customer.
func (w *worker) turn(p *profiles.Profile, e *streams.Event) *rules.Turn {
	t := &w.scratch
	t.Reset()
	t.Now, t.Live, t.Profile, t.Event, t.Env = w.state.Now, w.state.Live, p, e, &w.env
	return t
}

// emit counts what the rules decided, sends the messages, and sets the timers
// that the customer waits for now.
func (w *worker) emit(t *rules.Turn) {
	if w.watch != nil {
		w.watch(t)
	}
	for _, s := range t.Skips {
		w.counts.skip(s.Trigger, s.Step, s.Reason)
		w.logSkip(t, s)
	}
	for _, f := range t.Failures {
		w.counts.failure(f.Trigger, f.Kind)
	}
	for _, trigger := range t.Started {
		w.counts.run(trigger)
	}
	for i := range t.Messages {
		send := &t.Messages[i]
		if send.Recommend != nil {
			w.recommend(t.Profile, w.state.Now, send)
		}
		w.counts.message(send.Message.Trigger)
		w.outbox.message(&send.Message)
		w.linkMessage(&send.Message)
	}
	w.state.tally(t)
	w.emitFlips(t)
	w.rules.TurnTimers(t, w.timers.Push)
	if w.rules.HasItemStarts() && t.Event != nil {
		w.interests.AddEvent(t.Profile, t.Event)
	}
}

// emitFlips counts who entered and exited segments, and writes it to the log
// for whoever follows it. The fold has taken it in already.
func (w *worker) emitFlips(t *rules.Turn) {
	w.countFlips(t)
	for i := range t.Flips {
		if f := &t.Flips[i]; f.Event != nil {
			kind := []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindSegment)}}
			w.outbox.event(w.id, t.Profile.Id, f.Event, kind)
		}
	}
}

// logSkip tells whoever looks closely (log level debug) why a send was not made.
func (w *worker) logSkip(t *rules.Turn, s rules.Skip) {
	if w.log.Enabled(context.Background(), slog.LevelDebug) {
		w.log.Debug("not sent", "profile", t.Profile.Id, "trigger", s.Trigger, "step", s.Step, "reason", s.Reason, "at", t.Now)
	}
}
