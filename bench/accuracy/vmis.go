package accuracy

import (
	"container/heap"
	"math"
)

// VMIS is VMIS-kNN (Kersbergen et al., Serenade, SIGMOD 2022): the M newest sessions
// of each of the last Last clicks, of all those the M newest, of them the K most
// similar.
type VMIS struct {
	M, K, Last int

	history
	similar, scores tally
	newest          byTime
}

// Name is "vmis".
func (v *VMIS) Name() string { return "vmis" }

// Learn implements Model.
func (v *VMIS) Learn(c Click) { v.learn(c) }

// Trained implements Model: sessions longer than 99.5 % of all are left out.
func (v *VMIS) Trained() { v.settle(0.995) }

// Answer implements Model.
func (v *VMIS) Answer(q *Question, k int, out []uint32) []uint32 {
	items := q.Items[max(0, len(q.Items)-v.Last):]
	v.search(items, q.Session)
	v.scores.reset()
	for _, s := range v.nearest(&v.similar, v.K) {
		sim := v.similar.scores[s]
		if sim == 0 {
			continue
		}
		decay := 1 - 0.1*float64(sharedPlace(items, v.sessions[s]))
		for _, i := range v.sessions[s] {
			v.scores.add(i, decay*sim*v.idf(i))
		}
	}
	return v.scores.best(k, q.Exclude, out)
}

func (v *VMIS) idf(i uint32) float64 {
	if x := math.Log(v.pairs / float64(len(v.lists[i]))); x > 0 {
		return x
	}
	return 1
}

// search gathers the candidates with their similarities.
func (v *VMIS) search(items []uint32, own uint32) {
	var distinct []uint32
	for k := len(items) - 1; k >= 0; k-- {
		if !contains(distinct, items[k]) {
			distinct = append(distinct, items[k])
		}
	}
	v.similar.reset()
	v.newest = byTime{times: v.times, list: v.newest.list[:0]}
	var met []uint32
	for pos := range items {
		item := items[len(items)-1-pos]
		if contains(met, item) {
			continue
		}
		met = append(met, item)
		v.searchItem(item, own, float64(len(items)-pos)/float64(len(distinct)))
	}
	kept := v.similar.list[:0]
	for _, s := range v.similar.list {
		if v.similar.scores[s] > 0 {
			kept = append(kept, s)
		}
	}
	v.similar.list = kept
}

func (v *VMIS) searchItem(item, own uint32, weight float64) {
	list := v.of(item)
	for n := len(list) - 1; n >= 0 && n >= len(list)-v.M; n-- {
		s := list[n]
		switch {
		case s == own:
		case v.similar.has(s) && v.similar.scores[s] > 0:
			v.similar.add(s, weight)
		case v.newest.Len() < v.M:
			v.similar.add(s, weight)
			heap.Push(&v.newest, s)
		case v.times[s] > v.times[v.newest.list[0]]:
			v.similar.scores[v.newest.list[0]] = 0
			v.similar.add(s, weight)
			v.newest.list[0] = s
			heap.Fix(&v.newest, 0)
		default:
			return
		}
	}
}

// byTime is a heap of sessions, the oldest first.
type byTime struct {
	times []int64
	list  []uint32
}

func (h *byTime) Len() int           { return len(h.list) }
func (h *byTime) Less(a, b int) bool { return h.times[h.list[a]] < h.times[h.list[b]] }
func (h *byTime) Swap(a, b int)      { h.list[a], h.list[b] = h.list[b], h.list[a] }

// Push implements heap.Interface.
func (h *byTime) Push(x any) { h.list = append(h.list, x.(uint32)) } //nolint:forcetypeassert // only search pushes

// Pop implements heap.Interface.
func (h *byTime) Pop() any {
	last := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return last
}
