package recommender

import (
	"math"
	"slices"
)

const (
	boughtLines = 100 // newest lines of orders that buy_again looks at
	dueFrom     = 0.8 // share of the rhythm after which an item is due
	overdue     = 0.7 // deviation of the logarithm of that share after which it is less so
	msPerDay    = 24 * 3600 * 1000
)

// fillBuyAgain scores what the customer bought and is about to need again: the
// time since, as a share of the rhythm of this customer and item, counts most where
// it is one; what was bought more often counts more. An item has no rhythm before
// it was bought twice, by this customer or by some others.
func (s *scratch) fillBuyAgain() {
	s.context = s.context[:0]
	lines := s.req.Customer.Bought
	lines = lines[max(0, len(lines)-boughtLines):]
	s.scores.reset(len(lines))
	for k := len(lines) - 1; k >= 0; k-- {
		id := lines[k].ID
		if slices.ContainsFunc(lines[k+1:], func(l Seen) bool { return l.ID == id }) {
			continue
		}
		if i := s.m.ids.find(id); i != none {
			s.scoreBuyAgain(i, lines[:k+1])
		}
	}
}

// scoreBuyAgain scores one item; the last line is its newest.
func (s *scratch) scoreBuyAgain(i uint32, lines []Seen) {
	last := lines[len(lines)-1]
	var room [boughtLines]float64
	gaps, times, after := room[:0], 1, last.At
	for k := len(lines) - 2; k >= 0; k-- {
		if l := lines[k]; l.ID == last.ID && after-l.At >= shortestGap {
			gaps = append(gaps, math.Log(float64(after-l.At)))
			times, after = times+1, l.At
		}
	}
	rhythm, ok := s.rhythm(i, gaps)
	since := s.now - last.At
	if !ok || since <= 0 {
		return
	}
	due := math.Log(float64(since)) - rhythm
	if due < math.Log(dueFrom) {
		return
	}
	s.scores.add(i, (1+math.Log(float64(times)))*math.Exp(-due*due/(2*overdue*overdue)))
}

// rhythm is the logarithm of the time, in ms, after which the customer is expected
// to buy an item again: the median of the customer's own times, with the item's
// usual time as one more of them; else the item's attribute replenish_days.
func (s *scratch) rhythm(i uint32, gaps []float64) (log float64, ok bool) {
	usual, known := s.m.rhythms.usual(i)
	n := float64(len(gaps))
	if n == 0 {
		if known {
			return usual, true
		}
		return s.replenish(i)
	}
	slices.Sort(gaps)
	own := (gaps[(len(gaps)-1)/2] + gaps[len(gaps)/2]) / 2
	if known {
		own = (n*own + usual) / (n + 1)
	}
	return own, true
}

// replenish reads the attribute replenish_days of an item.
func (s *scratch) replenish(i uint32) (log float64, ok bool) {
	now := s.m.ids.at(i).now.Load()
	if now == nil || now.item == nil {
		return 0, false
	}
	days, ok := now.item.Attributes["replenish_days"].(float64)
	return math.Log(days * msPerDay), ok && days > 0 && !math.IsInf(days, 1)
}
