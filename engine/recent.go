package engine

import "sync"

// recentKept is how many messages, and how many dead letters, can be listed.
const recentKept = 10_000

// recent keeps the latest things, for lists over HTTP. A thing that comes
// again under the same key is kept once.
type recent[T any] struct {
	key func(*T) string

	mu    sync.RWMutex
	ring  []T
	next  int64            // number of the next one
	index map[string]int64 // key → number
}

func newRecent[T any](n int, key func(*T) string) *recent[T] {
	return &recent[T]{key: key, ring: make([]T, 0, n), index: make(map[string]int64, n)}
}

func (r *recent[T]) at(n int64) *T { return &r.ring[n%int64(cap(r.ring))] }

func (r *recent[T]) add(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.key(&v)
	if _, known := r.index[k]; known {
		return
	}
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, v)
	} else {
		delete(r.index, r.key(r.at(r.next)))
		*r.at(r.next) = v
	}
	r.index[k] = r.next
	r.next++
}

// update changes the one with this key, if it is still kept.
func (r *recent[T]) update(key string, change func(*T)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.index[key]; ok {
		change(r.at(n))
	}
}

// list returns at most limit of those that match accepts, newest first, older
// than number before (0: from the newest), and the number to go on from (0: no
// more).
func (r *recent[T]) list(limit int, before int64, match func(*T) bool) (found []T, next int64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	from := r.next - 1
	if before > 0 {
		from = min(from, before-1)
	}
	for n := from; n >= r.next-int64(len(r.ring)); n-- {
		v := r.at(n)
		if !match(v) {
			continue
		}
		if len(found) == limit {
			return found, n + 1
		}
		found = append(found, *v)
	}
	return found, 0
}
