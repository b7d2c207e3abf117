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

// Preference is a customer's interest in a category or a brand. Score is the
// logarithm to base 2 of its weight, in half-lives since 1970. The sum of decayed
// weights w·2^((at-now)/halfLife) is kept as the logarithm of w·2^(at/halfLife),
// which needs no decay: late events land in the right place, and two preferences
// compare at any time as they do now.
type Preference struct {
	Name  string
	Score float32
}

// Share is a part of a customer's interest.
type Share struct {
	Name  string
	Share float64 // 0..1, rounded to 3 digits
}

// prefer returns a packed list of p's in which name has so much more weight, at a time.
func (p *Profile) prefer(list []byte, name string, weight float64, at int64) []byte {
	if name == "" {
		return list
	}
	score := math.Log2(weight) + float64(at)/halfLife
	place := findPreference(list, name)
	switch {
	case place.found:
		list = p.own(list) // what is at rest never changes
		setScore(list[place.at:], addScores(float64(place.score), score))
		return list
	case place.n >= maxAffinities:
		weakest, least := weakestPreference(list)
		if float64(least) >= score {
			return list
		}
		list = removePreference(p.room(len(list)), list, weakest)
		place = findPreference(list, name)
	}
	return place.insert(p.room(place.grown(list, name)), list, name, float32(score))
}

// addScores returns the logarithm of the sum of two weights.
func addScores(a, b float64) float32 {
	hi, lo := max(a, b), min(a, b)
	return float32(hi + math.Log2(1+math.Exp2(lo-hi)))
}

func comparePreference(a, b Preference) int {
	return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(b.Name, a.Name))
}

// AffinityShares returns the parts that preferences (Profile.Categories or
// Brands) have in their decayed sum at a time, the largest first; those that
// round to 0 are left out.
func AffinityShares(list []byte, now int64) []Share {
	all := Preferences(list)
	shares := make([]Share, 0, len(all))
	sum, zero := 0.0, float64(now)/halfLife
	for _, a := range all {
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

// mergePreferences adds up two packed lists.
func mergePreferences(list, theirs []byte) []byte {
	all := Preferences(list)
	for _, a := range Preferences(theirs) {
		if i := slices.IndexFunc(all, func(own Preference) bool { return own.Name == a.Name }); i >= 0 {
			all[i].Score = addScores(float64(all[i].Score), float64(a.Score))
		} else {
			all = append(all, a)
		}
	}
	if len(all) > maxAffinities {
		slices.SortStableFunc(all, func(a, b Preference) int { return comparePreference(b, a) })
		all = all[:maxAffinities]
	}
	return packPreferences(all)
}

// unmergePreferences takes out of a packed list what another had brought.
func unmergePreferences(list, theirs []byte) []byte {
	gone := Preferences(theirs)
	var kept []Preference
	for _, own := range Preferences(list) {
		if i := slices.IndexFunc(gone, func(o Preference) bool { return o.Name == own.Name }); i >= 0 {
			rest := 1 - math.Exp2(float64(gone[i].Score)-float64(own.Score))
			if !(rest > 1e-4) {
				continue
			}
			own.Score += float32(math.Log2(rest))
		}
		kept = append(kept, own)
	}
	return packPreferences(kept)
}
