package recommender

// hashSet is a set of hashes that is emptied in no time: each place is stamped
// with the round in which it was written. The zero value is an empty set.
type hashSet struct {
	keys   []uint64
	rounds []uint32
	round  uint32
	n      int
}

// reset empties the set and makes room for n.
func (s *hashSet) reset(n int) {
	s.n = 0
	if want := roomFor(n); len(s.keys) < want {
		s.keys, s.rounds, s.round = make([]uint64, want), make([]uint32, want), 1
		return
	}
	if s.round++; s.round == 0 {
		clear(s.rounds)
		s.round = 1
	}
}

// roomFor returns the power of two that keeps n keys at most half full.
func roomFor(n int) int {
	size := 64
	for size < 2*n {
		size *= 2
	}
	return size
}

// place returns where key is, or the free place where it belongs.
func (s *hashSet) place(key uint64) (at int, found bool) {
	mask := len(s.keys) - 1
	for i := int(key) & mask; ; i = (i + 1) & mask {
		if s.rounds[i] != s.round {
			return i, false
		}
		if s.keys[i] == key {
			return i, true
		}
	}
}

func (s *hashSet) has(key uint64) bool {
	_, found := s.place(key)
	return found
}

// add puts key into the set and reports whether it is new there.
func (s *hashSet) add(key uint64) bool {
	at, found := s.place(key)
	if found {
		return false
	}
	s.keys[at], s.rounds[at] = key, s.round
	if s.n++; 2*s.n > len(s.keys) {
		s.double()
	}
	return true
}

func (s *hashSet) double() {
	old := *s
	s.keys, s.rounds = make([]uint64, 2*len(old.keys)), make([]uint32, 2*len(old.keys))
	for i, key := range old.keys {
		if old.rounds[i] == old.round {
			at, _ := s.place(key)
			s.keys[at], s.rounds[at] = key, s.round
		}
	}
}
