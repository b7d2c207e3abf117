package recommender

import (
	"math"
	"sync/atomic"
)

// pairs is item-to-item similarity, learned one pair at a time (TencentRec,
// SIGMOD 2015): the similarity of i and j is n(i,j) / sqrt(n(i) n(j)), where n
// are sums of weights that halve with every half-life.
//
// Sums are kept as of a landmark time in the past (forward decay, Cormode et al.,
// ICDE 2009): a later event weighs more, nothing that is stored has to shrink.
// Of an item's neighbours, so many are kept, by space-saving (Metwally et al.,
// ICDT 2005) with randomized admission: a new one takes the place of the lightest, the
// less often the heavier that is, and inherits its sum, noted as its possible error;
// what counts is the sum less that error.
//
// One goroutine learns; readers take no lock and may see a part of an event.
type pairs struct {
	halfLife float64 // ms
	slots    int     // neighbours of an item
	state    atomic.Pointer[pairState]
}

// pairState is replaced as a whole when the landmark moves.
type pairState struct {
	started  bool // the landmark is set
	landmark int64
	items    chunked[pairItem]
}

type pairItem struct {
	count atomic.Uint32       // bits of a float32: the item's sum
	row   atomic.Pointer[row] // nil: no neighbours
}

// row is an item's neighbours. It grows by being replaced.
type row struct {
	slots []atomic.Uint64 // the neighbour's number + 1, and the bits of a float32; 0 free
	errs  []atomic.Uint32 // bits of a float32; nil while nothing was displaced
}

const (
	firstSlots = 4
	// maxHalfLives is how far time may go from the landmark, in half-lives,
	// before the landmark moves; an event so far before it weighs nothing.
	maxHalfLives = 60
	negligible   = 1e-12 // a sum below this at the moment of moving is dropped
)

func newPairs(halfLife int64, slots int) *pairs {
	p := &pairs{halfLife: float64(halfLife), slots: slots}
	p.state.Store(&pairState{})
	return p
}

// weigh returns the state to learn into and what an event of a time weighs there;
// 0 when it is too old to count.
func (p *pairs) weigh(at int64) (*pairState, float32) {
	st := p.state.Load()
	if !st.started {
		st = &pairState{started: true, landmark: at}
		p.state.Store(st)
	}
	x := float64(at-st.landmark) / p.halfLife
	switch {
	case x > maxHalfLives:
		st = st.moved(at, x)
		p.state.Store(st)
		return st, 1
	case x < -maxHalfLives:
		return st, 0
	}
	return st, float32(math.Exp2(x))
}

// count adds w to the sum of item i.
func (st *pairState) count(i uint32, w float32) {
	c := &st.items.grow(i).count
	c.Store(math.Float32bits(math.Float32frombits(c.Load()) + w))
}

// join adds w to the sum of the pair i, j. Both must have been counted.
func (p *pairs) join(st *pairState, i, j uint32, w float32) {
	if i != j {
		p.link(st.items.grow(i), j, w)
		p.link(st.items.grow(j), i, w)
	}
}

// link adds w to neighbour j of an item.
func (p *pairs) link(it *pairItem, j uint32, w float32) {
	r := it.row.Load()
	if r == nil {
		r = &row{slots: make([]atomic.Uint64, min(firstSlots, p.slots))}
		it.row.Store(r)
	}
	for k := range r.slots {
		v := r.slots[k].Load()
		if v == 0 {
			r.slots[k].Store(packed(j, w))
			return
		}
		if uint32(v>>32) == j+1 {
			r.slots[k].Store(packed(j, math.Float32frombits(uint32(v))+w))
			return
		}
	}
	if len(r.slots) < p.slots {
		it.row.Store(r.grown(min(2*len(r.slots), p.slots), packed(j, w)))
		return
	}
	lightest, least, state := r.lightest()
	if !admits(state^uint64(it.count.Load())<<32, least, w) {
		return
	}
	if r.errs == nil {
		r = &row{r.slots, make([]atomic.Uint32, len(r.slots))}
		it.row.Store(r)
	}
	r.errs[lightest].Store(math.Float32bits(least))
	r.slots[lightest].Store(packed(j, least+w))
}

