package profiles

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// shards of a store's index: readers and the worker meet only for as long as
// one map access takes, and only in the same shard.
const shards = 64

// Blob is a profile at rest.
type Blob struct {
	ID   string
	Data []byte // as Encode writes it; never changed
}

// Store holds the profiles of one partition. One worker changes them; any
// number of readers see the last published state of each and wait for neither
// the worker nor each other. A profile at rest is immutable bytes: the index
// has two pointers for each, whatever it contains. Profiles that a snapshot has
// can be evicted (evict.go); they are read back when they are opened.
type Store struct {
	shards   [shards]shard
	count    atomic.Int64 // of all, those evicted included
	inMemory atomic.Int64
	bytes    atomic.Int64 // of those in memory

	// The worker's own, not guarded.
	open  map[string]*opened  // decoded since the last Publish
	dirty map[string]struct{} // published since the last TakeDirty
	taken map[string]struct{} // given away by TakeDirty, not known to be saved
	hand  int                 // the shard that Evict goes on with
	fetch func(id string) []byte
}

type shard struct {
	mu      sync.RWMutex
	blobs   map[string]blob   // guarded by mu
	evicted map[uint64]uint32 // hashes of ids, and how many ids have each; guarded by mu
	_       [24]byte          // keeps the locks of neighbours apart
}

// blob is a profile in memory.
type blob struct {
	first *byte // of its immutable bytes
	size  uint32
	used  bool // since Evict last came by
}

func newBlob(data []byte, used bool) blob {
	return blob{unsafe.SliceData(data), uint32(len(data)), used} //nolint:gosec // a profile has bounds
}

func (b blob) data() []byte { return unsafe.Slice(b.first, b.size) }

type opened struct {
	p       *Profile
	changed bool
	deleted bool // its bytes go, unless it is changed again
	hidden  bool // deleted, and not opened again
}

// spare are decoded profiles for reuse, of some 10 KB each: shared by all stores,
// of which few are at work at a time.
var spare = sync.Pool{New: func() any { return &opened{p: &Profile{}} }}

// NewStore returns an empty store.
func NewStore() *Store {
	s := &Store{open: map[string]*opened{}, dirty: map[string]struct{}{}}
	for i := range s.shards {
		s.shards[i].blobs = map[string]blob{}
	}
	return s
}

func (s *Store) shard(id string) *shard { return &s.shards[xxhash.Sum64String(id)%shards] }

func (s *Store) get(id string) (data []byte, place Place) {
	hash := xxhash.Sum64String(id)
	sh := &s.shards[hash%shards]
	sh.mu.RLock()
	b, known := sh.blobs[id]
	switch {
	case known:
		place = InMemory
	case sh.evicted[hash] > 0:
		place = Evicted
	}
	sh.mu.RUnlock()
	return b.data(), place
}

// put stores data and keeps a copy of id when it is new.
func (s *Store) put(id string, data []byte) {
	sh := s.shard(id)
	sh.mu.Lock()
	old, known := sh.blobs[id]
	if !known {
		id = strings.Clone(id)
	}
	sh.blobs[id] = newBlob(data, true)
	sh.mu.Unlock()
	if !known {
		s.count.Add(1)
		s.inMemory.Add(1)
		s.bytes.Add(int64(len(id)))
	}
	s.bytes.Add(int64(len(data) - int(old.size)))
}

// Open returns the profile of id for the worker to change, an empty one with
// that id if there is none. Until Publish the same pointer is returned; after
// it the profile and everything reached through it must not be used. Only the
// worker may call it.
func (s *Store) Open(id string) (p *Profile, created bool) {
	if p = s.Lookup(id); p != nil {
		return p, false
	}
	o := s.open[id]
	if o == nil {
		o = s.take(id)
	}
	o.hidden = false
	o.p.Id = id
	o.p.Identifiers = append(o.p.Identifiers, id)
	return o.p, true
}

// Lookup is Open for a profile that must exist: nil if there is none.
func (s *Store) Lookup(id string) *Profile {
	if o := s.open[id]; o != nil {
		if o.hidden {
			return nil
		}
		return o.p
	}
	data, place := s.get(id)
	if place == Evicted {
		data, place = s.readBack(id)
	}
	if place == Nowhere {
		return nil
	}
	o := s.take(id)
	if err := decode(id, data, o.p); err != nil {
		panic("BUG: a stored profile was checked: " + err.Error())
	}
	return o.p
}

func (s *Store) take(id string) *opened {
	o := spare.Get().(*opened) //nolint:forcetypeassert // nothing else is put there
	o.changed, o.deleted, o.hidden = false, false, false
	s.open[id] = o
	return o
}

// Changed marks a profile that Open or Lookup returned for the next Publish.
// Only the worker may call it.
func (s *Store) Changed(p *Profile) {
	if o := s.open[p.Id]; o != nil && o.p == p {
		o.changed = true
		return
	}
	panic("BUG: profile " + p.Id + " is not open")
}

// Delete drops a profile that Open or Lookup returned with the next Publish,
// unless it is opened and changed again before. Only the worker may call it.
func (s *Store) Delete(p *Profile) {
	o := s.open[p.Id]
	if o == nil || o.p != p {
		panic("BUG: profile " + p.Id + " is not open")
	}
	recycle(p)
	o.changed, o.deleted, o.hidden = false, true, true
}

