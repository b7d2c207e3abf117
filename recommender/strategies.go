package recommender

import (
	"math"
	"slices"
	"strings"
)

const (
	contextItems = 10  // newest items of a context that are looked at
	contextDecay = 0.5 // what an item weighs against the one after it
	shrinkage    = 10  // events added to each item's sum; see pairState.score
	spareRanked  = 8   // candidates ranked beyond those that are wanted
	maxRanked    = 128 // candidates ranked at first, then twice as many
)

// viewedTogether answers the neighbours of the context: the request's items, else
// the session's, else what the customer viewed last.
func (s *scratch) viewedTogether() {
	c := &s.req.Customer
	s.context = s.context[:0]
	s.contextOf(s.req.Items)
	s.contextOf(c.Session)
	if len(s.context) == 0 && c.Key != "" {
		s.liveSession(c.Key)
	}
	if len(s.context) == 0 {
		for k := range c.Recent {
			s.addContext(c.Recent[k].ID)
		}
	}
	s.neighbours(s.m.viewed, ViewedTogether)
}

// boughtTogether answers what is bought with the context: the request's items,
// else the cart, else what was bought last, else the session.
func (s *scratch) boughtTogether() {
	c := &s.req.Customer
	s.context = s.context[:0]
	s.contextOf(s.req.Items)
	s.contextOf(c.Cart)
	s.contextOf(c.Purchased)
	s.contextOf(c.Session)
	s.neighbours(s.m.bought, BoughtTogether)
}

// contextOf takes the newest of ids, oldest first, unless there is a context.
func (s *scratch) contextOf(ids []string) {
	if len(s.context) > 0 {
		return
	}
	for k := len(ids) - 1; k >= 0 && len(s.context) < contextItems; k-- {
		s.addContext(ids[k])
	}
}

// addContext adds one item that is known, newest first, without repeats.
func (s *scratch) addContext(id string) {
	if len(s.context) == contextItems {
		return
	}
	if i := s.m.ids.find(id); i != none && !slices.Contains(s.context, i) {
		s.context = append(s.context, i)
	}
}

// liveSession takes the session in progress of a customer as the context.
func (s *scratch) liveSession(key string) {
	se := s.sessionOf(key)
	s.takeSession(&se)
}

// sessionOf returns the session in progress of a customer, empty without one.
func (s *scratch) sessionOf(key string) session {
	typ, value, ok := strings.Cut(key, ":")
	if !ok {
		return session{}
	}
	now := s.now
	if now == 0 {
		now = s.m.newest.Load()
	}
	return s.m.sessions.get(keyOf(typ, value), now)
}

// takeSession makes a session the context.
func (s *scratch) takeSession(se *session) {
	for k := int(se.n) - 1; k >= 0; k-- {
		s.context = append(s.context, se.items[k])
	}
}

// neighbours offers the neighbours of the context in one model, best first; the
// context itself is not among them.
func (s *scratch) neighbours(p *pairs, reason string) {
	if len(s.context) == 0 {
		return
	}
	st := p.state.Load()
	shrink := st.shrink(p.halfLife, s.m.newest.Load())
	s.scores.reset(len(s.context) * p.slots)
	weight := 1.0
	for _, i := range s.context {
		st.score(i, weight, shrink, &s.scores)
		weight *= contextDecay
	}
	s.offerScored(reason, false)
}

// offerScored offers what was scored, best first; what is in the context only
// where that may be repeated.
func (s *scratch) offerScored(reason string, repeats bool) {
	ids := s.m.ids
	n := min(s.want+s.skip+spareRanked, maxRanked)
	for s.want > 0 {
		best := s.scores.rank(ids, n)
		if len(best) == 0 {
			return
		}
		for _, c := range best { // the memory behind them is read at once
			ids.at(c.item).now.Load()
		}
		for _, c := range best {
			if s.want > 0 && (repeats || !slices.Contains(s.context, c.item)) {
				s.offer(c.item, c.score, reason)
			}
		}
		n *= 2
	}
}

// shrink is shrinkage as a sum of the model at a time.
func (st *pairState) shrink(halfLife float64, now int64) float32 {
	x := float64(now-st.landmark) / halfLife
	return shrinkage * float32(math.Exp2(max(-maxHalfLives, min(x, maxHalfLives))))
}

// trending offers the most popular items.
func (s *scratch) trending() {
	t := s.m.trends
	st := t.state.Load()
	now := max(s.now, s.m.newest.Load())
	f := math.Exp2(-float64(now-st.landmark) / t.halfLife)
	for k := range st.n.Load() {
		if s.want == 0 {
			return
		}
		i := st.top[k].Load()
		s.offer(i, st.items.get(i).value()*f, Trending)
	}
}

// recentlyViewed answers what the customer viewed last, newest first.
func (s *scratch) recentlyViewed() {
	oldest := s.now - s.r.cfg.ViewedWindow.Milliseconds()
	for k, seen := range s.req.Customer.Recent {
		if s.want == 0 {
			return
		}
		if seen.At < oldest {
			continue
		}
		if i := s.m.ids.find(seen.ID); i != none {
			s.offer(i, 1/float64(k+1), RecentlyViewed)
		}
	}
}

// explain says how an item came to its score: in all, and what each context item
// gave to it.
func (s *scratch) explain(ranked *Ranked, i uint32) {
	ranked.Explain = map[string]float64{ranked.Reason: ranked.Score}
	var p *pairs
	switch ranked.Reason {
	case ViewedTogether:
		p = s.m.viewed
	case BoughtTogether:
		p = s.m.bought
	default:
		return
	}
	st := p.state.Load()
	shrink := st.shrink(p.halfLife, s.m.newest.Load())
	weight := 1.0
	var one scores
	for _, c := range s.context {
		one.reset(p.slots)
		st.score(c, weight, shrink, &one)
		for _, candidate := range one.list {
			if candidate.item == i {
				ranked.Explain[ranked.Reason+":"+s.m.ids.at(c).id] = candidate.score
			}
		}
		weight *= contextDecay
	}
}
