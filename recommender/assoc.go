package recommender

// ways is how many places a key can be in: a bucket's keys share a cache line.
const ways = 4

// assoc is a bounded map from a hash to a T: a set-associative table, in which a
// new key takes the place of the bucket's one that was used longest ago. Two keys
// with the same hash share an element. Not safe for several goroutines.
type assoc[T any] struct {
	metas []meta
	data  []T
	used  int // places that hold a key
}

type meta struct {
	key  uint64 // 0: free
	last int64  // Unix ms
}

// newAssoc returns a table for about n keys.
func newAssoc[T any](n int) assoc[T] {
	size := ways
	for size < n {
		size *= 2
	}
	return assoc[T]{metas: make([]meta, size), data: make([]T, size)}
}

func (a *assoc[T]) bucket(key uint64) int { return int(key) & (len(a.metas) - 1) &^ (ways - 1) }

// find returns the place of key, -1 when it is not there.
func (a *assoc[T]) find(key uint64) int {
	key = max(key, 1)
	first := a.bucket(key)
	for i := first; i < first+ways; i++ {
		if a.metas[i].key == key {
			return i
		}
	}
	return -1
}

// take returns the place of key, giving it one with a zero element unless the
// bucket holds only keys used after at: then it returns -1.
func (a *assoc[T]) take(key uint64, at int64) int {
	if i := a.find(key); i >= 0 {
		return i
	}
	key = max(key, 1)
	first := a.bucket(key)
	oldest := first
	for i := first; i < first+ways; i++ {
		if a.metas[i].key == 0 {
			oldest = i
			break
		}
		if a.metas[i].last < a.metas[oldest].last {
			oldest = i
		}
	}
	m := &a.metas[oldest]
	if m.key != 0 && m.last > at {
		return -1
	}
	if m.key == 0 {
		a.used++
	}
	*m = meta{key, at}
	var zero T
	a.data[oldest] = zero
	return oldest
}