// remove forgets what is at rest under id.
func (s *Store) remove(id string) {
	sh := s.shard(id)
	sh.mu.Lock()
	old, known := sh.blobs[id]
	delete(sh.blobs, id)
	sh.mu.Unlock()
	if known {
		s.count.Add(-1)
		s.inMemory.Add(-1)
		s.bytes.Add(-int64(len(id) + int(old.size)))
	}
}

// Publish makes what changed visible to readers and forgets every decoded
// profile; one that was created and not changed is gone. Only the worker may
// call it.
func (s *Store) Publish() {
	for id, o := range s.open { // map order: each profile is published by itself
		switch {
		case o.changed:
			s.put(id, Encode(o.p))
			s.markDirty(id)
		case o.deleted:
			s.remove(id)
			s.markDirty(id)
		}
		recycle(o.p)
		spare.Put(o)
	}
	clear(s.open)
}

func (s *Store) markDirty(id string) {
	if _, known := s.dirty[id]; !known {
		s.dirty[strings.Clone(id)] = struct{}{}
	}
}

// TakeDirty returns what was published since the last TakeDirty, by id; nil
// Data is a profile that was deleted. Saved or PutBack says what became of it.
// Only the worker may call it.
func (s *Store) TakeDirty() []Blob {
	blobs := make([]Blob, 0, len(s.dirty))
	for id := range s.dirty { // map order: sorted below
		data, _ := s.get(id)
		blobs = append(blobs, Blob{ID: id, Data: data})
	}
	slices.SortFunc(blobs, func(a, b Blob) int { return strings.Compare(a.ID, b.ID) })
	s.taken, s.dirty = s.dirty, make(map[string]struct{}, len(blobs))
	return blobs
}

// Saved says that a snapshot has what TakeDirty returned. Only the worker may
// call it.
func (s *Store) Saved() { s.taken = nil }

// PutBack makes profiles dirty again whose snapshot failed; their latest state
// counts. Only the worker may call it.
func (s *Store) PutBack(dirty []Blob) {
	for i := range dirty {
		s.dirty[dirty[i].ID] = struct{}{}
	}
	s.taken = nil
}

// Restore adds a profile from a snapshot, which keeps data. Bytes that are no
// profile are refused. Only the worker may call it.
func (s *Store) Restore(id string, data []byte) error {
	o := s.take(id)
	delete(s.open, id)
	err := Decode(id, data, o.p)
	recycle(o.p)
	spare.Put(o)
	if err != nil {
		return err
	}
	s.Keep(id, data)
	return nil
}

// Keep is Restore of what Decode has accepted.
func (s *Store) Keep(id string, data []byte) { s.put(id, data) }

// Read returns a private copy of the profile as last published. Any goroutine
// may call it.
func (s *Store) Read(id string) (*Profile, bool) {
	p := &Profile{}
	return p, s.ReadInto(id, p)
}

// ReadInto is Read into p, whose memory it reuses; false, and p empty, when
// there is no such profile in memory.
func (s *Store) ReadInto(id string, p *Profile) bool { return s.Find(id, p) == InMemory }

// Find is ReadInto that says where the profile is; p is empty unless it is in
// memory.
func (s *Store) Find(id string, p *Profile) Place {
	data, place := s.get(id)
	if place != InMemory {
		recycle(p)
		return place
	}
	if err := decode(id, data, p); err != nil {
		panic("BUG: a stored profile was checked: " + err.Error())
	}
	return InMemory
}

// Len returns the number of profiles, alias entries and those evicted included.
func (s *Store) Len() int { return int(s.count.Load()) }

// Bytes returns the size of all ids and profiles at rest in memory.
func (s *Store) Bytes() int64 { return s.bytes.Load() }

// Slots is how many groups of equal size the customers of a partition fall into,
// by their ids.
const Slots = 16 * shards

// Slot is the group that an id falls into, from 0 on.
func Slot(id string) int {
	hash := xxhash.Sum64String(id)
	return int(hash%shards*(Slots/shards) + hash/shards%(Slots/shards))
}

// Range calls f with each published profile in memory, in no order, until it returns
// false. The profile is valid during the call only. Only the worker may call
// it, and f must not change the store.
func (s *Store) Range(f func(id string, p *Profile) bool) { s.RangeSlots(0, Slots, f) }

// RangeSlots is Range of the profiles from one slot on, up to before another.
func (s *Store) RangeSlots(from, to int, f func(id string, p *Profile) bool) {
	p := &Profile{}
	whole := from == 0 && to == Slots
	for i := from / (Slots / shards); i < shards && i*(Slots/shards) < to; i++ {
		for id, b := range s.shards[i].blobs { // map order: promised to nobody
			if slot := Slot(id); !whole && (slot < from || slot >= to) {
				continue
			}
			if err := decode(id, b.data(), p); err != nil {
				panic("BUG: a stored profile was checked: " + err.Error())
			}
			if !f(id, p) {
				return
			}
		}
	}
}
