package recommender

import (
	"math"
	"slices"
	"sync/atomic"
)

// SessionParams are the parameters of the strategy session. The zero value takes
// the defaults named beside the fields, which serve every data set that was
// measured (docs/recommender.md).
type SessionParams struct {
	Items      int     // 10: newest items of the session in progress that are looked at, at most 10
	Depth      int     // 128: newest sessions looked at for each of them, rounded up to a power of two
	Candidates int     // 128: sessions compared in all; the newest item's come first
	Recency    float64 // 1: items after which an item of the session in progress weighs 1/e
	Age        float64 // 100: days after which a past session weighs 1/e
	Distance   float64 // 0.5: items away from the shared one at which an item of a past session weighs 1/e
	Before     float64 // 0.5: what an item before the shared one weighs against one after it
	Shared     float64 // 1: items back in the session in progress at which the newest shared one weighs 1/e
	Return     float64 // 9: times the share of views that go back in their session: what an older item of it weighs
	BackOff    float64 // 1.5: weight of viewed_together, against neighbours of a similarity of one
	Pairs      int     // 3: newest items whose neighbours back-off looks at
}

func (p SessionParams) withDefaults() SessionParams {
	setInt(&p.Items, contextItems)
	p.Items = min(p.Items, contextItems)
	setInt(&p.Depth, 128)
	setInt(&p.Candidates, 128)
	setFloat(&p.Recency, 1)
	setFloat(&p.Age, 100)
	setFloat(&p.Distance, 0.5)
	setFloat(&p.Before, 0.5)
	setFloat(&p.Shared, 1)
	setFloat(&p.Return, 9)
	setFloat(&p.BackOff, 1.5)
	setInt(&p.Pairs, 3)
	return p
}

func setFloat(v *float64, def float64) {
	if !(*v > 0) {
		*v = def
	}
}

// ageSteps is how finely the age of a session is told: so many steps for each
// SessionParams.Age, up to five times that.
const (
	ageSteps = 16
	ages     = 5 * ageSteps
)

// sessionWeights are the exponentials of SessionParams, computed once.
type sessionWeights struct {
	SessionParams
	recency [contextItems]float64     // by place in the session in progress, 0 the newest
	shared  [contextItems]float64     // by place of the newest shared item
	away    [2*slotItems - 1]float64  // by distance from the shared item, slotItems-1 is 0
	lengths [slotItems + 1]float64    // 1/sqrt of a session's length
	norms   [contextItems + 1]float64 // 1/sqrt of the sum of squares of recency
	age     [ages + 1]float64         // by age in steps
	step    int64                     // of age, ms
}

func newSessionWeights(p SessionParams) *sessionWeights {
	w := &sessionWeights{SessionParams: p}
	squares := 0.0
	for k := range contextItems {
		w.recency[k] = math.Exp(-float64(k) / p.Recency)
		w.shared[k] = math.Exp(-float64(k) / p.Shared)
		squares += w.recency[k] * w.recency[k]
		w.norms[k+1] = 1 / math.Sqrt(squares)
	}
	for k := range w.away {
		d := float64(k - slotItems + 1)
		w.away[k] = math.Exp(-math.Abs(d) / p.Distance)
		if d < 0 {
			w.away[k] *= p.Before
		}
	}
	for k := range slotItems {
		w.lengths[k+1] = 1 / math.Sqrt(float64(k+1))
	}
	for k := range w.age {
		w.age[k] = math.Exp(-float64(k) / ageSteps)
	}
	w.step = max(1, int64(p.Age*24*3600*1000/ageSteps))
	return w
}

// session answers what shoppers with sessions like this one went on to view:
// session kNN, candidates as VMIS-kNN finds them (Serenade, SIGMOD 2022), scored as
// by VSTAN (Ludewig et al., UMUAI 2021), and viewed_together where they are few.
func (s *scratch) session() {
	s.sessionContext()
	if len(s.context) == 0 {
		return
	}
	w := s.m.weights
	s.context = s.context[:min(len(s.context), w.Items)]
	s.scores.reset(w.Candidates*slotItems/2 + w.Pairs*s.m.viewed.slots)
	s.candidates(w)
	support := s.scoreSessions(w)
	s.backOff(w, support)
	if s.req.Repeats {
		s.favour(max(0.8, min(w.Return*s.m.returns.share(), 4)), s.contextBits())
	}
	ids := s.m.ids
	s.scores.order(ids)
	for s.want > 0 {
		best, ok := s.scores.next(ids)
		if !ok {
			return
		}
		if s.req.Repeats || !slices.Contains(s.context, best.item) {
			s.offer(best.item, best.score, Session)
		}
	}
}

