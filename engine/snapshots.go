package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/engine/snapshot"
)

// foldVersion changes whenever the same log would fold to another state. A
// binary reads the snapshots of earlier versions, taken after their last effect.
const foldVersion = 3

// errGapped is returned while effects are missing: a snapshot would pass them
// over for good.
var errGapped = errors.New("effects are missing")

// capture is one partition's state at an offset, on its way to the store.
type capture struct {
	meta    snapshot.Meta
	dirty   []snapshot.Blob
	effects int64 // batches of effects that must be acknowledged first
	counts  Counts
}

// capture takes what changed since the last snapshot, between two batches. It
// copies no profile: bytes at rest are immutable.
func (w *worker) capture() (capture, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.state.Gaps) > 0:
		return capture{}, errGapped
	case w.failed != nil:
		return capture{}, w.failed
	case w.waits.Load() != nil: // in the middle of a record
		return capture{}, errors.New(*w.waits.Load())
	}
	encoded, err := json.Marshal(&w.state)
	if err != nil {
		return capture{}, fmt.Errorf("cannot encode the state of partition %d: %w", w.id, err)
	}
	return capture{
		meta:    snapshot.Meta{Offset: w.state.Offset, LeaderEpoch: w.leader, Fold: foldVersion, State: encoded},
		dirty:   w.store.TakeDirty(),
		effects: w.outbox.batches,
		counts:  w.counts.clone(),
	}, nil
}

// saver writes one partition's snapshots, each naming the one before it.
type saver struct {
	w        *worker
	store    snapshot.Store
	last     snapshot.Meta
	topicID  string // of the log that is folded
	accepted bool   // a loss of the log was accepted: the next snapshot says so, whatever else happened
	kept     Counts // what last stands for: what came after it is counted again by whoever restores it
	heads    atomic.Pointer[heads]
	full     func() bool // no more profiles are to be kept in memory; nil: they are
}

// save snapshots the partition if anything happened since the last one: only
// once the broker has acknowledged the effects of what it holds (rule 5).
func (s *saver) save(ctx context.Context) error {
	if s.w.applied.Load() == s.last.Offset && !s.accepted {
		return nil
	}
	c, err := s.w.capture()
	if errors.Is(err, errGapped) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.awaitEffects(ctx, c.effects); err != nil {
		s.w.putBack(c.dirty)
		return err
	}
	c.meta.Epoch, c.meta.Number, c.meta.TopicID = s.last.Epoch, s.last.Number+1, s.topicID
	s.heads.Store(&heads{s.last, c.meta})
	if err := s.store.Save(ctx, s.w.id, s.last, c.meta, c.dirty); err != nil {
		s.w.putBack(c.dirty)
		return fmt.Errorf("cannot save the snapshot of partition %d: %w", s.w.id, err)
	}
	s.last, s.kept, s.accepted = c.meta, c.counts, false
	s.w.saved()
	return nil
}

// awaitEffects waits until the broker has acknowledged the first n batches of
// effects.
func (s *saver) awaitEffects(ctx context.Context, n int64) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for s.w.outbox.acks.upTo() < n {
		if err := s.w.outbox.failed.Load(); err != nil {
			return *err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

func (w *worker) putBack(dirty []snapshot.Blob) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store.PutBack(dirty)
}

// saved lets what the last capture took be evicted.
func (w *worker) saved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store.Saved()
}

// restore loads the partition's latest snapshot and takes it over from any
// earlier owner; the zero Meta's offset where there is none.
func (s *saver) restore(ctx context.Context) error {
	meta, err := s.store.Acquire(ctx, s.w.id)
	if err != nil {
		return fmt.Errorf("cannot take over the snapshot of partition %d: %w", s.w.id, err)
	}
	if meta.Fold > foldVersion {
		return fmt.Errorf("cannot restore partition %d: its snapshot is of fold version %d, this binary knows them up to %d: start the version that wrote it, or an empty data directory", s.w.id, meta.Fold, foldVersion)
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if len(meta.State) > 0 {
		if err := json.Unmarshal(meta.State, &s.w.state); err != nil {
			return fmt.Errorf("cannot read the state of partition %d: %w", s.w.id, err)
		}
	}
	if err := s.w.restoreRules(ctx, s.store); err != nil {
		return err
	}
	s.w.resume()
	if meta.Number > 0 {
		s.w.leader = meta.LeaderEpoch
	}
	if err := s.restoreProfiles(ctx); err != nil {
		return fmt.Errorf("cannot load the snapshot of partition %d: %w", s.w.id, err)
	}
	if meta.Fold < 3 { // all was done at once
		s.w.state.Work = gradual{Created: int64(s.w.store.Len()), Told: s.w.state.Catalog}
	}
	s.w.pendingChanges()
	s.last = meta
	s.heads.Store(&heads{meta, meta})
	return nil
}

// restoreProfiles loads the profiles and notes what each waits for. Those that there
// is no room for stay in the store, as if they had been evicted.
func (s *saver) restoreProfiles(ctx context.Context) error {
	s.w.clearTimers()
	p, full, n := new(profiles.Profile), false, 0
	return s.store.Load(ctx, s.w.id, func(id string, data []byte) error {
		if err := profiles.Decode(id, data, p); err != nil {
			return err
		}
		s.w.waitFor(p)
		if n++; n%64 == 1 && s.full != nil {
			full = s.full()
		}
		if full {
			s.w.store.Leave(id)
		} else {
			s.w.store.Keep(id, data)
		}
		return nil
	})
}

// resume takes up the fold from the restored state.
func (w *worker) resume() {
	w.outbox.source.Incarnation = w.state.Incarnation
	w.outbox.prev = w.state.Effects
	w.clock.Store(w.state.Now)
	w.applied.Store(w.state.Offset)
	if w.state.Fed || w.state.Live {
		w.onLive()
	}
}
