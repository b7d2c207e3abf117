package recommender

import "slices"

// maxRanking is how many items Rank takes.
const maxRanking = 1000

// Rank puts req.Items, the first 1,000 of them, in the order in which this customer
// should see them: all of them come out, each once, unless req.Limit is above 0 and
// less. The context is what the customer did. Items score what the placement's
// strategies give them, each strategy's scores as parts of its best one here, with
// the weights of its mix, else 1, 1/2, 1/4 ... in their order, and trending last;
// of equals, the one given first. Pinned items come first, promoted ones in their
// places; those that may not be recommended here (sold out, excluded, not of this
// channel, filtered) last, with score 0 and StrategyNone. The error wraps
// ErrUnknownPlacement.
func (r *Recommender) Rank(req *Request, answer *Answer) error {
	pl, err := r.placement(req.Placement)
	if err != nil {
		return err
	}
	s := r.begin()
	s.start(req, pl, answer)
	s.items = nil
	s.rank(req.Items[:min(len(req.Items), maxRanking)])
	if n := min(max(req.Offset, 0), len(answer.Items)); n > 0 {
		answer.Items = answer.Items[n:]
	}
	if req.Limit > 0 && req.Limit < len(answer.Items) {
		answer.Items = answer.Items[:req.Limit]
	}
	s.end()
	return nil
}

// contender is an item to be ranked.
type contender struct {
	item  uint32 // none where nobody knows it
	class int8   // 0 pinned, 1 to be recommended, 2 not
	score float64
	from  origin
	id    string
}

func (s *scratch) rank(ids []string) {
	s.barred.reset(len(s.req.Exclude))
	s.barAll(s.req.Exclude)
	s.barPlacement()
	s.contenders = s.contenders[:0]
	for _, id := range ids {
		if s.shown.add(hashOfID(id)) {
			s.contenders = append(s.contenders, s.contend(id))
		}
	}
	last := 1.0
	for _, m := range s.place.weights() {
		s.contest(m)
		last = m.weight / 2
	}
	if !s.place.trends {
		s.contest(weighted{Trending, last})
	}
	slices.SortStableFunc(s.contenders, func(a, b contender) int {
		if a.class != b.class {
			return int(a.class) - int(b.class)
		}
		return compareScore(b.score, a.score)
	})
	s.promotions = s.promotions[:0]
	for k := range s.contenders {
		s.place1(&s.contenders[k])
	}
	s.arrange()
}

func compareScore(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// contend looks an item up.
func (s *scratch) contend(id string) contender {
	c := contender{item: s.m.ids.find(id), class: 1, id: id, from: origin{reason: StrategyNone}}
	switch {
	case c.item == none && (s.barred.has(hashOfID(id)) || !s.passesUnknown(id)):
		c.class = 2
	case c.item == none:
	case !s.mayShow(c.item):
		c.class = 2
	case slices.Contains(s.place.pin, id):
		c.class, c.from.reason = 0, StrategyPinned
		c.score = float64(len(s.place.pin) - slices.Index(s.place.pin, id))
	}
	return c
}

// contest adds what one strategy gives.
func (s *scratch) contest(m weighted) {
	best := 0.0
	score := s.scorer(m.name)
	s.given = s.given[:0]
	for _, c := range s.contenders {
		given := 0.0
		if c.class == 1 && c.item != none {
			given = score(c.item)
		}
		s.given = append(s.given, given)
		best = max(best, given)
	}
	if best == 0 {
		return
	}
	for k := range s.contenders {
		c, given := &s.contenders[k], m.weight*s.given[k]/best
		c.score += given
		if given > c.from.given {
			c.from = origin{m.name, given}
		}
	}
}

// scorer returns what a strategy gives to an item.
func (s *scratch) scorer(name string) func(uint32) float64 {
	switch name {
	case Trending:
		st := s.m.trends.state.Load()
		return func(i uint32) float64 {
			if it := st.items.get(i); it != nil {
				return it.value()
			}
			return 0
		}
	case Similar:
		s.similarContext()
		return s.likenessToContext
	}
	s.fill(name)
	return func(i uint32) float64 {
		if at := s.scores.at(i); at >= 0 {
			return s.scores.list[at].score
		}
		return 0
	}
}

// likenessToContext is the score of similar for one item.
func (s *scratch) likenessToContext(i uint32) (score float64) {
	f := s.r.alike.features(i)
	if f == nil {
		return 0
	}
	s.eachSimilar(func(_ uint32, g *features, weight float64) { score += weight * float64(likeness(f, g)) })
	return score
}

// place1 puts a contender at the end of the answer.
func (s *scratch) place1(c *contender) {
	ranked := Ranked{ID: c.id, Score: c.score, Reason: c.from.reason}
	promoted := false
	if c.item != none {
		e := s.m.ids.at(c.item)
		now := e.now.Load()
		if now != nil {
			ranked.Item = now.item
		}
		ranked.ID = e.id
		promoted = c.class < 2 && s.promotes(e, now)
	}
	if c.class != 1 {
		ranked.Score = 0
	}
	if len(s.answer.Items) == 0 {
		s.answer.Strategy = ranked.Reason
	}
	if s.req.Explain {
		ranked.Explain = map[string]float64{ranked.Reason: c.from.given}
		if c.class == 0 {
			ranked.Explain[rulePin] = 1
		}
	}
	s.answer.Items = append(s.answer.Items, ranked)
	s.promotions = append(s.promotions, promoted)
}
