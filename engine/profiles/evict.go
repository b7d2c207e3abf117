package profiles

import (
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Place is where a profile is.
type Place uint8

// Places of a profile.
const (
	Nowhere  Place = iota // there is none
	InMemory              // published
	Evicted               // in the snapshot store only; or, hardly ever, nowhere
)

const (
	// blobOverhead is what a profile takes in memory besides its id and its bytes:
	// its place in a map that is not full, and what allocations are rounded up to.
	blobOverhead = 112
	// evictedBytes is what one takes that was evicted.
	evictedBytes = 24
	// evictLook is how many profiles Evict looks at while readers of one shard may
	// wait for it.
	evictLook = 10_000
)

// ReadBackWith sets what reads the bytes of an evicted profile, nil where there is
// none, for Open and Lookup. It is called while the worker opens a profile; what it
// returns must be what Encode wrote. Only the worker may call ReadBackWith.
func (s *Store) ReadBackWith(fetch func(id string) []byte) { s.fetch = fetch }

// readBack takes an evicted profile into memory again.
func (s *Store) readBack(id string) ([]byte, Place) {
	if s.fetch == nil {
		panic("BUG: profile " + id + " was evicted, and nothing reads it back")
	}
	data := s.fetch(id)
	if data == nil {
		return nil, Nowhere // another id of the same hash was evicted
	}
	id = strings.Clone(id)
	hash := xxhash.Sum64String(id)
	sh := &s.shards[hash%shards]
	sh.mu.Lock()
	sh.blobs[id] = newBlob(data, true)
	sh.forget(hash)
	sh.mu.Unlock()
	s.inMemory.Add(1)
	s.bytes.Add(int64(len(id) + len(data)))
	return data, InMemory
}

// forget is called with mu held.
func (sh *shard) forget(hash uint64) {
	if sh.evicted[hash]--; sh.evicted[hash] == 0 {
		delete(sh.evicted, hash)
	}
}

func (sh *shard) remember(hash uint64) {
	if sh.evicted == nil {
		sh.evicted = map[uint64]uint32{}
	}
	sh.evicted[hash]++
}

// Leave notes a profile of a snapshot that stays there, as if it had been
// restored and evicted. Only the worker may call it.
func (s *Store) Leave(id string) {
	hash := xxhash.Sum64String(id)
	sh := &s.shards[hash%shards]
	sh.mu.Lock()
	sh.remember(hash)
	sh.mu.Unlock()
	s.count.Add(1)
}

// Evict drops profiles from memory that a snapshot has, until need bytes are free
// or so many were looked at, and returns what it freed. Those that were changed or
// read back since it last came by are passed over once: the order is roughly that
// of the last change (CLOCK, by shards). Each call goes on where the one before
// ended, and 2 * EvictCalls calls have looked at all of them twice. Nothing is
// dropped between Open and Publish. Only the worker may call it.
func (s *Store) Evict(need int64) (freed int64) {
	for looked := 0; len(s.open) == 0 && freed < need && looked < evictLook; {
		sh := &s.shards[s.hand]
		s.hand = (s.hand + 1) % shards
		n, bytes := s.evictFrom(sh, need-freed)
		looked += n
		freed += bytes
		if s.hand == 0 {
			break
		}
	}
	return freed
}

// EvictCalls is how many calls of Evict come by every profile, at most.
const EvictCalls = shards

func (s *Store) evictFrom(sh *shard, need int64) (looked int, freed int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for id, b := range sh.blobs { // map order: which are dropped changes no state
		looked++
		_, dirty := s.dirty[id]
		_, taken := s.taken[id]
		switch {
		case b.used:
			sh.blobs[id] = newBlob(b.data(), false)
			continue
		case dirty || taken:
			continue
		}
		delete(sh.blobs, id)
		sh.remember(xxhash.Sum64String(id))
		size := int64(len(id) + int(b.size))
		s.inMemory.Add(-1)
		s.bytes.Add(-size)
		if freed += size + blobOverhead - evictedBytes; freed >= need {
			break
		}
	}
	return looked, freed
}

// Place says where a profile is. Any goroutine may call it.
func (s *Store) Place(id string) Place {
	_, place := s.get(id)
	return place
}

// InMemory returns the number of profiles in memory.
func (s *Store) InMemory() int { return int(s.inMemory.Load()) }

// Memory estimates what the store takes in memory, in bytes, without what the
// garbage collector adds.
func (s *Store) Memory() int64 {
	n := s.inMemory.Load()
	return s.bytes.Load() + n*blobOverhead + (s.count.Load()-n)*evictedBytes
}
