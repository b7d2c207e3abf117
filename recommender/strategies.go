package recommender

type scores struct{}

func (s *scratch) viewedTogether() {}
func (s *scratch) boughtTogether() {}
func (s *scratch) trending()       {}

// recentlyViewed answers what the customer viewed last, newest first.
func (s *scratch) recentlyViewed() {
	oldest := s.req.Now - s.r.cfg.ViewedWindow.Milliseconds()
	for k, seen := range s.req.Customer.Recent {
		if s.want == 0 {
			return
		}
		if seen.At < oldest {
			continue
		}
		if i := s.r.catalogue.items.find(seen.ID); i != none {
			s.offer(i, 1/float64(k+1), RecentlyViewed)
		}
	}
}

func (s *scratch) explain(ranked *Ranked, _ uint32) {
	ranked.Explain = map[string]float64{ranked.Reason: ranked.Score}
}
