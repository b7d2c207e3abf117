package recommender

import (
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/streams"
)

// What two items have in common weighs so much in similar; in all 1.
const (
	likeCategory, likeWords, likeBrand, likePrice, likeAttributes = 0.35, 0.3, 0.15, 0.1, 0.1
)

const (
	similarItems = 3   // newest items of the context that are looked at
	shelfItems   = 512 // newest items of a category, and of a brand, that one is compared with
	nameWords    = 12  // words of a name that count
)

// shelves list the items of each category, as a whole path, and of each brand, in
// the order in which they were first put there. An item that left one is still
// listed: its newest version says where it is.
type shelves struct {
	mu    sync.RWMutex // guards byKey; what is listed never changes
	byKey map[uint64][]uint32
}

// brandKey keeps the hashes of brands apart from those of categories.
func brandKey(brand uint64) uint64 { return brand * 0x9E3779B97F4A7C15 }

// put lists an item whose version before was old, nil when it is new.
func (s *shelves) put(i uint32, old, now *current) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = map[uint64][]uint32{}
	}
	if now.category != 0 && (old == nil || old.category != now.category) {
		s.list(now.category, i, old == nil)
	}
	if now.brand != 0 && (old == nil || old.brand != now.brand) {
		s.list(brandKey(now.brand), i, old == nil)
	}
}

func (s *shelves) list(key uint64, i uint32, isNew bool) {
	if isNew || !slices.Contains(s.byKey[key], i) {
		s.byKey[key] = append(s.byKey[key], i)
	}
}

// newest returns the items listed last under a key.
func (s *shelves) newest(key uint64) []uint32 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := s.byKey[key]
	return list[max(0, len(list)-shelfItems):]
}

// wordsOf returns hashes of the distinct words of a name, whatever their case.
func wordsOf(name string) []uint32 {
	var words []uint32
	for word := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		h := uint32(xxhash.Sum64String(word)) //nolint:gosec // a part of the hash
		if len(words) < nameWords && !slices.Contains(words, h) {
			words = append(words, h)
		}
	}
	return words
}

// similar answers items of the same category or brand as the context's, the more
// they have in common the better; a new item takes part as soon as the catalogue
// has it.
func (s *scratch) similar() {
	s.sessionContext()
	if len(s.context) == 0 {
		for k := range s.req.Customer.Recent {
			s.addContext(s.req.Customer.Recent[k].ID)
		}
	}
	s.context = s.context[:min(len(s.context), similarItems)]
	s.scores.reset(2 * shelfItems * similarItems)
	weight := 1.0
	for _, i := range s.context {
		if now := s.m.ids.at(i).now.Load(); now != nil && now.item != nil {
			s.scoreSimilar(now, weight)
			weight *= contextDecay
		}
	}
	s.scores.order(s.m.ids)
	for s.want > 0 {
		best, ok := s.scores.next(s.m.ids)
		if !ok {
			return
		}
		if !slices.Contains(s.context, best.item) {
			s.offer(best.item, best.score, Similar)
		}
	}
}

// scoreSimilar adds to each item on one item's shelves what they have in common.
func (s *scratch) scoreSimilar(to *current, weight float64) {
	s.found.reset(2 * shelfItems)
	for _, key := range [...]uint64{to.category, brandKey(to.brand)} {
		if key == 0 {
			continue
		}
		for _, i := range s.r.catalogue.shelves.newest(key) {
			s.found.addWithin(i, 0, 2*shelfItems)
		}
	}
	for _, c := range s.found.list {
		if now := s.m.ids.at(c.item).now.Load(); now != nil && now.item != nil && now != to {
			s.scores.add(c.item, weight*likeness(to, now))
		}
	}
}

// likeness is what two items have in common, from 0 to 1.
func likeness(a, b *current) float64 {
	like := likeCategory * sharedPath(a.item.Category, b.item.Category)
	if a.brand != 0 && a.brand == b.brand {
		like += likeBrand
	}
	shared := 0
	for _, w := range a.words {
		if slices.Contains(b.words, w) {
			shared++
		}
	}
	if shared > 0 {
		like += likeWords * float64(shared) / float64(len(a.words)+len(b.words)-shared)
	}
	return like + likePrice*sharedPrice(a.item.Price, b.item.Price) + likeAttributes*sharedAttributes(a.item, b.item)
}

// sharedPath is the share of two category paths that is the same from the root.
func sharedPath(a, b []string) float64 {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return float64(n) / float64(max(1, len(a), len(b)))
}

// sharedPrice is 1 for equal prices, 1/2 where one is e times the other, and 0 where
// either is none.
func sharedPrice(a, b float64) float64 {
	if !(a > 0 && b > 0) || math.IsInf(a, 1) || math.IsInf(b, 1) {
		return 0
	}
	return 1 / (1 + math.Abs(math.Log(a/b)))
}

// sharedAttributes is the share of attributes that both have with the same text,
// number or truth.
func sharedAttributes(a, b *streams.Item) float64 {
	same := 0
	for name, v := range a.Attributes {
		switch v.(type) {
		case string, float64, bool:
			if w, ok := b.Attributes[name]; ok && w == v {
				same++
			}
		}
	}
	return float64(same) / float64(max(1, len(a.Attributes), len(b.Attributes)))
}
