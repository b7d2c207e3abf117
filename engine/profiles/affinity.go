package profiles

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// halfLife is when an interest counts half.
const halfLife = float64(30 * 24 * time.Hour / time.Millisecond)

const maxAffinities = 20

// What an event says of the interest in its product's category and brand.
const (
	weightView  = 1
	weightAdd   = 3
	weightOrder = 5
)

// Share is a part of a customer's interest.
type Share struct {
	Name  string
	Share float64 // 0..1, rounded to 3 digits
}

// prefer adds weight at a time to name. The sum of decayed weights
// w·2^((at-now)/halfLife) is kept as the logarithm of w·2^(at/halfLife), which
// needs no decay: late events land in the right place, and two affinities
// compare at any time as they do now.
func prefer(list []*Affinity, name string, weight float64, at int64) []*Affinity {
	if name == "" {
		return list
	}
	score := math.Log2(weight) + float64(at)/halfLife
	if i := slices.IndexFunc(list, func(a *Affinity) bool { return a.Name == name }); i >= 0 {
		list[i].Score = addScores(float64(list[i].Score), score)
		return list
	}
	if len(list) < maxAffinities {
		return append(list, &Affinity{Name: name, Score: float32(score)})
	}
	weakest := slices.MinFunc(list, compareAffinity)
	if float64(weakest.Score) < score {
		weakest.Name, weakest.Score = name, float32(score)
	}
	return list
}

// addScores returns the logarithm of the sum of two weights.
func addScores(a, b float64) float32 {
	hi, lo := max(a, b), min(a, b)
	return float32(hi + math.Log2(1+math.Exp2(lo-hi)))
}

func compareAffinity(a, b *Affinity) int {
	return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(b.Name, a.Name))
}

// AffinityShares returns the parts that affinities (Profile.Categories or
// Brands) have in their decayed sum at a time, the largest first; those that
// round to 0 are left out.
func AffinityShares(list []*Affinity, now int64) []Share {
	shares := make([]Share, 0, len(list))
	sum, zero := 0.0, float64(now)/halfLife
	for _, a := range list {
		w := math.Exp2(float64(a.Score) - zero)
		shares = append(shares, Share{Name: a.Name, Share: w})
		sum += w
	}
	slices.SortFunc(shares, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Name, b.Name))
	})
	for i := range shares {
		shares[i].Share = math.Round(shares[i].Share/sum*1000) / 1000
	}
	if i := slices.IndexFunc(shares, func(s Share) bool { return !(s.Share > 0) }); i >= 0 {
		return shares[:i]
	}
	return shares
}
