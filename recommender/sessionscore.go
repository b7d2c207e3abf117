package recommender

import (
	"math"
	"slices"
)

// SessionParams are the parameters of the strategy session. The zero value takes
// the defaults named beside the fields, which serve every data set that was
// measured (docs/recommender.md).
type SessionParams struct {
	Items       int     // 10: newest items of the session in progress that are looked at, at most 10
	Depth       int     // 128: newest sessions looked at for each of them, rounded up to a power of two
	Candidates  int     // 96: sessions compared in all; the newest item's come first
	Recency     float64 // 1: items after which an item of the session in progress weighs 1/e
	Age         float64 // 100: days after which a past session weighs 1/e
	Distance    float64 // 0.5: items away from the shared one at which an item of a past session weighs 1/e
	Before      float64 // 0.5: what an item before the shared one weighs against one after it
	Shared      float64 // 1: items back in the session in progress at which the newest shared one weighs 1/e
	Return      float64 // 9: times the share of views that go back in their session: what an older item of it weighs
	Stay        float64 // 100: times the square of the share of views, at such a step, that repeat the one before: what the newest item weighs
	BackOff     float64 // 1.5: weight of viewed_together, against neighbours of a similarity of one
	Follow      float64 // 0.25: weight of what directly followed the item, as a share of all that did
	FollowProof float64 // 15: views added to all that did: the more, the less a few prove
	FollowDecay float64 // 0.3: what an item of the session in progress weighs there against the one after it
	Place       float64 // 2: weight of what is viewed from where the customer is, as a share of all that is
	PlaceDecay  float64 // 0.1: what the place before weighs against that
	PlaceProof  float64 // 15: as FollowProof
	Category    float64 // 0.1: weight of what is viewed after an item viewed in the category that the newest was viewed in
	Earlier     float64 // 0.05: weight of the item that the customer viewed last before this session, the next ones half, a third ...
	EarlierUp   float64 // 1.5: times which such an item's score counts
	Pairs       int     // 3: newest items whose neighbours, and what followed them, are looked at
}

