package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/engine/snapshot"
)

// Profiles beyond memory. A profile that was evicted is read back from the snapshot
// store when the fold opens it; it is what the fold had made of it, byte for byte, so
// what is in memory never shows in the result. Each comes with the name of its
// snapshot: a store that has gone back to an older one, or that has a newer owner, is
// noticed, and the worker starts again from what it has.

const (
	// coldPatience is how long the store is waited for with the worker's lock held.
	coldPatience = 200 * time.Millisecond
	// coldRest is the longest rest between two tries.
	coldRest = time.Second
)

// cold is where a worker's evicted profiles are.
type cold interface {
	// get reads one; nil where there is none.
	get(ctx context.Context, id string) ([]byte, error)
	// each reads all of the partition, those in memory included.
	each(ctx context.Context, f func(id string, data []byte) error) error
}

// heads are the snapshots that the store may hold: the last one that it
// acknowledged, and the one that is being written.
type heads struct{ last, next snapshot.Meta }

// get implements cold.
func (s *saver) get(ctx context.Context, id string) ([]byte, error) {
	data, meta, err := s.store.Get(ctx, s.w.id, id)
	if err != nil && !errors.Is(err, snapshot.ErrNotFound) {
		return nil, err
	}
	if err := s.held(meta); err != nil || data == nil {
		return nil, err
	}
	if err := profiles.Decode(id, data, new(profiles.Profile)); err != nil {
		return nil, &damagedError{err}
	}
	return data, nil
}

// each implements cold.
func (s *saver) each(ctx context.Context, f func(id string, data []byte) error) error {
	for _, read := range []bool{true, false} { // nothing may have gone back meanwhile
		meta, err := s.store.Head(ctx, s.w.id)
		if err == nil {
			err = s.held(meta)
		}
		if err == nil && read {
			err = s.store.Load(ctx, s.w.id, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// held says what is wrong with a store that holds meta; it may be asked while a
// snapshot is written.
func (s *saver) held(meta snapshot.Meta) error {
	h := s.heads.Load()
	if meta.Same(h.next) {
		return nil
	}
	return snapshot.Refusal(s.w.id, h.last, meta)
}

// damagedError is of a profile in the store that cannot be read.
type damagedError struct{ error }

func (e *damagedError) Unwrap() error { return e.error }

// hopeless reports whether trying again to read from the store is of no use.
func hopeless(err error) bool {
	var damaged *damagedError
	return errors.Is(err, snapshot.ErrFenced) || errors.Is(err, snapshot.ErrDiverged) || errors.As(err, &damaged)
}

// thaw lets the worker read evicted profiles back while it folds a batch; the
// returned function ends that.
func (w *worker) thaw(ctx context.Context) (end func()) {
	if w.cold == nil {
		return func() {}
	}
	w.store.ReadBackWith(func(id string) []byte { return w.readBack(ctx, id) })
	w.eachCold = func(begin func(), f func(p *profiles.Profile)) { w.sweepCold(ctx, begin, f) }
	return func() {
		w.store.ReadBackWith(nil)
		w.eachCold = nil
	}
}

// readBack reads an evicted profile. After an error it returns nil, and so it does
// for all that follow: what the worker makes of that is dropped, see process.
func (w *worker) readBack(ctx context.Context, id string) (data []byte) {
	patience := coldPatience
	w.try(ctx, "a profile", true, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		patience = coldRest
		data, err = w.cold.get(ctx, id)
		return err
	})
	if data != nil {
		w.moves.readBack.Add(1)
	}
	return data
}

// sweepCold calls f with each evicted profile, after begin; both again from the
// first where the store fails on the way.
func (w *worker) sweepCold(ctx context.Context, begin func(), f func(p *profiles.Profile)) {
	p := new(profiles.Profile)
	w.try(ctx, "all profiles", false, func() error {
		begin()
		if w.store.Len() == w.store.InMemory() {
			return nil
		}
		return w.cold.each(ctx, func(id string, data []byte) error {
			if w.store.Place(id) != profiles.Evicted {
				return nil
			}
			if err := profiles.Decode(id, data, p); err != nil {
				return &damagedError{err}
			}
			f(p)
			return nil
		})
	})
}

// try calls read until it succeeds, or there is no hope, or ctx ends; w.failed is
// why then. The first time the worker's lock is held. While the store is waited for
// after that, the lock is free, while reading only where free says so: others may look
// at the worker, but not capture it, which is in the middle of a record.
func (w *worker) try(ctx context.Context, what string, free bool, read func() error) {
	if w.failed != nil {
		return
	}
	err := read()
	for pause := 20 * time.Millisecond; err != nil && !hopeless(err) && ctx.Err() == nil; pause = min(2*pause, coldRest) {
		why := fmt.Sprintf("partition %d waits for %s that only the snapshot store has: %v", w.id, what, err)
		if w.waits.Swap(&why) == nil {
			w.log.Warn("the partition waits for the snapshot store", "partition", w.id, "error", err)
		}
		w.mu.Unlock()
		rest(ctx, pause)
		if free {
			err = read()
		}
		w.mu.Lock()
		if !free {
			err = read()
		}
	}
	if w.waits.Swap(nil) != nil && err == nil {
		w.log.Info("the partition goes on", "partition", w.id)
	}
	if err != nil {
		w.failed = fmt.Errorf("cannot read back %s of partition %d: %w", what, w.id, err)
	}
}
