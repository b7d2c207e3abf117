package recommender

import (
	"math"
	"sync/atomic"
)

// rhythms are how long customers take to buy an item again: for each item the mean
// logarithm of the time between two orders of a customer that have it, the latest
// ones weighing most. One goroutine learns; readers take no lock.
type rhythms struct{ items chunked[rhythm] }

// rhythm is how many times were learned, at most rhythmMemory, and the bits of the
// float32 mean of their logarithms, in ms; one word, so that both fit together.
type rhythm struct{ word atomic.Uint64 }

const (
	rhythmMemory = 64 // times after which the mean forgets
	rhythmProof  = 3  // times that make a rhythm known
	shortestGap  = 24 * 3600 * 1000
)

func (r *rhythm) get() (n uint32, mean float32) {
	w := r.word.Load()
	return uint32(w >> 32), math.Float32frombits(uint32(w))
}

func (r *rhythm) set(n uint32, mean float32) {
	r.word.Store(uint64(n)<<32 | uint64(math.Float32bits(mean)))
}

// learn notes that item i was bought again after a time in ms.
func (r *rhythms) learn(i uint32, gap int64) {
	if gap < shortestGap {
		return
	}
	it := r.items.grow(i)
	n, mean := it.get()
	n = min(n+1, rhythmMemory)
	it.set(n, mean+(float32(math.Log(float64(gap)))-mean)/float32(n))
}

// usual returns the logarithm of the item's usual time; not ok while it is not
// known.
func (r *rhythms) usual(i uint32) (log float64, ok bool) {
	it := r.items.get(i)
	if it == nil {
		return 0, false
	}
	n, mean := it.get()
	return float64(mean), n >= rhythmProof
}