func (p SessionParams) withDefaults() SessionParams {
	setInt(&p.Items, contextItems)
	p.Items = min(p.Items, contextItems)
	setInt(&p.Depth, 128)
	setInt(&p.Candidates, 96)
	setFloat(&p.Recency, 1)
	setFloat(&p.Age, 100)
	setFloat(&p.Distance, 0.5)
	setFloat(&p.Before, 0.5)
	setFloat(&p.Shared, 1)
	setFloat(&p.Return, 9)
	setFloat(&p.Stay, 100)
	setFloat(&p.BackOff, 1.5)
	setInt(&p.Pairs, 3)
	setFloat(&p.Follow, 0.25)
	setFloat(&p.FollowProof, 15)
	setFloat(&p.FollowDecay, 0.3)
	setFloat(&p.Place, 2)
	setFloat(&p.PlaceDecay, 0.1)
	setFloat(&p.PlaceProof, 15)
	setFloat(&p.Category, 0.1)
	setFloat(&p.Earlier, 0.05)
	setFloat(&p.EarlierUp, 1.5)
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

// fillSession scores what shoppers with sessions like this one went on to view:
// session kNN, candidates as VMIS-kNN finds them (Serenade, SIGMOD 2022), scored as
// by VSTAN (Ludewig et al., UMUAI 2021), and viewed_together where they are few.
func (s *scratch) fillSession() {
	se := s.sessionContext()
	if len(s.context) == 0 && se.places[0] == 0 {
		s.scores.reset(0)
		return
	}
	w := s.m.weights
	s.context = s.context[:min(len(s.context), w.Items)]
	s.scores.reset(w.Candidates*slotItems/2 + (2*w.Pairs+sessionPlaces+1)*s.m.viewed.slots + len(s.req.Customer.Recent))
	support := s.scoreSessions(w)
	s.backOff(w, support)
	s.following(w)
	s.fromPlaces(w, &se)
	s.earlier(w)
	if s.req.Repeats {
		s.favour(w)
	}
}

// sessionContext takes the session in progress as the context, newest first: the
// request's items, else the customer's session, else what was learned of it.
func (s *scratch) sessionContext() (se session) {
	c := &s.req.Customer
	s.context = s.context[:0]
	s.contextOf(s.items)
	s.contextOf(c.Session)
	s.own = 0
	if c.Key != "" {
		se = s.sessionOf(c.Key)
		s.own = se.number
		if len(s.context) == 0 {
			s.takeSession(&se)
		}
	}
	return se
}

// earlier adds the items that the customer viewed before this session: people come
// back to them.
func (s *scratch) earlier(w *sessionWeights) {
	n := 0.0
	var ids [findBatch]string
	var numbers [findBatch]uint32
	for recent := s.req.Customer.Recent; len(recent) > 0; {
		some := min(len(recent), findBatch)
		for k := range some {
			ids[k] = recent[k].ID
		}
		recent = recent[some:]
		s.m.ids.findSome(ids[:some], &numbers)
		for _, i := range numbers[:some] {
			if i == none || s.inContext(i) {
				continue
			}
			n++
			if at := s.scores.add(i, w.Earlier/n); at >= 0 {
				s.scores.list[at].score *= w.EarlierUp
			}
		}
	}
}

// scoreSessions gives the items of sessions that share one with the context their
// scores: those with its newest item first, the newest session first, until there
// were enough. It returns the sum of the sessions' similarities.
func (s *scratch) scoreSessions(w *sessionWeights) (support float64) {
	q := sessionQuery{w: w, norm: w.norms[len(s.context)], now: s.m.newest.Load(), seen: s.contextBits(), left: w.Candidates}
	for k, i := range s.context {
		numbers, last, count := s.m.index.of(i)
		q.place = k
		mask := uint32(len(numbers) - 1) //nolint:gosec // at most 2^16
		for j := uint32(0); j < count; j += scoreBatch {
			var batch [scoreBatch]uint32
			n := min(scoreBatch, count-j)
			for b := range n {
				batch[b] = numbers[(last-j-b)&mask].Load()
			}
			s.m.index.fetch(batch[:n])
			for _, number := range batch[:n] {
				s.scoreSession(&q, number)
				if q.left == 0 {
					return q.support
				}
			}
		}
	}
	return q.support
}

// sessionQuery is the session in progress as past ones are compared with it.
type sessionQuery struct {
	w       *sessionWeights
	norm    float64 // of its items' weights
	now     int64
	seen    uint64 // contextBits
	place   int    // in the context of the item whose sessions are looked at
	left    int    // sessions still to be compared
	support float64
}

// scoreSession gives each item of one session its score. Sessions with a newer item
// of the context were met before.
func (s *scratch) scoreSession(q *sessionQuery, number uint32) {
	var items [slotItems]uint32
	n, at := s.m.index.read(number, &items)
	last, newest, weight, marks := s.shared(items[:n], q)
	if newest != q.place || number == s.own {
		return
	}
	w := q.w
	sim := weight * q.norm * w.lengths[n] * w.age[min(max(0, (q.now-at)/w.step), ages)]
	q.support += sim
	q.left--
	if s.req.Repeats {
		marks = 0
	}
	score := sim * w.shared[newest]
	away := w.away[slotItems-1-last:]
	for k := range n {
		if marks>>k&1 == 0 {
			s.scores.add(items[k], score*away[k])
		}
	}
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
// the newest place in the context of any of them, what they weigh and a bit for
// each.
func (s *scratch) shared(items []uint32, q *sessionQuery) (last, newest int, weight float64, marks uint32) {
	newest = contextItems
	for k, i := range items {
		if q.seen>>(i&63)&1 == 0 {
			continue
		}
		if c := slices.Index(s.context, i); c >= 0 {
			last, newest = k, min(newest, c)
			weight += q.w.recency[c]
			marks |= 1 << k
		}
	}
	return last, newest, weight, marks
}

// backOff makes the scores a mean over neighbours and adds viewed_together, which
// counts the more the fewer the neighbours.
func (s *scratch) backOff(w *sessionWeights, support float64) {
	f := 1 / (support + 1)
	s.scores.scale(f)
	p := s.m.viewed
	st := p.state.Load()
	shrink := st.shrink(p.halfLife, s.m.newest.Load())
	weight := w.BackOff * f
	for _, i := range s.context[:min(len(s.context), w.Pairs)] {
		st.score(i, weight, shrink, &s.scores)
		weight *= contextDecay
	}
}
