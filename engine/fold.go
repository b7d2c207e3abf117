package engine

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// FoldOptions are a fold's surroundings. The zero value runs what is built in
// and tells nobody.
type FoldOptions struct {
	Rules *rules.Set // nil: built in
	// Gradual does work on a live log in small steps, as large partitions do, however
	// few customers there are.
	Gradual bool
	// Watch is told what was decided for a customer, at each turn, before the
	// counts are. The turn and all that it points to are the fold's again when
	// Watch returns.
	Watch func(t *rules.Turn)
	// DeadLetter is told of each event that cannot be applied.
	DeadLetter func(l streams.DeadLetter)
	// Message is told of each message that is decided, as it would be written to
	// `messages`: with its effect number, without recommendations.
	Message func(rec *streams.Record)
}

// Fold is what the engine does with its log, and nothing else: the workers of
// all partitions in the caller's goroutine, with no broker, store, recommender
// or delivery. Effects on `events` are applied as soon as the records given
// have been; messages are decided, and go nowhere. Equal calls give equal
// results. One goroutine at a time may use it.
type Fold struct {
	settings  settings
	workers   []*worker
	queues    [][]streams.Record // by partition, not applied yet
	spare     []streams.Record
	opts      FoldOptions
	catalogue *recommender.Catalogue
	changes   int64 // of the catalogue
}

// NewFold makes a fold of cfg's partitions, with nothing folded yet. Of cfg it
// uses what the fold depends on: partitions, time zone, currency, region and
// so on.
func NewFold(cfg Config, opts FoldOptions) *Fold {
	if opts.Rules == nil {
		opts.Rules = rules.BuiltIn()
	}
	f := &Fold{settings: newSettings(&cfg, opts.Rules), opts: opts, catalogue: recommender.NewCatalogue()}
	if opts.Gradual {
		f.settings.Crowd, f.settings.Step = 0, 1
	}
	e := &Engine{
		cfg: cfg, settings: f.settings, log: slog.New(slog.DiscardHandler), decoder: streams.Decoder{Region: cfg.Region},
		catalogue: f.catalogue, producer: new(kafka.Producer), // never asked: effects come back to the queues
		messages: newRecent(1, func(m *streams.Message) string { return m.ID }),
	}
	e.rules.Store(opts.Rules)
	f.workers = make([]*worker, f.settings.Partitions)
	f.queues = make([][]streams.Record, f.settings.Partitions)
	for p := range f.workers {
		w := e.newWorker(int32(p))
		w.produce, w.watch = f.produce, opts.Watch
		w.recommend = func(*profiles.Profile, int64, *rules.Send) {}
		f.workers[p] = w
	}
	return f
}

// Enqueue is Apply that tells done.
func (f *Fold) Enqueue(ctx context.Context, records []streams.Record, done func(error)) {
	done(f.Apply(ctx, records))
}

// Apply folds records as if they had been written to `events` in this order,
// and what they cause there. A record of partition -1 belongs to its key's.
// Topic, Offset and LeaderEpoch are not read.
func (f *Fold) Apply(ctx context.Context, records []streams.Record) error {
	for i := range records {
		p := records[i].Partition
		if p < 0 {
			p = streams.Partition(string(records[i].Key), f.settings.Partitions)
		}
		f.queues[p] = append(f.queues[p], records[i])
	}
	return f.drain(ctx)
}

// Follow folds records of one partition as its log has them, offsets and all.
// What they cause on `events` is there, too, in this log or in another's, and is
// not applied again: a fold either follows logs or applies records.
func (f *Fold) Follow(ctx context.Context, records []streams.Record) error {
	if len(records) == 0 {
		return nil
	}
	p := records[0].Partition
	err := f.workers[p].process(ctx, records)
	for i := range f.queues {
		f.queues[i] = f.queues[i][:0]
	}
	if why := f.workers[p].stopped.Load(); err == nil && why != nil {
		return fmt.Errorf("cannot follow partition %d: %s", p, *why)
	}
	return err
}

