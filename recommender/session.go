package recommender

import (
	"math/bits"
	"sync/atomic"
)

// slotItems is how many items of a session one slot holds. A session that grows
// beyond goes on in another slot, which begins with its last carriedItems.
const (
	slotItems    = 12
	carriedItems = 3
)

// firstPosts is the room of an item's first ring.
const firstPosts = 4

// sessionIndex holds the newest sessions of two items or more and, for each item,
// a ring of the newest sessions that have it: what VMIS-kNN (Serenade, SIGMOD
// 2022) searches, learned click by click instead of rebuilt.
//
// Sessions are numbered in the order in which they got their second item; number
// n lives in slot n modulo the number of slots, so a new session takes the place
// of the oldest. A slot is one cache line and no ring holds a pointer.
//
// One goroutine learns; readers take no lock. A slot's head changes before and
// after its items do (a sequence lock), so a reader sees a whole session or passes
// over it.
type sessionIndex struct {
	size  uint32 // slots, a power of two
	depth uint32 // sessions kept for an item, a power of two
	next  uint32 // number of the next session; the learner's own
	used  uint32 // slots written; the learner's own
	posts int64  // memory of all rings, bytes; the learner's own
	slots chunked[slot]
	rings chunked[ring]
}

// slot is one session, its items oldest first, each once.
type slot struct {
	head  atomic.Uint64 // number, version (24 bits) and items in use (8 bits; 0 while they change)
	at    atomic.Int64  // last click, Unix ms
	items [slotItems]atomic.Uint32
}

// ring is the newest sessions of an item; nil when there are none.
type ring struct{ posts atomic.Pointer[posts] }

// posts are session numbers; the k-th newest is at n-1-k modulo their number, a
// power of two. n begins again at the length once it would be twice that.
type posts struct {
	n       atomic.Uint32
	numbers []atomic.Uint32
}

func newSessionIndex(sessions, depth int) *sessionIndex {
	return &sessionIndex{size: powerOfTwo(sessions, 1<<30), depth: powerOfTwo(depth, 1<<16), next: 1}
}

// powerOfTwo returns the least power of two that is not below n, at most limit.
func powerOfTwo(n, limit int) uint32 {
	n = min(max(n, firstPosts), limit)
	return 1 << bits.Len(uint(n-1))
}

// following returns the number after n; 0 is the number of no session.
func following(n uint32) uint32 { return max(n+1, 1) }

// learn notes that item was met at a time in a session whose other items are
// given, oldest first. number is what learn returned for the session before, 0 at
// first. It returns the session's number now, 0 while it has one item.
func (x *sessionIndex) learn(number uint32, others []uint32, item uint32, at int64) uint32 {
	var items [slotItems]uint32
	n, _ := x.read(number, &items)
	if n == 0 {
		if len(others) == 0 {
			return 0
		}
		n = copy(items[:slotItems-1], others)
		items[n] = item
		return x.open(items[:n+1], at)
	}
	for k := range n {
		if items[k] == item { // seen again: it is the newest now
			copy(items[k:n], items[k+1:n])
			items[n-1] = item
			x.write(number, items[:n], max(at, x.slot(number).at.Load()))
			return number
		}
	}
	if n == slotItems {
		n = copy(items[:], items[slotItems-carriedItems:])
		items[n] = item
		return x.open(items[:n+1], at)
	}
	items[n] = item
	x.write(number, items[:n+1], max(at, x.slot(number).at.Load()))
	x.post(item, number)
	return number
}

// open begins a session with some items and returns its number.
func (x *sessionIndex) open(items []uint32, at int64) uint32 {
	number := x.next
	x.next = following(number)
	x.used = min(x.used+1, x.size)
	x.write(number, items, at)
	for _, i := range items {
		x.post(i, number)
	}
	return number
}

// slot returns the slot of a number, nil when it was never written.
func (x *sessionIndex) slot(number uint32) *slot { return x.slots.get(number & (x.size - 1)) }

func (x *sessionIndex) write(number uint32, items []uint32, at int64) {
	s := x.slots.grow(number & (x.size - 1))
	version := uint32(s.head.Load())>>8 + 1
	head := uint64(number)<<32 | uint64(version<<8)
	s.head.Store(head)
	s.at.Store(at)
	for k, i := range items {
		s.items[k].Store(i)
	}
	s.head.Store(head | uint64(len(items)))
}

// fetch touches some sessions, so that the memory behind them is read at once.
func (x *sessionIndex) fetch(numbers []uint32) {
	for _, number := range numbers {
		if s := x.slot(number); s != nil {
			s.head.Load()
		}
	}
}

// read copies the items of a session and returns how many they are, 0 when the
// session is gone or just changing, and the time of its last click.
func (x *sessionIndex) read(number uint32, items *[slotItems]uint32) (n int, at int64) {
	s := x.slot(number)
	if s == nil || number == 0 {
		return 0, 0
	}
	head := s.head.Load()
	if n = int(head & 0xff); uint32(head>>32) != number {
		return 0, 0
	}
	for k := range n {
		items[k] = s.items[k].Load()
	}
	at = s.at.Load()
	if s.head.Load() != head {
		return 0, 0
	}
	return n, at
}

// post makes a session the newest of an item. A full ring grows up to depth, but
// only while its oldest session is still there.
func (x *sessionIndex) post(item, number uint32) {
	r := x.rings.grow(item)
	p := r.posts.Load()
	if p == nil {
		p = &posts{numbers: make([]atomic.Uint32, firstPosts)}
		x.posts += 32 + 4*firstPosts
		r.posts.Store(p)
	}
	n, size := p.n.Load(), uint32(len(p.numbers))
	if n >= size && size < x.depth && x.next-p.numbers[n&(size-1)].Load() <= x.size {
		p = p.grown(n)
		x.posts += 4 * int64(size)
		r.posts.Store(p)
		n, size = size, 2*size
	}
	p.numbers[n&(size-1)].Store(number)
	if n++; n == 2*size {
		n = size
	}
	p.n.Store(n)
}

// grown returns a copy of a full ring with room for as many again.
func (p *posts) grown(n uint32) *posts {
	size := uint32(len(p.numbers))
	next := &posts{numbers: make([]atomic.Uint32, 2*size)}
	for k := range size {
		next.numbers[k].Store(p.numbers[(n+k)&(size-1)].Load())
	}
	next.n.Store(size)
	return next
}

// of returns the sessions of an item: the k-th newest of count is
// numbers[(last-k)&mask].
func (x *sessionIndex) of(item uint32) (numbers []atomic.Uint32, last, count uint32) {
	r := x.rings.get(item)
	if r == nil {
		return nil, 0, 0
	}
	p := r.posts.Load()
	if p == nil {
		return nil, 0, 0
	}
	n := p.n.Load()
	return p.numbers, n - 1, min(n, uint32(len(p.numbers)))
}

// bytes returns the memory of slots and rings.
func (x *sessionIndex) bytes() int64 {
	return int64(x.slots.len())*64 + int64(x.rings.len())*8 + x.posts
}

// numbered returns the number of the k-th oldest session, k below used.
func (x *sessionIndex) numbered(k uint32) uint32 { return before(x.next, x.used-k) }

// before returns the number that was given out k sessions before n.
func before(n, k uint32) uint32 {
	if n > k { // 0 is passed over
		return n - k
	}
	return n - k - 1
}
