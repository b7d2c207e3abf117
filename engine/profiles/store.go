package profiles

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

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
// has two pointers for each, whatever it contains.
type Store struct {
	shards [shards]shard
	count  atomic.Int64
	bytes  atomic.Int64

	// The worker's own, not guarded.
	open  map[string]*opened // decoded since the last Publish
	free  []*opened
	dirty map[string]struct{} // published since the last TakeDirty
}

type shard struct {
	mu    sync.RWMutex
	blobs map[string][]byte // guarded by mu; the bytes are immutable
	_     [32]byte          // keeps the locks of neighbours apart
}

type opened struct {
	p       *Profile
	changed bool
	deleted bool // its bytes go, unless it is changed again
	hidden  bool // deleted, and not opened again
}

// maxFree bounds the decoded profiles kept for reuse; each takes some 10 KB.
const maxFree = 256

// NewStore returns an empty store.
func NewStore() *Store {
	s := &Store{open: map[string]*opened{}, dirty: map[string]struct{}{}}
	for i := range s.shards {
		s.shards[i].blobs = map[string][]byte{}
	}
	return s
}

func (s *Store) shard(id string) *shard { return &s.shards[xxhash.Sum64String(id)%shards] }

func (s *Store) get(id string) (data []byte, ok bool) {
	sh := s.shard(id)
	sh.mu.RLock()
	data, ok = sh.blobs[id]
	sh.mu.RUnlock()
	return data, ok
}

// put stores data and keeps a copy of id when it is new.
func (s *Store) put(id string, data []byte) {
	sh := s.shard(id)
	sh.mu.Lock()
	old, known := sh.blobs[id]
	if !known {
		id = strings.Clone(id)
	}
	sh.blobs[id] = data
	sh.mu.Unlock()
	if !known {
		s.count.Add(1)
		s.bytes.Add(int64(len(id)))
	}
	s.bytes.Add(int64(len(data) - len(old)))
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
	data, ok := s.get(id)
	if !ok {
		return nil
	}
	o := s.take(id)
	if err := decode(id, data, o.p); err != nil {
		panic("BUG: a stored profile was checked: " + err.Error())
	}
	return o.p
}

func (s *Store) take(id string) *opened {
	var o *opened
	if n := len(s.free); n > 0 {
		o, s.free = s.free[n-1], s.free[:n-1]
	} else {
		o = &opened{p: &Profile{}}
	}
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
		s.bytes.Add(-int64(len(id) + len(old)))
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
		if len(s.free) < maxFree {
			recycle(o.p)
			s.free = append(s.free, o)
		}
	}
	clear(s.open)
}

func (s *Store) markDirty(id string) {
	if _, known := s.dirty[id]; !known {
		s.dirty[strings.Clone(id)] = struct{}{}
	}
}

// TakeDirty returns what was published since the last TakeDirty, by id; nil
// Data is a profile that was deleted. Only
// the worker may call it.
func (s *Store) TakeDirty() []Blob {
	blobs := make([]Blob, 0, len(s.dirty))
	for id := range s.dirty { // map order: sorted below
		data, _ := s.get(id)
		blobs = append(blobs, Blob{ID: id, Data: data})
	}
	slices.SortFunc(blobs, func(a, b Blob) int { return strings.Compare(a.ID, b.ID) })
	s.dirty = make(map[string]struct{}, len(blobs))
	return blobs
}

// PutBack makes profiles dirty again whose snapshot failed; their latest state
// counts. Only the worker may call it.
func (s *Store) PutBack(dirty []Blob) {
	for i := range dirty {
		s.dirty[dirty[i].ID] = struct{}{}
	}
}

// Restore adds a profile from a snapshot, which keeps data. Bytes that are no
// profile are refused. Only the worker may call it.
func (s *Store) Restore(id string, data []byte) error {
	o := s.take(id)
	delete(s.open, id)
	err := Decode(id, data, o.p)
	recycle(o.p)
	if len(s.free) < maxFree {
		s.free = append(s.free, o)
	}
	if err != nil {
		return err
	}
	s.put(id, data)
	return nil
}

// Read returns a private copy of the profile as last published. Any goroutine
// may call it.
func (s *Store) Read(id string) (*Profile, bool) {
	p := &Profile{}
	return p, s.ReadInto(id, p)
}

// ReadInto is Read into p, whose memory it reuses; false, and p empty, when
// there is no such profile.
func (s *Store) ReadInto(id string, p *Profile) bool {
	data, ok := s.get(id)
	if !ok {
		recycle(p)
		return false
	}
	return decode(id, data, p) == nil
}

// Len returns the number of profiles, alias entries included.
func (s *Store) Len() int { return int(s.count.Load()) }

// Bytes returns the size of all ids and profiles at rest.
func (s *Store) Bytes() int64 { return s.bytes.Load() }

// Range calls f with each published profile, in no order, until it returns
// false. The profile is valid during the call only. Only the worker may call
// it, and f must not change the store.
func (s *Store) Range(f func(id string, p *Profile) bool) {
	p := &Profile{}
	for i := range s.shards {
		for id, data := range s.shards[i].blobs { // map order: promised to nobody
			if err := decode(id, data, p); err != nil {
				panic("BUG: a stored profile was checked: " + err.Error())
			}
			if !f(id, p) {
				return
			}
		}
	}
}
