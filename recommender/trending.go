package recommender

import (
	"math"
	"sync/atomic"
)

// trending is exponentially decayed popularity. As in pairs, sums are kept as of
// a landmark (forward decay), so a sum only grows, and the best items can be kept
// in order by moving up the one that grew: the list of the top is exact.
//
// One goroutine learns; readers take no lock and may see an item that is just
// moving twice or not at all.
type trending struct {
	halfLife float64 // ms
	ids      *table
	state    atomic.Pointer[trendState]
}

// trendState is replaced as a whole when the landmark moves.
type trendState struct {
	started  bool // the landmark is set
	landmark int64
	items    chunked[trend]
	n        atomic.Uint32   // items in top
	top      []atomic.Uint32 // best first
}

type trend struct {
	sum  atomic.Uint64 // bits of a float64
	rank uint32        // place in top + 1, 0 when not there; the learner's own
}

// maxTrendHalfLives is maxHalfLives for the wider float64.
const maxTrendHalfLives = 400

func newTrending(halfLife int64, top int, ids *table) *trending {
	t := &trending{halfLife: float64(halfLife), ids: ids}
	t.state.Store(newTrendState(top))
	return t
}

func newTrendState(top int) *trendState { return &trendState{top: make([]atomic.Uint32, top)} }

func (t *trend) value() float64 { return math.Float64frombits(t.sum.Load()) }

// add gives item i a weight of w at a time.
func (t *trending) add(i uint32, at int64, w float64) {
	st := t.state.Load()
	if !st.started {
		st = newTrendState(len(st.top))
		st.started, st.landmark = true, at
		t.state.Store(st)
	}
	x := float64(at-st.landmark) / t.halfLife
	switch {
	case x > maxTrendHalfLives:
		st = t.moved(st, at, x)
		t.state.Store(st)
		x = 0
	case x < -maxTrendHalfLives:
		return
	}
	it := st.items.grow(i)
	t.raise(st, i, it, it.value()+w*math.Exp2(x))
}

// raise sets the sum of an item to a greater one and moves it up.
func (t *trending) raise(st *trendState, i uint32, it *trend, sum float64) {
	it.sum.Store(math.Float64bits(sum))
	k := it.rank
	if k == 0 {
		if k = t.enter(st, i, sum); k == 0 {
			return
		}
	}
	k--
	for ; k > 0; k-- {
		j := st.top[k-1].Load()
		ahead := st.items.get(j)
		if !better(t.ids, scored{sum, i}, scored{ahead.value(), j}) {
			break
		}
		st.top[k].Store(j)
		ahead.rank = k + 1
	}
	st.top[k].Store(i)
	it.rank = k + 1
}

// enter finds a place at the end of the top, returned as a rank, 0 when i is not
// good enough for it.
func (t *trending) enter(st *trendState, i uint32, sum float64) uint32 {
	n := st.n.Load()
	if int(n) < len(st.top) {
		st.top[n].Store(i)
		st.n.Store(n + 1)
		return n + 1
	}
	j := st.top[n-1].Load()
	last := st.items.get(j)
	if !better(t.ids, scored{sum, i}, scored{last.value(), j}) {
		return 0
	}
	last.rank = 0
	return n
}

// moved returns a copy whose landmark is at, x half-lives later.
func (t *trending) moved(st *trendState, at int64, x float64) *trendState {
	f := math.Exp2(-x)
	next := newTrendState(len(st.top))
	next.started, next.landmark = true, at
	for i := range st.items.len() {
		if sum := st.items.get(i).value() * f; sum >= negligible {
			t.raise(next, i, next.items.grow(i), sum)
		}
	}
	return next
}
