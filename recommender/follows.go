package recommender

import "math"

// followSteps is how many items before one it is learned to follow: the last fully,
// the one before it by half, then by a third.
const followSteps = 3

// learnFollowing notes that an item was viewed after the others of its session.
func (m *models) learnFollowing(i uint32, others *session, at int64) {
	st, w := m.follows.weigh(at)
	if w == 0 {
		return
	}
	for k := range min(others.n, followSteps) {
		j := others.items[others.n-1-k]
		if k == 0 {
			st.count(j, w)
		}
		m.follows.link(st, st.items.grow(j), i, w/float32(k+1))
	}
}

// following adds to the items that were viewed after those of the context how
// often that was, as a share of all that came after: the order of views, which
// neither past sessions as a whole nor viewed_together tell.
func (s *scratch) following(w *sessionWeights) {
	p := s.m.follows
	st := p.state.Load()
	shrink := st.shrink(p.halfLife, s.m.newest.Load()) * float32(w.FollowProof/shrinkage)
	weight := w.Follow
	for _, i := range s.context[:min(len(s.context), w.Pairs)] {
		if it := st.items.get(i); it != nil {
			st.scoreFollowing(it, weight, shrink, &s.scores)
		}
		weight *= w.FollowDecay
	}
}

// scoreFollowing adds weight times the share of each item that followed one.
func (st *pairState) scoreFollowing(it *pairItem, weight float64, shrink float32, s *scores) {
	r := it.row.Load()
	if r == nil {
		return
	}
	weight /= float64(math.Float32frombits(it.count.Load()) + shrink)
	for k := range r.slots {
		v := r.slots[k].Load()
		if v == 0 {
			return
		}
		sum := math.Float32frombits(uint32(v))
		if r.errs != nil {
			sum -= math.Float32frombits(r.errs[k].Load())
		}
		if sum > 0 {
			s.add(uint32(v>>32)-1, weight*float64(sum))
		}
	}
}