// sessionContext takes the session in progress as the context, newest first: the
// request's items, else the customer's session, else what was learned of it.
func (s *scratch) sessionContext() {
	c := &s.req.Customer
	s.context = s.context[:0]
	s.contextOf(s.req.Items)
	s.contextOf(c.Session)
	s.own = 0
	if c.Key != "" {
		se := s.sessionOf(c.Key)
		s.own = se.number
		if len(s.context) == 0 {
			s.takeSession(&se)
		}
	}
}

// candidates gathers the sessions that share an item with the context, newest
// item and newest session first, each with the weight of what it shares.
func (s *scratch) candidates(w *sessionWeights) {
	x := s.m.index
	s.found.reset(w.Candidates)
	for k, i := range s.context {
		weight := w.recency[k]
		numbers, last, count := x.of(i)
		mask := uint32(len(numbers) - 1)
		for j := range count {
			s.found.addWithin(numbers[(last-j)&mask].Load(), weight, w.Candidates)
		}
	}
}

// scoreSessions gives each item of the sessions found its score. It returns the
// sum of their similarities.
func (s *scratch) scoreSessions(w *sessionWeights) (support float64) {
	norm := w.norms[len(s.context)]
	now := s.m.newest.Load()
	seen := s.contextBits()
	for found := s.found.list; len(found) > 0; {
		batch := found[:min(scoreBatch, len(found))]
		found = found[len(batch):]
		s.m.index.fetch(batch)
		for _, c := range batch {
			support += s.scoreSession(w, c.item, c.score*norm, now, seen)
		}
	}
	return support
}

// scoreSession gives each item of one session its score and returns the session's
// similarity; what the session shares weighs weight.
func (s *scratch) scoreSession(w *sessionWeights, number uint32, weight float64, now int64, seen uint64) float64 {
	if number == s.own {
		return 0
	}
	var items [slotItems]uint32
	n, at := s.m.index.read(number, &items)
	place, newest := s.shared(items[:n], seen)
	if place < 0 {
		return 0
	}
	sim := weight * w.lengths[n] * w.age[min(max(0, (now-at)/w.step), ages)]
	score := sim * w.shared[newest]
	for k := range n {
		s.scores.add(items[k], score*w.away[k-place+slotItems-1])
	}
	return sim
}

// contextBits has a bit for each item of the context: an item whose bit is not
// set is none of them.
func (s *scratch) contextBits() (b uint64) {
	for _, i := range s.context {
		b |= 1 << (i & 63)
	}
	return b
}

// shared returns the last place of a context item among the items of a session,
// -1 when there is none, and the newest place in the context of any of them.
func (s *scratch) shared(items []uint32, seen uint64) (place, newest int) {
	place, newest = -1, contextItems
	for k, i := range items {
		if seen>>(i&63)&1 == 0 {
			continue
		}
		if c := slices.Index(s.context, i); c >= 0 {
			place, newest = k, min(newest, c)
		}
	}
	return place, newest
}

// backOff makes the scores a mean over neighbours and adds viewed_together, which
// counts the more the fewer the neighbours.
func (s *scratch) backOff(w *sessionWeights, support float64) {
	f := 1 / (support + 1)
	for k := range s.scores.list {
		s.scores.list[k].score *= f
	}
	p := s.m.viewed
	st := p.state.Load()
	shrink := st.shrink(p.halfLife, s.m.newest.Load())
	weight := w.BackOff * f
	for _, i := range s.context[:min(len(s.context), w.Pairs)] {
		st.score(i, weight, shrink, &s.scores)
		weight *= contextDecay
	}
}

// returns counts views that are not the first of their session nor of its newest item,
// and those among them of an item that the session had before.
type returns struct{ moves, back atomic.Uint64 }

// learn counts one such view; fresh says that the session did not have its item.
func (r *returns) learn(fresh bool) {
	r.moves.Add(1)
	if !fresh {
		r.back.Add(1)
	}
}

// share is the share that goes back, 1/7 where little is known.
func (r *returns) share() float64 {
	return (float64(r.back.Load()) + 100./7) / (float64(r.moves.Load()) + 100)
}

// favour raises the items that the session in progress may come back to.
func (s *scratch) favour(factor float64, seen uint64) {
	for k := range s.scores.list {
		c := &s.scores.list[k]
		if seen>>(c.item&63)&1 == 1 && slices.Index(s.context, c.item) > 0 {
			c.score *= factor
		}
	}
}
