// Package backtest replays recorded behaviour against two sets of rules at
// once, new ones and those in force, sends nothing, and reports what each
// would have decided and how they differ. It runs the engine's fold in memory:
// what it counts is what a replay of the same events counts.
package backtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/bench/replay"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// Rules are a set of rules and what it is called.
type Rules struct {
	Name string // the directory, or what it is
	Set  *rules.Set
}

// Config says what is replayed against what.
type Config struct {
	Engine  engine.Config // time zone, currency, partitions and so on
	New     Rules
	InForce Rules
	Feed    replay.Options // Partitions is set from Engine
}

// Run replays the events of r and reports.
func Run(ctx context.Context, r datasets.Reader, cfg Config) (*Report, error) {
	zone, err := time.LoadLocation(cfg.Engine.Timezone)
	if err != nil {
		return nil, fmt.Errorf("cannot load time zone: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sides := []*side{newSide(cfg.Engine, cfg.New, zone, true), newSide(cfg.Engine, cfg.InForce, zone, false)}
	cfg.Feed.Partitions = sides[0].fold.Partitions()
	var running sync.WaitGroup
	for _, s := range sides {
		running.Go(func() { s.run(ctx) })
	}
	started := time.Now()
	fed, err := replay.Feed(ctx, r, both(sides), cfg.Feed)
	for _, s := range sides {
		close(s.work)
	}
	running.Wait()
	if err != nil {
		return nil, err
	}
	return newReport(fed, sides[0], sides[1], time.Since(started)), nil
}

// both hands each batch to both sides, and is done with it when they are.
type both []*side

// Enqueue implements replay.Enqueuer.
func (b both) Enqueue(ctx context.Context, records []streams.Record, done func(error)) {
	j := &job{records: records, done: done}
	j.left.Store(int32(len(b)))
	for _, s := range b {
		select {
		case s.work <- j:
		case <-ctx.Done():
			j.finish(ctx.Err())
		}
	}
}

// job is a batch of records for both sides.
type job struct {
	records []streams.Record
	done    func(error)
	left    atomic.Int32 // sides that have not folded it
	mu      sync.Mutex
	err     error // guarded by mu
}

func (j *job) finish(err error) {
	j.mu.Lock()
	j.err = errors.Join(j.err, err)
	err = j.err
	j.mu.Unlock()
	if j.left.Add(-1) == 0 {
		j.done(err)
	}
}

// side is one set of rules at work.
type side struct {
	name string
	fold *engine.Fold
	work chan *job
	*tally
}

func newSide(cfg engine.Config, r Rules, zone *time.Location, samples bool) *side {
	s := &side{name: r.Name, work: make(chan *job, 4), tally: newTally(zone, samples)}
	s.fold = engine.NewFold(cfg, engine.FoldOptions{Rules: r.Set, Watch: s.watch})
	return s
}

// run folds batches until there are no more.
func (s *side) run(ctx context.Context) {
	for j := range s.work {
		j.finish(s.fold.Apply(ctx, j.records))
	}
}
