package recommender

// variety counts categories and brands of a list, so that no more than so many
// of one are in it.
type variety struct {
	perCategory, perBrand int // 0: any number
	categories, brands    []tally
}

type tally struct {
	key uint64
	n   int
}

func (v *variety) reset(perCategory, perBrand int) {
	v.perCategory, v.perBrand = perCategory, perBrand
	v.categories, v.brands = v.categories[:0], v.brands[:0]
}

// allows reports whether one more item like this is within the limits. What the
// catalogue gives no category or brand is not limited by it.
func (v *variety) allows(now *current) bool {
	return below(v.categories, now.category, v.perCategory) && below(v.brands, now.brand, v.perBrand)
}

func below(counts []tally, key uint64, limit int) bool {
	if limit <= 0 || key == 0 {
		return true
	}
	for i := range counts {
		if counts[i].key == key {
			return counts[i].n < limit
		}
	}
	return true
}

func (v *variety) add(now *current) {
	if v.perCategory > 0 && now.category != 0 {
		v.categories = count(v.categories, now.category)
	}
	if v.perBrand > 0 && now.brand != 0 {
		v.brands = count(v.brands, now.brand)
	}
}

func count(counts []tally, key uint64) []tally {
	for i := range counts {
		if counts[i].key == key {
			counts[i].n++
			return counts
		}
	}
	return append(counts, tally{key, 1})
}
