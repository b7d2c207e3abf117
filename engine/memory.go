package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// trimEvery is how often memory is compared with its budget.
const trimEvery = time.Second

// moves counts profiles that left memory and came back, of all partitions that the
// process has had.
type moves struct{ evicted, readBack atomic.Int64 }

// restored makes a partition's store one whose memory counts, from before it is
// restored; full says that no more profiles are to be kept in memory.
func (e *Engine) restored(id int32, store *profiles.Store) (full func() bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stores[id] = store
	if e.cfg.Memory == 0 {
		return nil
	}
	return func() bool { return e.memoryUsed() >= int64(e.cfg.Memory) }
}

// memoryUsed is what the profiles take, of partitions that are being restored, too.
func (e *Engine) memoryUsed() int64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	used := int64(0)
	for _, s := range e.stores {
		used += s.Memory()
	}
	return used
}

// keepBudget evicts profiles while there are more than memory says.
func (e *Engine) keepBudget(ctx context.Context) error {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			e.trim()
		}
	}
}

// trim takes from each partition in proportion to what it has.
func (e *Engine) trim() {
	used := e.memoryUsed()
	over := used - int64(e.cfg.Memory)
	if over <= 0 {
		return
	}
	for _, p := range e.ownedPartitions() {
		p.evict(int64(float64(over) * float64(p.store.Memory()) / float64(used)))
	}
}

// evict drops profiles that a snapshot has, a few at a time, so that the fold does
// not wait.
func (w *worker) evict(need int64) {
	for calls := 0; need > 0 && calls < 2*profiles.EvictCalls; calls++ {
		w.mu.Lock()
		before := w.store.InMemory()
		need -= w.store.Evict(need)
		w.moves.evicted.Add(int64(before - w.store.InMemory()))
		w.mu.Unlock()
	}
}
