package recommender

// similarItems is how many of the newest items of the context similar looks at.
const similarItems = 3

// similar answers items of the same category or brand as the context's, the more
// they have in common the better; a new item takes part as soon as the catalogue
// has it. Of each item of the context it knows those most like it; only where
// they do not fill the list are all compared.
func (s *scratch) similar() {
	s.similarContext()
	more := s.fromKept()
	if s.want == 0 || !more {
		return
	}
	s.scores.reset(2 * shelfItems * similarItems)
	s.eachSimilar(func(i uint32, f *features, weight float64) {
		s.r.alike.each(i, f, func(j uint32, like float32) { s.scores.add(j, weight*float64(like)) })
	})
	s.offerScored(Similar, false)
}

// similarContext takes the session in progress as the context, else what was viewed
// last.
func (s *scratch) similarContext() {
	s.sessionContext()
	if len(s.context) == 0 {
		for k := range s.req.Customer.Recent {
			s.addContext(s.req.Customer.Recent[k].ID)
		}
	}
	s.context = s.context[:min(len(s.context), similarItems)]
}

// fillSimilar scores what the kept lists hold. It returns the last of them, how
// many there were and whether there may be more items.
func (s *scratch) fillSimilar() (one *alike, lists int, more bool) {
	s.scores.reset(alikeItems * similarItems)
	s.eachSimilar(func(i uint32, f *features, weight float64) {
		one = s.r.alike.of(i, f)
		lists++
		more = more || one.more
		for _, m := range one.near[:one.n] {
			s.scores.add(m.item, weight*float64(m.score))
		}
	})
	return one, lists, more
}

// fromKept offers what the kept lists hold. It reports whether there may be more.
func (s *scratch) fromKept() bool {
	one, lists, more := s.fillSimilar()
	if lists != 1 || s.place.mmr > 0 {
		s.offerScored(Similar, false)
		return more
	}
	for _, m := range one.near[:one.n] { // is in order already
		if s.want > 0 && !s.inContext(m.item) {
			s.offer(m.item, float64(m.score), Similar)
		}
	}
	return more
}

// eachSimilar calls fn with each item of the context that the catalogue has, and
// its weight.
func (s *scratch) eachSimilar(fn func(i uint32, f *features, weight float64)) {
	weight := 1.0
	for _, i := range s.context {
		if f := s.r.alike.features(i); f != nil {
			fn(i, f, weight)
			weight *= contextDecay
		}
	}
}
