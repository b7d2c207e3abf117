package recommender

// scores collects a score for each candidate, then gives them out best first.
// The zero value must be reset before use.
type scores struct {
	places []scorePlace // open addressing; a stamp of an older round is a free place
	round  uint32
	list   []scored // candidates in order of first sight, later a heap
}

type scorePlace struct {
	round, item, at uint32
}

type scored struct {
	score float64
	item  uint32
}

// reset makes room for n candidates.
func (s *scores) reset(n int) {
	s.list = s.list[:0]
	if want := roomFor(n); len(s.places) < want {
		s.places, s.round = make([]scorePlace, want), 1
		return
	}
	if s.round++; s.round == 0 {
		clear(s.places)
		s.round = 1
	}
}

// add adds to the score of a candidate. There is room for as many as were asked
// for; more are passed over.
func (s *scores) add(item uint32, score float64) {
	mask := uint32(len(s.places) - 1)
	for p := item * 0x9E3779B1 >> 7 & mask; ; p = (p + 1) & mask {
		place := &s.places[p]
		if place.round != s.round {
			if 2*len(s.list) < len(s.places) {
				*place = scorePlace{s.round, item, uint32(len(s.list))}
				s.list = append(s.list, scored{score, item})
			}
			return
		}
		if place.item == item {
			s.list[place.at].score += score
			return
		}
	}
}

// addWithin is add while there are fewer than limit candidates; then it only adds
// to the score of those.
func (s *scores) addWithin(item uint32, score float64, limit int) {
	mask := uint32(len(s.places) - 1)
	for p := item * 0x9E3779B1 >> 7 & mask; ; p = (p + 1) & mask {
		place := &s.places[p]
		if place.round != s.round {
			if len(s.list) < limit {
				*place = scorePlace{s.round, item, uint32(len(s.list))}
				s.list = append(s.list, scored{score, item})
			}
			return
		}
		if place.item == item {
			s.list[place.at].score += score
			return
		}
	}
}

// better orders candidates: by score, then by id.
func better(t *table, a, b scored) bool {
	if a.score != b.score {
		return a.score > b.score
	}
	return t.at(a.item).id < t.at(b.item).id
}

// order makes the list a heap; no add may follow.
func (s *scores) order(t *table) {
	for i := len(s.list)/2 - 1; i >= 0; i-- {
		s.sift(t, i)
	}
}

// next takes the best candidate left.
func (s *scores) next(t *table) (best scored, ok bool) {
	n := len(s.list) - 1
	if n < 0 {
		return scored{}, false
	}
	best = s.list[0]
	s.list[0] = s.list[n]
	s.list = s.list[:n]
	s.sift(t, 0)
	return best, true
}

func (s *scores) sift(t *table, i int) {
	for {
		child := 2*i + 1
		if child >= len(s.list) {
			return
		}
		if child+1 < len(s.list) && better(t, s.list[child+1], s.list[child]) {
			child++
		}
		if !better(t, s.list[child], s.list[i]) {
			return
		}
		s.list[i], s.list[child] = s.list[child], s.list[i]
		i = child
	}
}
