package recommender

import "sync"

// sessionItems is how many distinct items of a session are remembered.
const sessionItems = 10

// sessions is a bounded table of sessions in progress: the last distinct items of
// each, by hash of the customer's identifier.
type sessions struct {
	gap int64 // ms without an event that end a session

	// locks guard the places of table, each those of every so many buckets, so that a
	// request seldom meets the learner, who holds one for one event. What is not of a
	// bucket is the learner's own.
	locks [sessionLocks]sync.Mutex
	table assoc[session]
}

const sessionLocks = 64

// lock is that of a place, or of the bucket of a key.
func (s *sessions) lock(place int) *sync.Mutex { return &s.locks[place/ways%sessionLocks] }

type session struct {
	n      uint32
	number uint32               // in the sessionIndex, 0 while it is not there
	items  [sessionItems]uint32 // oldest first
	step   uint8                // how it came to its newest item
	again  bool                 // of a copy made by touch: the item was the newest already

	places   [sessionPlaces]uint64 // where it was last, the newest first; 0 nowhere
	category uint64                // that the newest item was viewed in; 0 unknown
}

func newSessions(n int, gap int64) *sessions {
	return &sessions{gap: gap, table: newAssoc[session](n)}
}

// touch notes that item was met in the session of key. It returns the session's
// other items, oldest first, in a copy, whether item is new in it, and its place,
// -1 where it has none. An event from before the session in progress is a session
// of its own, and changes none.
func (s *sessions) touch(key uint64, item uint32, category uint64, at int64) (others session, fresh bool, place int) {
	mu := s.lock(s.table.bucket(key))
	mu.Lock()
	defer mu.Unlock()
	i := s.table.take(key, at)
	if i < 0 {
		return session{}, true, -1
	}
	last := &s.table.metas[i].last
	if *last-at > s.gap {
		return session{}, true, -1
	}
	se := &s.table.data[i]
	if at-*last > s.gap {
		*se = session{}
	}
	*last = max(*last, at)
	again := se.n > 0 && se.items[se.n-1] == item
	fresh = !se.remove(item)
	others = *se
	others.again = again
	switch {
	case se.n == 0 && fresh:
		se.step = stepFirst
	case again:
		se.step = stepAgain
	case fresh:
		se.step = stepOn
	default:
		se.step = stepBack
	}
	se.push(item)
	se.category = category
	return others, fresh, i
}

// visit notes where the session of key is.
func (s *sessions) visit(key, at uint64, now int64) {
	mu := s.lock(s.table.bucket(key))
	mu.Lock()
	defer mu.Unlock()
	i := s.table.take(key, now)
	if i < 0 {
		return
	}
	last := &s.table.metas[i].last
	if *last-now > s.gap {
		return
	}
	se := &s.table.data[i]
	if now-*last > s.gap {
		*se = session{}
	}
	*last = max(*last, now)
	if se.places[0] != at {
		copy(se.places[1:], se.places[:])
		se.places[0] = at
	}
}

// note keeps the number that the session at a place has in the sessionIndex.
func (s *sessions) note(place int, number uint32) {
	mu := s.lock(place)
	mu.Lock()
	defer mu.Unlock()
	s.table.data[place].number = number
}

// remove takes item out, reporting whether it was there.
func (se *session) remove(item uint32) bool {
	for k := range se.n {
		if se.items[k] == item {
			copy(se.items[k:se.n], se.items[k+1:se.n])
			se.n--
			return true
		}
	}
	return false
}

// push makes item the newest, forgetting the oldest where there is no room.
func (se *session) push(item uint32) {
	if se.n == sessionItems {
		copy(se.items[:], se.items[1:])
		se.n--
	}
	se.items[se.n] = item
	se.n++
}

// get returns the session in progress of key at a time, empty when there is none.
func (s *sessions) get(key uint64, now int64) session {
	mu := s.lock(s.table.bucket(key))
	mu.Lock()
	defer mu.Unlock()
	i := s.table.find(key)
	if i < 0 || now-s.table.metas[i].last > s.gap {
		return session{}
	}
	return s.table.data[i]
}
