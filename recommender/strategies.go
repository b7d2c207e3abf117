package recommender

import (
	"math"
	"slices"
	"strings"
)

const (
	contextItems = 10  // newest items of a context that are looked at
	pairItems    = 5   // of these, what viewed_together and bought_together ask their neighbours of
	contextDecay = 0.5 // what an item weighs against the one after it
	shrinkage    = 10  // events added to each item's sum; see pairState.score
	spareRanked  = 8   // candidates ranked beyond those that are wanted
	maxRanked    = 128 // candidates ranked at first, then twice as many
)

// fillViewedTogether scores the neighbours of the context: the request's items, else
// the session's, else what the customer viewed last.
func (s *scratch) fillViewedTogether() {
	c := &s.req.Customer
	s.context = s.context[:0]
	s.contextOf(s.items)
	s.contextOf(c.Session)
	if len(s.context) == 0 && c.Key != "" {
		s.liveSession(c.Key)
	}
	if len(s.context) == 0 {
		for k := range c.Recent {
			s.addContext(c.Recent[k].ID)
		}
	}
	s.neighbours(s.m.viewed)
}

// fillBoughtTogether scores what is bought with the context: the request's items,
// else the cart, else what was bought last, else the session.
func (s *scratch) fillBoughtTogether() {
	c := &s.req.Customer
	s.context = s.context[:0]
	s.contextOf(s.items)
	s.contextOf(c.Cart)
	s.contextOf(c.Purchased)
	s.contextOf(c.Session)
	s.neighbours(s.m.bought)
}

// contextOf takes the newest of ids, oldest first, unless there is a context.
func (s *scratch) contextOf(ids []string) {
	if len(s.context) > 0 {
		return
	}
	var numbers [findBatch]uint32
	for len(ids) > 0 && len(s.context) < contextItems {
		some := ids[max(0, len(ids)-findBatch):]
		ids = ids[:len(ids)-len(some)]
		s.m.ids.findSome(some, &numbers)
		for k := len(some) - 1; k >= 0; k-- {
			s.inOrder(numbers[k])
		}
	}
}

// inOrder adds one item that is known, newest first, without repeats.
func (s *scratch) inOrder(i uint32) {
	if i != none && len(s.context) < contextItems && !slices.Contains(s.context, i) {
		s.context = append(s.context, i)
	}
}

// addContext adds one item that is known, newest first, without repeats.
func (s *scratch) addContext(id string) { s.inOrder(s.m.ids.find(id)) }

// liveSession takes the session in progress of a customer as the context.
func (s *scratch) liveSession(key string) {
	se := s.sessionOf(key)
	s.takeSession(&se)
}

// sessionOf returns the session in progress of a customer, empty without one.
func (s *scratch) sessionOf(key string) session {
	typ, value := keyParts(key)
	if typ == "" {
		return session{}
	}
	now := s.now
	if now == 0 {
		now = s.m.newest.Load()
	}
	return s.m.sessions.get(keyOf(typ, value), now)
}

// keyParts splits a customer's key; no type is no customer.
func keyParts(key string) (typ, value string) {
	typ, value, ok := strings.Cut(key, ":")
	if !ok {
		return "", ""
	}
	return typ, value
}

// takeSession makes a session the context.
func (s *scratch) takeSession(se *session) {
	for k := int(se.n) - 1; k >= 0; k-- {
		s.context = append(s.context, se.items[k])
	}
}

// neighbours scores the neighbours of the context's newest items in one model.
func (s *scratch) neighbours(p *pairs) {
	s.context = s.context[:min(len(s.context), pairItems)]
	st := p.state.Load()
	shrink := st.shrink(p.halfLife, s.m.newest.Load())
	s.scores.reset(len(s.context) * p.slots)
	weight := 1.0
	for _, i := range s.context {
		st.score(i, weight, shrink, &s.scores)
		weight *= contextDecay
	}
}

