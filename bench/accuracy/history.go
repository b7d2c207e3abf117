package accuracy

import (
	"cmp"
	"slices"
)

// history is what the two kNN baselines search: each session's distinct items and
// each item's sessions.
type history struct {
	sessions [][]uint32 // items in order of first sight
	times    []int64    // of the latest click
	lists    [][]uint32 // an item's sessions, oldest first
	pairs    float64    // (session, item) pairs
	events   float64    // clicks
	clicks   []float64  // of each item
}

func (h *history) learn(c Click) {
	s := at(&h.sessions, c.Session)
	t := at(&h.times, c.Session)
	*t = max(*t, c.At)
	h.events++
	*at(&h.clicks, c.Item)++
	if contains(*s, c.Item) {
		return
	}
	*s = append(*s, c.Item)
	list := at(&h.lists, c.Item)
	*list = append(*list, c.Session)
	h.pairs++
}

// settle puts each item's sessions in order of their latest click and leaves out
// sessions with more items than the quantile (of 1) of all; 0 keeps all.
func (h *history) settle(quantile float64) {
	if quantile > 0 {
		h.dropLong(quantile)
	}
	for _, list := range h.lists {
		slices.SortStableFunc(list, func(a, b uint32) int {
			return cmp.Or(cmp.Compare(h.times[a], h.times[b]), cmp.Compare(a, b))
		})
	}
}

func (h *history) dropLong(quantile float64) {
	var lengths []int
	for _, s := range h.sessions {
		if len(s) > 0 {
			lengths = append(lengths, len(s))
		}
	}
	if len(lengths) == 0 {
		return
	}
	slices.Sort(lengths)
	limit := lengths[int(quantile*float64(len(lengths)-1))]
	for i := range h.lists {
		h.lists[i] = slices.DeleteFunc(h.lists[i], func(s uint32) bool { return len(h.sessions[s]) > limit })
	}
	for s := range h.sessions {
		if len(h.sessions[s]) > limit {
			h.pairs -= float64(len(h.sessions[s]))
			h.sessions[s] = nil
		}
	}
}

// of returns an item's sessions, oldest first.
func (h *history) of(item uint32) []uint32 {
	if int(item) < len(h.lists) {
		return h.lists[item]
	}
	return nil
}

// nearest keeps the k sessions of the tally with the highest scores, the newer of
// two equals.
func (h *history) nearest(t *tally, k int) []uint32 {
	slices.SortFunc(t.list, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(t.scores[b], t.scores[a]), cmp.Compare(h.times[b], h.times[a]), cmp.Compare(b, a))
	})
	return t.list[:min(k, len(t.list))]
}

// sharedPlace returns how far from the end of the session so far, 1 the last click, the
// first item is that a neighbour has, 0 when there is none.
func sharedPlace(items, neighbour []uint32) int {
	for k := len(items) - 1; k >= 0; k-- {
		if contains(neighbour, items[k]) {
			return len(items) - k
		}
	}
	return 0
}