// Snapshot returns what a snapshot of a partition would hold: its own state and
// all profiles, by id. It may be asked once of each.
func (f *Fold) Snapshot(p int32) (state []byte, blobs []profiles.Blob, err error) {
	c, err := f.workers[p].capture()
	if err != nil {
		return nil, nil, err
	}
	return c.meta.State, slices.DeleteFunc(c.dirty, func(b profiles.Blob) bool { return b.Data == nil }), nil
}

// drain folds what waits until nothing does, partition by partition.
func (f *Fold) drain(ctx context.Context) error {
	for waits := true; waits; {
		waits = false
		for p, w := range f.workers {
			batch := f.queues[p]
			if len(batch) == 0 {
				continue
			}
			waits = true
			f.queues[p] = f.spare[:0]
			for i := range batch {
				batch[i].Partition, batch[i].Offset = int32(p), w.state.Offset+int64(i)
			}
			if err := w.process(ctx, batch); err != nil {
				return err
			}
			clear(batch)
			f.spare = batch
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// produce takes the effects of a batch.
func (f *Fold) produce(_ context.Context, records []streams.Record, done func(error)) {
	for i := range records {
		switch rec := &records[i]; rec.Topic {
		case kafka.TopicEvents:
			f.queues[rec.Partition] = append(f.queues[rec.Partition], *rec)
		case kafka.TopicMessages:
			if f.opts.Message != nil {
				f.opts.Message(rec)
			}
		case kafka.TopicDeadLetter:
			f.letter(rec)
		}
	}
	done(nil)
}

func (f *Fold) letter(rec *streams.Record) {
	if f.opts.DeadLetter == nil {
		return
	}
	var l streams.DeadLetter
	if err := json.Unmarshal(rec.Value, &l); err != nil {
		panic("BUG: cannot decode a dead letter: " + err.Error())
	}
	f.opts.DeadLetter(l)
}

// PutItems changes the catalogue, at this place of every partition's log. The
// items are the fold's from now on.
func (f *Fold) PutItems(ctx context.Context, items []*streams.Item) error {
	var changes []streams.CatalogChange
	for _, item := range items {
		old := f.catalogue.Get(item.ID)
		if sameItem(old, item) || olderItem(item, old) {
			continue
		}
		f.changes++
		f.catalogue.Put(f.changes, item.ID, item)
		changes = append(changes, streams.CatalogChange{Number: f.changes, ID: item.ID, Old: old, New: item})
	}
	for len(changes) > 0 {
		records, n, err := catalogEffects(changes, f.settings.Partitions)
		if err != nil {
			return err
		}
		if err := f.Apply(ctx, records); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// SetRules changes the rules at this place of every partition's log.
func (f *Fold) SetRules(set *rules.Set) {
	for _, w := range f.workers {
		w.setRules(set)
	}
}

// Restart forgets what is in memory beside the profiles and the partitions'
// state, and makes it again from them, as a process that starts does.
func (f *Fold) Restart() {
	for _, w := range f.workers {
		w.setTimers()
	}
}

// Profile returns a private copy of a customer's profile; a weaker identifier
// leads to the profile that it points to. Its error is ErrNotFound where nothing is known.
func (f *Fold) Profile(id streams.Identifier) (*profiles.Profile, error) {
	p, name := new(profiles.Profile), id.String()
	for range maxAliases {
		if !f.workers[streams.Partition(name, f.settings.Partitions)].store.ReadInto(name, p) {
			return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
		}
		if p.AliasOf == "" {
			return p, nil
		}
		name = p.AliasOf
	}
	return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
}

// Counts sums what the fold has done.
func (f *Fold) Counts() Counts {
	total := newCounts()
	for _, w := range f.workers {
		total.add(&w.counts)
	}
	return total
}

// Partitions is the number of partitions.
func (f *Fold) Partitions() int32 { return f.settings.Partitions }

// Waiting lists what the customer of p, as Profile returned it, waits for: the
// first due first.
func (f *Fold) Waiting(p *profiles.Profile) []rules.Timer {
	var list []rules.Timer
	w := f.workers[streams.Partition(p.Id, f.settings.Partitions)]
	w.rules.Timers(p, w.state.Now, &w.env, func(t rules.Timer) { list = append(list, t) })
	slices.SortStableFunc(list, func(a, b rules.Timer) int { return cmp.Compare(a.Due, b.Due) })
	return list
}
