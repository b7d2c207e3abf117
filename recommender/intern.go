package recommender

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/streams"
)

// none is the number of no item.
const none = ^uint32(0)

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits
	shardBits = 6
)

// table gives every item id that was ever seen a small number, so that the
// models are flat arrays. Numbers are dense from 0, in order of first sight, and
// are never taken back. Any goroutine may look up; interning locks one shard.
type table struct {
	shards [1 << shardBits]shard
	grow   sync.Mutex // guards the writing of chunks and n
	chunks atomic.Pointer[[]*chunk]
	n      atomic.Uint32
}

type shard struct {
	mu  sync.RWMutex
	ids map[uint64]uint32 // hash of the id, or the next free one after it -> number
}

type chunk [chunkSize]entry

// entry is one item. id and hash are set before the number is given out.
type entry struct {
	id       string
	hash     uint64
	now      atomic.Pointer[current] // nil: the catalogue never knew it
	versions []Version               // guarded by Catalogue.mu
}

// current is the newest version of an item, with what a ranking asks of it.
type current struct {
	number                 int64
	item                   *streams.Item // nil: deleted
	group, brand, category uint64        // hashes, 0 when absent
	available              bool
	limited                bool      // to channels, or by stores
	features               *features // nil where deleted
}

func newTable() *table {
	t := &table{}
	for i := range t.shards {
		t.shards[i].ids = make(map[uint64]uint32)
	}
	t.chunks.Store(&[]*chunk{})
	return t
}

// at returns the entry of a number that was given out.
func (t *table) at(i uint32) *entry {
	return &(*t.chunks.Load())[i>>chunkBits][i&(chunkSize-1)]
}

func (t *table) len() int { return int(t.n.Load()) }

// find returns the number of id, none when it was never seen.
func (t *table) find(id string) uint32 {
	h := xxhash.Sum64String(id)
	s := &t.shards[h>>(64-shardBits)]
	s.mu.RLock()
	i, _ := t.probe(s, h, id)
	s.mu.RUnlock()
	return i
}

// findBatch is how many ids are looked up at once.
const findBatch = 16

// findSome sets the number of each of at most findBatch ids, none where it was never
// seen. It looks at all of them before it waits for the memory behind any.
func (t *table) findSome(ids []string, numbers *[findBatch]uint32) {
	var hashes [findBatch]uint64
	for k, id := range ids {
		hashes[k] = xxhash.Sum64String(id)
		s := &t.shards[hashes[k]>>(64-shardBits)]
		s.mu.RLock()
		i, ok := s.ids[hashes[k]]
		s.mu.RUnlock()
		if numbers[k] = i; !ok {
			numbers[k] = none
		}
	}
	for k := range ids {
		if i := numbers[k]; i != none && t.at(i).hash != hashes[k] { // the place of another one
			numbers[k] = t.find(ids[k])
		}
	}
	for k, id := range ids {
		if i := numbers[k]; i != none && t.at(i).id != id {
			numbers[k] = t.find(id)
		}
	}
}

// probe returns the number of id or none, and the key where it is or would be.
func (t *table) probe(s *shard, h uint64, id string) (i uint32, key uint64) {
	for ; ; h++ {
		i, ok := s.ids[h]
		if !ok {
			return none, h
		}
		if t.at(i).id == id {
			return i, h
		}
	}
}

// intern returns the number of id, giving it one. With a limit above 0 it gives
// none to a new id once so many have one.
func (t *table) intern(id string, limit int) uint32 {
	if i := t.find(id); i != none {
		return i
	}
	if limit > 0 && t.len() >= limit {
		return none
	}
	h := xxhash.Sum64String(id)
	s := &t.shards[h>>(64-shardBits)]
	s.mu.Lock()
	defer s.mu.Unlock()
	i, key := t.probe(s, h, id)
	if i != none {
		return i
	}
	i = t.add(strings.Clone(id), h)
	s.ids[key] = i
	return i
}

func (t *table) add(id string, hash uint64) uint32 {
	t.grow.Lock()
	defer t.grow.Unlock()
	i := t.n.Load()
	chunks := *t.chunks.Load()
	if int(i>>chunkBits) == len(chunks) {
		chunks = append(chunks, new(chunk))
		t.chunks.Store(&chunks)
	}
	e := &chunks[i>>chunkBits][i&(chunkSize-1)]
	e.id, e.hash = id, hash
	t.n.Store(i + 1)
	return i
}
