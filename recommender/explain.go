package recommender

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
		if at := one.at(i); at >= 0 {
			ranked.Explain[ranked.Reason+":"+s.m.ids.at(c).id] = one.list[at].score
		}
		weight *= contextDecay
	}
}

// explainRules says which rules moved an item.
func (s *scratch) explainRules(e *entry, ranked *Ranked) {
	if ranked.Reason == StrategyPinned {
		note(ranked, rulePin, 1)
	}
	if s.place.mmr > 0 {
		note(ranked, ruleMMR, s.place.mmr)
	}
	for _, shown := range s.req.Customer.Shown {
		if s.place.rotate > 0 && shown.Times >= s.place.rotate && shown.ID == e.id {
			note(ranked, ruleRotate, float64(shown.Times))
		}
	}
}

// explainAll adds to each item of the answer what the placement's other strategies
// give to it.
func (s *scratch) explainAll() {
	for _, name := range s.place.strategies {
		s.fill(name)
		for k := range s.answer.Items {
			ranked := &s.answer.Items[k]
			i := s.m.ids.find(ranked.ID)
			if _, ok := ranked.Explain[name]; ok || i == none {
				continue
			}
			if at := s.scores.at(i); at >= 0 {
				note(ranked, name, s.scores.list[at].score)
			}
		}
	}
}

// note adds to the explanation of an item that has one.
func note(ranked *Ranked, name string, value float64) {
	if ranked.Explain != nil {
		ranked.Explain[name] = value
	}
}