// offerScored offers what was scored, best first; what is in the context only
// where that may be repeated. An empty reason is that of the mix.
func (s *scratch) offerScored(reason string, repeats bool) {
	ids := s.m.ids
	n := min(s.want+s.skip+spareRanked, maxRanked)
	if s.place.mmr > 0 {
		n = mmrDepth
	}
	for s.want > 0 {
		best := s.scores.rank(ids, n)
		if len(best) == 0 {
			return
		}
		for _, c := range best { // the memory behind them is read at once
			ids.at(c.item).now.Load()
		}
		if s.place.mmr > 0 {
			best = slices.DeleteFunc(best, func(c scored) bool { return !repeats && s.inContext(c.item) })
			if len(best) > 0 {
				s.offerDiverse(best, reason)
			}
			continue
		}
		for _, c := range best {
			if s.want > 0 && (repeats || !s.inContext(c.item)) {
				s.offerFor(c, reason)
			}
		}
		n *= 2
	}
}

// offerFor offers one candidate.
func (s *scratch) offerFor(c scored, reason string) bool {
	if reason == "" {
		reason = s.reasonOf(c.item)
	}
	return s.offer(c.item, c.score, reason)
}

// shrink is shrinkage as a sum of the model at a time.
func (st *pairState) shrink(halfLife float64, now int64) float32 {
	x := float64(now-st.landmark) / halfLife
	return shrinkage * float32(math.Exp2(max(-maxHalfLives, min(x, maxHalfLives))))
}

// trending offers the most popular items.
func (s *scratch) trending() {
	s.eachTrending(func(i uint32, score float64) bool {
		if s.want > 0 {
			s.offer(i, score, Trending)
		}
		return s.want > 0
	})
}

// eachTrending calls fn with the most popular items until it returns false.
func (s *scratch) eachTrending(fn func(i uint32, score float64) bool) {
	t := s.m.trends
	st := t.state.Load()
	now := max(s.now, s.m.newest.Load())
	f := math.Exp2(-float64(now-st.landmark) / t.halfLife)
	for k := range st.n.Load() {
		i := st.top[k].Load()
		if !fn(i, st.items.get(i).value()*f) {
			return
		}
	}
}

// fill scores a strategy's candidates, without asking whether they may be shown.
func (s *scratch) fill(name string) {
	switch name {
	case Session:
		s.fillSession()
	case ViewedTogether:
		s.fillViewedTogether()
	case BoughtTogether:
		s.fillBoughtTogether()
	case Similar:
		s.similarContext()
		s.fillSimilar()
	case ForYou:
		s.fillForYou()
	case BuyAgain:
		s.fillBuyAgain()
	case RecentlyViewed:
		s.context = s.context[:0]
		s.scores.reset(len(s.req.Customer.Recent))
		s.eachRecent(func(i uint32, score float64) { s.scores.add(i, score) })
	case Trending:
		s.context = s.context[:0]
		s.scores.reset(len(s.m.trends.state.Load().top))
		s.eachTrending(s.addScore)
	case Newest:
		s.context = s.context[:0]
		s.scores.reset(newestFilled)
		s.eachNewest(newestFilled, s.addScore)
	default:
		s.scores.reset(0)
	}
}

// addScore scores one candidate.
func (s *scratch) addScore(i uint32, score float64) bool {
	s.scores.add(i, score)
	return true
}

// inContext reports whether an item is one that the strategy was asked about.
func (s *scratch) inContext(item uint32) bool { return slices.Contains(s.context, item) }

// recentlyViewed answers what the customer viewed last, newest first.
func (s *scratch) recentlyViewed() {
	s.eachRecent(func(i uint32, score float64) {
		if s.want > 0 {
			s.offer(i, score, RecentlyViewed)
		}
	})
}

func (s *scratch) eachRecent(fn func(i uint32, score float64)) {
	oldest := s.now - s.r.cfg.ViewedWindow.Milliseconds()
	for k, seen := range s.req.Customer.Recent {
		if i := s.m.ids.find(seen.ID); seen.At >= oldest && i != none {
			fn(i, 1/float64(k+1))
		}
	}
}
