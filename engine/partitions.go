package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// partition is one that this process owns.
type partition struct {
	*worker
	saver  saver
	epoch  int64 // of this owner
	belief belief
	tail   int64 // end of the log when it was assigned: ready when all before is applied
}

// partitions takes and gives up partitions of `events` as the consumer group
// says; a kafka.Handler.
type partitions struct{ *Engine }

// Assigned restores the partition and says where to read on: at the snapshot's
// offset, or earlier where the model has not read as far.
func (e partitions) Assigned(ctx context.Context, id int32) (int64, error) {
	p := &partition{worker: e.newWorker(id)}
	p.saver.w, p.saver.store, p.saver.kept = p.worker, e.store, newCounts()
	p.saver.full = e.restored(id, p.store)
	p.cold = &p.saver
	if err := p.saver.restore(ctx); err != nil {
		return 0, err
	}
	log, err := e.logState(ctx, id, &p.saver.last)
	if err == nil {
		err = e.checkLog(p, log)
	}
	if err != nil {
		return 0, err
	}
	from := log.start // nothing was ever folded: from the first record there is
	if p.saver.last.Number > 0 {
		model := min(max(e.model.Position(id), log.start), log.end) // what the model missed and is gone is gone
		from = min(p.applied.Load(), model)
	}
	p.tail, p.epoch = log.end, p.saver.last.Epoch
	p.belief.ticked.Store(time.Now().UnixMilli())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.owned[id] = p // snapshots of it are taken from now on
	e.ownersChanged()
	return from, nil
}

// Process folds a batch.
func (e partitions) Process(ctx context.Context, id int32, recs []streams.Record) error {
	p := e.partition(id)
	p.noteTicks(recs)
	return p.process(ctx, recs)
}

// Revoked snapshots the partition and lets it go: drained first, then fenced.
func (e partitions) Revoked(ctx context.Context, id int32) error {
	p := e.partition(id)
	if p == nil {
		return nil
	}
	e.saving.Lock()
	defer e.saving.Unlock()
	err := p.saver.save(ctx)
	e.drop(id)
	return err
}

// Lost lets the partition go without writing: somebody else owns it.
func (e partitions) Lost(id int32) { e.drop(id) }

func (e *Engine) drop(id int32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.stores, id)
	if p := e.owned[id]; p != nil {
		e.gone.add(&p.saver.kept)
		delete(e.owned, id)
		e.ownersChanged()
	}
}

// partition returns an owned partition, nil where another process owns it.
func (e *Engine) partition(id int32) *partition {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.owned[id]
}

// ownedPartitions lists the owned partitions in order.
func (e *Engine) ownedPartitions() []*partition {
	e.mu.RLock()
	defer e.mu.RUnlock()
	list := make([]*partition, 0, len(e.owned))
	for id := range e.settings.Partitions {
		if p := e.owned[id]; p != nil {
			list = append(list, p)
		}
	}
	return list
}

func (e *Engine) newWorker(id int32) *worker {
	w := &worker{
		id: id, cfg: &e.settings, decoder: &e.decoder, model: e.model, catalogue: e.catalogue, log: e.log,
		produce: e.producer.Unlimited().Produce, recommend: e.recommendFor, onLive: e.goLive, onStatus: e.noteStatus, onCatalogue: e.noteCatalog, onEvent: e.overlay.add,
		store: profiles.NewStore(), moves: &e.moves, rules: e.rules.Load(), parseRules: e.parsed.parse, counts: newCounts(), leader: -1,
	}
	w.state.Watermarks, w.state.Effects = map[string]string{}, map[string]string{}
	w.outbox.source = streams.EffectNumber{Topic: kafka.TopicEvents, Partition: id}
	w.outbox.prev = w.state.Effects
	w.env = rules.Env{
		Past:    map[int64]*rules.Set{},
		Catalog: w.item, Secret: e.cfg.Secret, URL: e.cfg.PublicURL(), Timezone: e.settings.Timezone, CartTTL: e.settings.Profile.CartTTL,
		Decode: func(run *profiles.Run, ev *streams.Event) error {
			return w.decoder.DecodeStored(run.Event, run.StartedBy, run.EventAt, run.EventLoggedAt, ev)
		},
	}
	return w
}

// tick appends a tick to each owned partition every second while the log is
// live.
func (e *Engine) tick(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			if e.live.Load() {
				e.produceTicks(ctx, now.UnixMilli())
			}
		}
	}
}

func (e *Engine) produceTicks(ctx context.Context, now int64) {
	owned := e.ownedPartitions()
	recs := make([]streams.Record, 0, len(owned))
	for _, p := range owned {
		recs = append(recs, tickOf(p.id, p.epoch, now))
	}
	e.producer.Unlimited().Produce(ctx, recs, func(err error) {
		if err != nil {
			e.log.Warn("cannot tick", "error", err)
		}
	})
}

// saveSnapshots snapshots the owned partitions every snapshot_interval. A
// store that is away is waited for; one that refuses ends the run.
func (e *Engine) saveSnapshots(ctx context.Context) error {
	ticker := time.NewTicker(e.cfg.SnapshotInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := e.saveAll(ctx); err != nil {
			if errors.Is(err, snapshot.ErrFenced) || errors.Is(err, snapshot.ErrDiverged) {
				return err
			}
			e.snapshotError.Store(&err)
			e.log.Warn("snapshots wait", "error", err)
			continue
		}
		e.snapshotError.Store(nil)
	}
}

func (e *Engine) saveAll(ctx context.Context) error {
	e.saving.Lock()
	defer e.saving.Unlock()
	for _, p := range e.ownedPartitions() {
		if err := p.saver.save(ctx); err != nil {
			return fmt.Errorf("partition %d: %w", p.id, err)
		}
	}
	e.raiseFloors()
	e.pruneCatalogue()
	return nil
}
