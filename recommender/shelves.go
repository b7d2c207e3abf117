package recommender

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	shelfItems = 512 // newest items of a category, and of a brand, that one is compared with
	shelfLog   = 32  // changes that a shelf remembers
)

// shelf is the items of one category, as a whole path, or of one brand, in the
// order in which they were first put there. An item that left is still listed:
// its features say where it is.
type shelf struct {
	changes atomic.Uint64 // of features of its items, items that came and left included

	mu    sync.Mutex // guards items, whose elements never change, and log
	items []uint32
	log   [shelfLog]uint32 // change n, of which item, is at n modulo its length
}

// place returns the place of an item, listing one that is not there; isNew says
// that it cannot be.
func (s *shelf) place(i uint32, isNew bool) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isNew {
		if at := slices.Index(s.items, i); at >= 0 {
			return uint32(at) //nolint:gosec // one of the items, which are uint32
		}
	}
	s.items = append(s.items, i)
	return uint32(len(s.items) - 1) //nolint:gosec // as above
}

// changed notes that the features of an item are others now; what is published
// must be so already.
func (s *shelf) changed(i uint32) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.changes.Load()
	s.log[n%shelfLog] = i
	s.changes.Store(n + 1)
}

// version returns how many changes were noted.
func (s *shelf) version() uint64 {
	if s == nil {
		return 0
	}
	return s.changes.Load()
}

// newest returns the items listed last and the place of the first of them.
func (s *shelf) newest() (items []uint32, first uint32) {
	if s == nil {
		return nil, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := max(0, len(s.items)-shelfItems)
	return s.items[at:], uint32(at) //nolint:gosec // a place
}

// since appends the items that changed after so many changes; not ok when that is
// forgotten.
func (s *shelf) since(n uint64, list []uint32) (_ []uint32, ok bool) {
	if s == nil {
		return list, true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.changes.Load()
	if now-n > shelfLog {
		return list, false
	}
	for ; n < now; n++ {
		list = append(list, s.log[n%shelfLog])
	}
	return list, true
}

// shelves are all shelves of a catalogue. Who puts items guards them.
type shelves struct {
	byKey map[uint64]*shelf
	made  uint64 // features made so far
}

// brandKey keeps the hashes of brands apart from those of categories.
func brandKey(brand uint64) uint64 { return brand * 0x9E3779B97F4A7C15 }

// of returns the shelf of a key, nil for key 0.
func (s *shelves) of(key uint64) *shelf {
	if key == 0 {
		return nil
	}
	if s.byKey == nil {
		s.byKey = map[uint64]*shelf{}
	}
	sh := s.byKey[key]
	if sh == nil {
		sh = &shelf{}
		s.byKey[key] = sh
	}
	return sh
}

// put gives now its features: those of old, the version before it, where they are
// the same, else new ones with a place on their shelves.
func (s *shelves) put(i uint32, old, now *current) {
	f := featuresOf(now)
	if old != nil && old.features != nil && old.features.equal(f) {
		now.features = old.features
		return
	}
	s.made++
	f.made = s.made
	if f.category = s.of(now.category); f.category != nil {
		f.categoryAt = f.category.place(i, old == nil)
	}
	if f.brand = s.of(brandKey(now.brand)); f.brand != nil {
		f.brandAt = f.brand.place(i, old == nil)
	}
	now.features = f
}

// changed tells the shelves that an item left and those that it came to, once its
// newest version is published.
func (s *shelves) changed(i uint32, old, now *current) {
	var was, is features
	if old != nil && old.features != nil {
		was = *old.features
	}
	if now.features != nil {
		is = *now.features
	}
	if was.made == is.made {
		return
	}
	was.category.changed(i)
	was.brand.changed(i)
	if is.category != was.category {
		is.category.changed(i)
	}
	if is.brand != was.brand {
		is.brand.changed(i)
	}
}
