package recommender

import "math"

// Rules of a placement that Ranked.Explain names.
const (
	rulePin     = "rule:pin"
	rulePromote = "rule:promote"
	ruleRotate  = "rule:rotate"
	ruleMMR     = "rule:mmr"
)

const (
	mixDepth     = 200  // best items of each strategy that are mixed
	mmrDepth     = 64   // candidates that MMR chooses from at a time
	promoteScan  = 4096 // newest items of the catalogue searched for promoted ones
	maxPromoted  = 1000 // places of a list that are put in order
	newestFilled = 1000 // newest items that a mix may take
)

// weighted is a strategy and what its best item weighs in a mix.
type weighted struct {
	name   string
	weight float64
}

// origin is the strategy that gave an item of a mix the most.
type origin struct {
	reason string
	given  float64
}

// mix offers the placement's strategies together: the scores of each as parts of
// its best one, times its weight, added up. An item's reason is the strategy that
// gave it the most.
func (s *scratch) mix() {
	s.mixed.reset(mixDepth * len(s.place.mix))
	s.origins = s.origins[:0]
	for _, m := range s.place.mix {
		s.fill(m.name)
		top := s.scores.rank(s.m.ids, mixDepth)
		for _, c := range top {
			if !(top[0].score > 0) || s.inContext(c.item) {
				continue
			}
			given := m.weight * c.score / top[0].score
			at := s.mixed.add(c.item, given)
			if at == len(s.origins) {
				s.origins = append(s.origins, origin{})
			}
			if o := &s.origins[at]; given > o.given {
				*o = origin{m.name, given}
			}
		}
	}
	s.context = s.context[:0]
	s.scores, s.mixed = s.mixed, s.scores
	s.offerScored("", true)
}

// reasonOf is the reason of an item of the mix.
func (s *scratch) reasonOf(item uint32) string { return s.origins[s.scores.at(item)].reason }

// pins offers the placement's pinned items.
func (s *scratch) pins() {
	for _, id := range s.place.pin {
		if i := s.m.ids.find(id); i != none && s.want > 0 {
			s.offer(i, 0, StrategyPinned)
		}
	}
}

// promised returns how many of the first n places are for promoted items.
func (p *placement) promised(n int) int { return int(math.Floor(float64(n)*p.share + 0.5)) }

// promotes reports whether an item, as the filters see it, is promoted.
func (s *scratch) promotes(e *entry, now *current) bool {
	return s.place.promote != nil && s.place.promote(s.seen(e, now))
}

// arrange moves promoted items forward to the places that are theirs, behind those
// that are pinned; all others keep their order.
func (s *scratch) arrange() {
	items := s.answer.Items
	if len(items) > maxPromoted || len(s.promotions) != len(items) {
		return
	}
	placed := 0
	for k := range items {
		if placed < s.place.promised(k+1) && !s.promotions[k] && items[k].Reason != StrategyPinned {
			if from := s.nextPromoted(k); from > k {
				moved := items[from]
				copy(items[k+1:from+1], items[k:from])
				copy(s.promotions[k+1:from+1], s.promotions[k:from])
				items[k], s.promotions[k] = moved, true
				note(&items[k], rulePromote, float64(from-k))
			}
		}
		if s.promotions[k] {
			placed++
		}
	}
}

func (s *scratch) nextPromoted(from int) int {
	for k := from; k < len(s.promotions); k++ {
		if s.promotions[k] {
			return k
		}
	}
	return -1
}

// rotate notes which items were shown so often that they step back.
func (s *scratch) rotate() {
	s.tired.reset(0)
	if s.place.rotate == 0 {
		return
	}
	for _, shown := range s.req.Customer.Shown {
		if shown.Times >= s.place.rotate {
			s.tired.add(hashOfID(shown.ID))
		}
	}
	s.showedTooOften()
}

// offerDiverse offers candidates, best first, each time the one that is best after
// what it has in common with the items of the list is taken off (maximal marginal
// relevance, Carbonell and Goldstein, SIGIR 1998).
func (s *scratch) offerDiverse(best []scored, reason string) {
	top := best[0].score
	s.alikeness = s.alikeness[:0]
	for _, c := range best {
		s.alikeness = append(s.alikeness, s.toChosen(c.item))
	}
	for range best {
		at, value := -1, math.Inf(-1)
		for k, c := range best {
			if v := (1-s.place.mmr)*c.score/top - s.place.mmr*s.alikeness[k]; s.alikeness[k] <= 1 && v > value {
				at, value = k, v
			}
		}
		if at < 0 || s.want == 0 {
			return
		}
		s.alikeness[at] = 2 // taken
		if s.offerFor(best[at], reason) {
			s.choose(best, best[at].item)
		}
	}
}

// toChosen is the most that an item has in common with one of the list.
func (s *scratch) toChosen(item uint32) (most float64) {
	f := s.r.alike.features(item)
	for _, g := range s.chosen {
		if f != nil {
			most = max(most, float64(likeness(f, g)))
		}
	}
	return most
}

// choose notes that an item is in the list.
func (s *scratch) choose(best []scored, item uint32) {
	g := s.r.alike.features(item)
	if g == nil {
		return
	}
	s.chosen = append(s.chosen, g)
	for k, c := range best {
		if f := s.r.alike.features(c.item); f != nil && s.alikeness[k] <= 1 {
			s.alikeness[k] = max(s.alikeness[k], float64(likeness(f, g)))
		}
	}
}
