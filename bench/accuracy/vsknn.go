package accuracy

import (
	"cmp"
	"math"
	"slices"
)

// VSKNN is VS-kNN (Ludewig and Jannach, UMUAI 2018) as session-rec has it: of the
// Sample newest sessions that share an item, the K most similar; later items of the
// session so far weigh more.
type VSKNN struct {
	K, Sample int
	IDF       float64 // weight of the inverse frequency of items

	history
	similar, scores tally
	found           []uint32
}

// Name is "vsknn".
func (v *VSKNN) Name() string { return "vsknn" }

// Learn implements Model.
func (v *VSKNN) Learn(c Click) { v.learn(c) }

// Trained implements Model.
func (v *VSKNN) Trained() { v.settle(0) }

// Answer implements Model.
func (v *VSKNN) Answer(q *Question, k int, out []uint32) []uint32 {
	weights, distinct := v.weigh(q.Items)
	v.sample(distinct, q.Session)
	v.similar.reset()
	for _, s := range v.found {
		for _, i := range v.sessions[s] {
			if n := slices.Index(distinct, i); n >= 0 {
				v.similar.add(s, weights[n]/float64(len(distinct)))
			}
		}
	}
	v.scores.reset()
	for _, s := range v.nearest(&v.similar, v.K) {
		decay := max(0, 1-0.1*float64(sharedPlace(q.Items, v.sessions[s])))
		for _, i := range v.sessions[s] {
			idf := 1.0
			if v.IDF > 0 {
				idf += v.IDF * math.Log(float64(len(v.sessions))/v.clicks[i])
			}
			v.scores.add(i, decay*v.similar.scores[s]*idf)
		}
	}
	return v.scores.best(k, q.Exclude, out)
}

// weigh returns the distinct items and the weight of each one's last click.
func (v *VSKNN) weigh(items []uint32) (weights []float64, distinct []uint32) {
	for k := len(items) - 1; k >= 0; k-- {
		if !contains(distinct, items[k]) {
			distinct = append(distinct, items[k])
			weights = append(weights, float64(k+1)/float64(len(items)))
		}
	}
	return weights, distinct
}

// sample gathers the newest sessions that have any of some items. Beyond the newest
// Sample of each item there can be none of them.
func (v *VSKNN) sample(items []uint32, own uint32) {
	v.found = v.found[:0]
	v.similar.reset()
	for _, i := range items {
		list := v.of(i)
		for _, s := range list[max(0, len(list)-v.Sample-1):] {
			if s != own && !v.similar.has(s) {
				v.similar.add(s, 0)
				v.found = append(v.found, s)
			}
		}
	}
	if len(v.found) > v.Sample {
		slices.SortFunc(v.found, func(a, b uint32) int {
			return cmp.Or(cmp.Compare(v.times[b], v.times[a]), cmp.Compare(b, a))
		})
		v.found = v.found[:v.Sample]
	}
}
