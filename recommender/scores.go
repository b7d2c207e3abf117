package recommender

import (
	"cmp"
	"slices"
)

// scores collects a score for each candidate, then gives them out best first.
// The zero value must be reset before use.
type scores struct {
	places []scorePlace // open addressing; a stamp of an older round is a free place
	round  uint32
	list   []scored // candidates in order of first sight
	top    []scored // what rank returned
	last   scored   // the last that it returned
	ranked bool     // it returned some
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
	s.list, s.ranked = s.list[:0], false
	if want := roomFor(n); len(s.places) < want {
		s.places, s.round = make([]scorePlace, want), 1
		return
	}
	if s.round++; s.round == 0 {
		clear(s.places)
		s.round = 1
	}
}

// add adds to the score of a candidate and returns its place in the list. There is
// room for as many as were asked for; more are passed over, with -1.
func (s *scores) add(item uint32, score float64) int {
	mask := uint32(len(s.places) - 1)
	for p := item * 0x9E3779B1 >> 7 & mask; ; p = (p + 1) & mask {
		place := &s.places[p]
		if place.round != s.round {
			if 2*len(s.list) < len(s.places) {
				*place = scorePlace{s.round, item, uint32(len(s.list))}
				s.list = append(s.list, scored{score, item})
				return len(s.list) - 1
			}
			return -1
		}
		if place.item == item {
			s.list[place.at].score += score
			return int(place.at)
		}
	}
}

// at returns the place of a candidate in the list, -1 where it is none.
func (s *scores) at(item uint32) int {
	if len(s.places) == 0 {
		return -1
	}
	mask := uint32(len(s.places) - 1)
	for p := item * 0x9E3779B1 >> 7 & mask; s.places[p].round == s.round; p = (p + 1) & mask {
		if s.places[p].item == item {
			return int(s.places[p].at)
		}
	}
	return -1
}

// scale multiplies all scores.
func (s *scores) scale(by float64) {
	for k := range s.list {
		s.list[k].score *= by
	}
}

// better orders candidates: by score, then by id.
func better(t *table, a, b scored) bool {
	if a.score != b.score {
		return a.score > b.score
	}
	return t.at(a.item).id < t.at(b.item).id
}

// rank returns the n best candidates that it has not returned since reset, best
// first; none when there are no more. No add may follow. What it returns is good
// until the next call.
func (s *scores) rank(t *table, n int) []scored {
	top := s.top[:0]
	for _, c := range s.list {
		if !s.ranked || better(t, s.last, c) {
			top = append(top, c)
		}
	}
	s.top = top
	if above, least := selectBest(top, n); least > above { // of equal ones, only so many are wanted
		sortBest(t, top[above:least])
		top = top[:n]
	}
	sortBest(t, top)
	if len(top) > 0 {
		s.ranked, s.last = true, top[len(top)-1]
	}
	return top
}

func sortBest(t *table, list []scored) {
	slices.SortFunc(list, func(a, b scored) int {
		if a.score != b.score {
			return cmp.Compare(b.score, a.score)
		}
		return cmp.Compare(t.at(a.item).id, t.at(b.item).id)
	})
}

// selectBest moves the n candidates of the highest scores to the front, in any order
// (quickselect, Hoare 1961). Where the n-th is one of several with the same score, those
// are list[above:least] and n is between; both are 0 where there are no more than n.
func selectBest(list []scored, n int) (above, least int) {
	if len(list) <= n {
		return 0, 0
	}
	for from, to := 0, len(list); ; {
		pivot := middle(list[from].score, list[(from+to)/2].score, list[to-1].score)
		above, least = from, from
		for k, end := from, to; k < end; {
			switch c := list[k]; {
			case c.score > pivot:
				list[k], list[above] = list[above], c
				above++
				k++
			case c.score < pivot:
				end--
				list[k], list[end] = list[end], c
			default:
				k++
			}
			least = k
		}
		switch {
		case n < above:
			to = above
		case n > least:
			from = least
		default:
			return above, least
		}
	}
}

// middle is the median of three.
func middle(a, b, c float64) float64 { return max(min(a, b), min(max(a, b), c)) }
