package recommender

import (
	"math"
	"sync/atomic"
)

// row is an item's neighbours. It grows by being replaced.
type row struct {
	slots []atomic.Uint64 // the neighbour's number + 1, and the bits of a float32; 0 free
	errs  []atomic.Uint32 // bits of a float32; nil while nothing was displaced
}

func packed(j uint32, sum float32) uint64 {
	return uint64(j+1)<<32 | uint64(math.Float32bits(sum))
}

// grown returns a longer copy with one more neighbour.
func (r *row) grown(size int, next uint64) *row {
	longer := &row{slots: make([]atomic.Uint64, size)}
	for k := range r.slots {
		longer.slots[k].Store(r.slots[k].Load())
	}
	if r.errs != nil {
		longer.errs = make([]atomic.Uint32, size)
		for k := range r.errs {
			longer.errs[k].Store(r.errs[k].Load())
		}
	}
	longer.slots[len(r.slots)].Store(next)
	return longer
}

// replace puts neighbour j into the first slot and what was there into another one, whose
// neighbour goes.
func (r *row) replace(slot int, j uint32, err, w float32) {
	if slot > 0 {
		r.errs[slot].Store(math.Float32bits(math.MaxFloat32)) // until its neighbour is there
		r.slots[slot].Store(r.slots[0].Load())
		r.errs[slot].Store(r.errs[0].Load())
	}
	r.errs[0].Store(math.Float32bits(err))
	r.slots[0].Store(packed(j, err+w))
}

// chance is from 0 to 1, drawn from sums alone, so that it is the same after a restart.
func (r *row) chance(count uint32, root float32) float32 {
	x := uint64(count)<<32 | uint64(uint32(r.slots[0].Load()))
	x ^= uint64(math.Float32bits(root)) << 16
	x = (x ^ x>>29) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>32) * 0x94D049BB133111EB
	return float32(x>>40) / (1 << 24)
}

// each calls fn with each neighbour and its certain sum.
func (r *row) each(fn func(j uint32, sum, err float32)) {
	for k := range r.slots {
		v := r.slots[k].Load()
		if v == 0 {
			return
		}
		var err float32
		if r.errs != nil {
			err = math.Float32frombits(r.errs[k].Load())
		}
		fn(uint32(v>>32)-1, math.Float32frombits(uint32(v)), err)
	}
}

// scaled returns a copy with all sums times f, without what is negligible then;
// nil when nothing is left.
func (r *row) scaled(f float32) *row {
	next := &row{slots: make([]atomic.Uint64, len(r.slots))}
	if r.errs != nil {
		next.errs = make([]atomic.Uint32, len(r.errs))
	}
	n := 0
	r.each(func(j uint32, sum, err float32) {
		if sum*f < negligible {
			return
		}
		next.slots[n].Store(packed(j, sum*f))
		if next.errs != nil {
			next.errs[n].Store(math.Float32bits(err * f))
		}
		n++
	})
	if n == 0 {
		return nil
	}
	return next
}
