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
// Of an item's neighbours, so many are kept: admit tells which.
//
// One goroutine learns; readers take no lock and may see a part of an event.
type pairs struct {
	halfLife float64 // ms
	slots    int     // neighbours of an item
	shares   bool    // neighbours compare by their sums alone, not by similarity
	state    atomic.Pointer[pairState]
}

// pairState is replaced as a whole when the landmark moves.
type pairState struct {
	started  bool // the landmark is set
	landmark int64
	unit     float32 // what the event learned last weighs; the learner's own
	items    chunked[pairItem]
}

type pairItem struct {
	count atomic.Uint32       // bits of a float32: the item's sum
	row   atomic.Pointer[row] // nil: no neighbours
}

const (
	firstSlots = 4
	// maxHalfLives is how far time may go from the landmark, in half-lives,
	// before the landmark moves; an event so far before it weighs nothing.
	maxHalfLives = 60
	negligible   = 1e-12 // a sum below this at the moment of moving is dropped
)

func newPairs(halfLife int64, slots int, shares bool) *pairs {
	p := &pairs{halfLife: float64(halfLife), slots: slots, shares: shares}
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
		x = 0
	case x < -maxHalfLives:
		return st, 0
	}
	st.unit = float32(math.Exp2(x))
	return st, st.unit
}

// count adds w to the sum of item i.
func (st *pairState) count(i uint32, w float32) {
	c := &st.items.grow(i).count
	c.Store(math.Float32bits(math.Float32frombits(c.Load()) + w))
}

// join adds w to the sum of the pair i, j. Both must have been counted.
func (p *pairs) join(st *pairState, i, j uint32, w float32) {
	if i != j {
		p.link(st, st.items.grow(i), j, w)
		p.link(st, st.items.grow(j), i, w)
	}
}

// link adds w to neighbour j of an item.
func (p *pairs) link(st *pairState, it *pairItem, j uint32, w float32) {
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
	p.admit(st, it, j, w)
}

// admit gives neighbour j the place of the least similar one of a full row, or not:
// space-saving (Metwally et al., ICDT 2005) of similarities instead of counts, so that what
// goes is what no list would show. A new neighbour comes in so often as its similarity
// is a part of both (randomized admission, Ben Basat et al., INFOCOM 2017), so that
// many that come once do not drive out those that come again. It inherits the
// least similarity, noted as its possible error; what counts is the sum less that error.
//
// The one that came in last is in the first slot: its error tells how similar the
// least one was then, which spares most others the search for it.
func (p *pairs) admit(st *pairState, it *pairItem, j uint32, w float32) {
	r := it.row.Load()
	root := p.root(st, j)
	chance := r.chance(it.count.Load(), root)
	if !admits(chance, w/root, p.floor(st, r)) {
		return
	}
	slot, least := p.least(st, r)
	if !admits(chance, w/root, least) {
		return
	}
	if r.errs == nil {
		r = &row{r.slots, make([]atomic.Uint32, len(r.slots))}
		it.row.Store(r)
	}
	r.replace(slot, j, least*root, w)
}

// admits reports whether a neighbour may take the place of the least similar one, by a
// chance from 0 to 1.
func admits(chance, similarity, least float32) bool {
	return chance*(similarity+least) < similarity
}

// root is what j's sum is divided by to compare it with another neighbour's.
func (p *pairs) root(st *pairState, j uint32) float32 {
	if p.shares {
		return 1
	}
	return float32(math.Sqrt(float64(st.sum(j) + shrinkage*st.unit)))
}

// floor is how similar the least similar neighbour was when one came in last.
func (p *pairs) floor(st *pairState, r *row) float32 {
	if r.errs == nil {
		return 0
	}
	return math.Float32frombits(r.errs[0].Load()) / p.root(st, uint32(r.slots[0].Load()>>32)-1)
}

// least returns the first slot of the least similar neighbour, and how similar it is.
func (p *pairs) least(st *pairState, r *row) (slot int, similarity float32) {
	least := math.Inf(1) // squared
	for k := range r.slots {
		v := r.slots[k].Load()
		sum := float64(math.Float32frombits(uint32(v)))
		square := sum * sum
		if !p.shares {
			square /= float64(st.sum(uint32(v>>32)-1) + shrinkage*st.unit)
		}
		if square < least {
			least, slot = square, k
		}
	}
	return slot, float32(math.Sqrt(least))
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