// admits reports whether a neighbour that weighs w may take the place of the lightest: so
// often as its weight is a part of both (randomized admission, Ben Basat et al., INFOCOM
// 2017), so that many that come once do not drive out those that come again. What is
// drawn depends on sums alone: the same after a restart.
func admits(state uint64, least, w float32) bool {
	state = (state ^ state>>29) * 0xBF58476D1CE4E5B9
	state = (state ^ state>>32) * 0x94D049BB133111EB
	return float64(state>>11)/(1<<53)*float64(least+w) < float64(w)
}

// lightest returns the first slot of the least sum, and what all sums make together.
// Sums are positive, so that their bits are in the order of their values.
func (r *row) lightest() (slot int, sum float32, state uint64) {
	least := uint64(math.MaxUint64)
	for k := range r.slots {
		v := r.slots[k].Load() << 32
		least = min(least, v|uint64(k))
		state ^= v >> (k & 31)
	}
	return int(uint32(least)), math.Float32frombits(uint32(least >> 32)), state
}

func packed(j uint32, sum float32) uint64 {
	return uint64(j+1)<<32 | uint64(math.Float32bits(sum))
}

// grown returns a longer copy with one more neighbour.
func (r *row) grown(size int, next uint64) *row {
	slots := make([]atomic.Uint64, size)
	for k := range r.slots {
		slots[k].Store(r.slots[k].Load())
	}
	slots[len(r.slots)].Store(next)
	return &row{slots: slots}
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

// moved returns a copy whose landmark is at, x half-lives later.
func (st *pairState) moved(at int64, x float64) *pairState {
	f := float32(math.Exp2(-x))
	next := &pairState{started: true, landmark: at}
	for i := range st.items.len() {
		it := st.items.get(i)
		count := math.Float32frombits(it.count.Load()) * f
		if count < negligible {
			continue
		}
		to := next.items.grow(i)
		to.count.Store(math.Float32bits(count))
		if r := it.row.Load(); r != nil {
			to.row.Store(r.scaled(f))
		}
	}
	return next
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

// sum returns the sum of an item that has room in the model, else 0.
func (st *pairState) sum(i uint32) float32 {
	it := st.items.get(i)
	if it == nil {
		return 0
	}
	return math.Float32frombits(it.count.Load())
}

// score adds to each neighbour of i its similarity times weight. shrink is added
// to both items' sums: the larger, the less a few events prove.
func (st *pairState) score(i uint32, weight float64, shrink float32, s *scores) {
	it := st.items.get(i)
	if it == nil {
		return
	}
	r := it.row.Load()
	own := math.Float32frombits(it.count.Load())
	if r == nil || own <= 0 {
		return
	}
	weight /= math.Sqrt(float64(own + shrink))
	for k := 0; k < len(r.slots); k += scoreBatch {
		if !st.scoreSome(r, k, weight, shrink, s) {
			return
		}
	}
}

// scoreBatch is how many neighbours are read before any is scored, so that the
// memory behind them is fetched at once.
const scoreBatch = 16

// scoreSome scores a batch of neighbours. It reports whether there may be more.
func (st *pairState) scoreSome(r *row, from int, weight float64, shrink float32, s *scores) bool {
	var sums, others [scoreBatch]float32
	var items [scoreBatch]uint32
	slots := r.slots[from:min(from+scoreBatch, len(r.slots))]
	n := 0
	for k := range slots {
		v := slots[k].Load()
		if v == 0 {
			break
		}
		items[n], sums[n] = uint32(v>>32)-1, math.Float32frombits(uint32(v))
		others[n] = st.sum(items[n])
		n++
	}
	if r.errs != nil {
		for k := range n {
			sums[k] -= math.Float32frombits(r.errs[from+k].Load())
		}
	}
	for k := range n {
		if sums[k] > 0 && others[k] > 0 {
			s.add(items[k], weight*float64(sums[k])/math.Sqrt(float64(others[k]+shrink)))
		}
	}
	return n == scoreBatch
}
