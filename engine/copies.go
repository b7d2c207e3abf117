package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/singleflight"

	"github.com/rapport-engine/rapport/engine/snapshot"
)

const (
	// copiesBytes bounds the copies of profiles that are not in this process's
	// memory.
	copiesBytes = 64 << 20
	// copyOverhead is what a copy takes besides its bytes.
	copyOverhead = 160
	// copyFresh is how long a copy is answered without asking the store again:
	// what is answered is as old as the snapshot interval and this, at most.
	copyFresh = time.Second
	// storePatience bounds the wait for the store of one read, and of one that has
	// an older copy to answer with.
	storePatience = time.Second
	copyPatience  = 250 * time.Millisecond
	// After awayAfter reads in a row that failed, the store is not asked for
	// awayFor.
	awayAfter = 3
	awayFor   = time.Second
)

// profileCopy is a profile as the snapshot store had it. It is immutable.
type profileCopy struct {
	data []byte // nil: there was none
	at   time.Time
}

// copies reads profiles from the snapshot store through a cache. While the store
// is away the last copy is answered.
type copies struct {
	store  snapshot.Store
	cache  *ristretto.Cache[string, *profileCopy]
	flight singleflight.Group

	failures atomic.Int32
	away     atomic.Int64 // Unix ms until which the store is not asked

	fresh, read, stale, failed atomic.Int64 // what answers came from, for metrics
}

func newCopies(store snapshot.Store) (*copies, error) {
	cache, err := ristretto.NewCache(&ristretto.Config[string, *profileCopy]{
		NumCounters: 10 * copiesBytes / 1000, MaxCost: copiesBytes, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make a cache of profiles: %w", err)
	}
	return &copies{store: store, cache: cache}, nil
}

func (c *copies) close() { c.cache.Close() }

// get returns a profile's bytes as the store has them, nil where it has none. age
// is 0 unless the store is away: then it is how long ago the copy was read, or,
// where there is none, the error is ErrUnavailable.
func (c *copies) get(ctx context.Context, home int32, id string) (data []byte, age time.Duration, err error) {
	now := time.Now()
	kept, ok := c.cache.Get(id)
	if ok && now.Sub(kept.at) < copyFresh {
		c.fresh.Add(1)
		return kept.data, 0, nil
	}
	patience := storePatience
	if ok {
		patience = copyPatience
	}
	fresh, err := c.ask(ctx, home, id, now, patience)
	switch {
	case err == nil:
		c.read.Add(1)
		return fresh.data, 0, nil
	case ok:
		c.stale.Add(1)
		return kept.data, max(time.Since(kept.at), time.Millisecond), nil
	}
	c.failed.Add(1)
	return nil, 0, fmt.Errorf("%w: cannot read profile %s: %w", ErrUnavailable, id, err)
}

var errAway = errors.New("the snapshot store does not answer")

// ask reads from the store, once for all who ask at the same time.
func (c *copies) ask(ctx context.Context, home int32, id string, now time.Time, patience time.Duration) (*profileCopy, error) {
	if now.UnixMilli() < c.away.Load() {
		return nil, errAway
	}
	v, err, _ := c.flight.Do(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		got := &profileCopy{at: time.Now()}
		var err error
		if got.data, _, err = c.store.Get(ctx, home, id); err != nil && !errors.Is(err, snapshot.ErrNotFound) {
			c.fail()
			return nil, err
		}
		c.failures.Store(0)
		c.cache.Set(id, got, int64(len(id)+len(got.data)+copyOverhead))
		return got, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*profileCopy), nil //nolint:forcetypeassert // as above
}

func (c *copies) fail() {
	if c.failures.Add(1) >= awayAfter {
		c.away.Store(time.Now().Add(awayFor).UnixMilli())
	}
}
