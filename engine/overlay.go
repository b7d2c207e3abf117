package engine

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

const (
	// overlaySpan is how long what customers did is laid over what the snapshot
	// store says, in ms.
	overlaySpan = 10_000
	// overlayBytes bounds what is kept for that; beyond it the oldest is dropped
	// first.
	overlayBytes  = 64 << 20
	overlayShards = 64
	// overlayEvent is what an event takes for one identifier, besides its bytes.
	overlayEvent = 128
	// overlayEach bounds the events laid over one profile for one identifier.
	overlayEach = 100
)

// overlay keeps what customers did with products in the last seconds, by
// identifier, from what this process reads of every partition's log. Laid over a
// profile of the snapshot store, it shows a customer's last actions at once,
// whichever process owns the profile: what the profile has already is known by
// its message id.
//
// An event is kept as its bytes, once, with a node for each identifier in the
// ring of that identifier's shard. A shard's lock is held for a few map accesses.
type overlay struct {
	on     atomic.Bool // there are profiles in other processes
	shards [overlayShards]overlayShard
}

type overlayShard struct {
	mu    sync.RWMutex
	ring  []overlayNode // a power of two; node n is at n modulo its length
	first int64         // number of the oldest node
	next  int64         // number of the next one, from 1
	heads map[uint64]int64
	bytes int
	_     [32]byte
}

// overlayNode is an event under one of its identifiers.
type overlayNode struct {
	key   uint64 // hash of the identifier
	prev  int64  // the node before of the same identifier; 0: none
	event *keptEvent
}

// keptEvent is an event as first read.
type keptEvent struct {
	raw          []byte
	messageID    string
	strongest    string
	at, loggedAt int64
	read         int64 // Unix ms
	trusted      bool  // by whoever wrote it: a public key proves nothing
}

// add keeps an event where it was first logged, if it is about products and
// recent. e's memory is not kept.
func (o *overlay) add(rec *streams.Record, e *streams.Event) {
	if !o.on.Load() || e.Product.ID == "" && e.OrderID == "" && e.Products == nil {
		return
	}
	now := time.Now().UnixMilli()
	if rec.Time < now-overlaySpan {
		return
	}
	kept := &keptEvent{
		raw: slices.Clone(rec.Value), messageID: strings.Clone(e.MessageID), strongest: e.Identifiers[0].String(),
		at: e.At, loggedAt: e.LoggedAt, read: now, trusted: rec.Header(streams.HeaderTrust) == nil,
	}
	var name [128]byte
	for _, id := range e.Identifiers {
		text := append(append(append(name[:0], id.Type...), ':'), id.Value...)
		key := xxhash.Sum64(text)
		o.shards[key%overlayShards].add(key, kept)
	}
}

func (s *overlayShard) add(key uint64, e *keptEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heads == nil {
		s.heads, s.ring, s.first, s.next = map[uint64]int64{}, make([]overlayNode, 64), 1, 1
	}
	s.bytes += e.size()
	for s.first < s.next && (s.bytes > overlayBytes/overlayShards || s.at(s.first).event.read < e.read-overlaySpan) {
		s.drop()
	}
	if s.next-s.first == int64(len(s.ring)) {
		s.grow()
	}
	*s.at(s.next) = overlayNode{key: key, prev: s.heads[key], event: e}
	s.heads[key] = s.next
	s.next++
}

func (e *keptEvent) size() int { return overlayEvent + len(e.raw) }

func (s *overlayShard) at(n int64) *overlayNode { return &s.ring[n&int64(len(s.ring)-1)] }

// drop forgets the oldest node.
func (s *overlayShard) drop() {
	n := s.at(s.first)
	if s.heads[n.key] == s.first {
		delete(s.heads, n.key)
	}
	s.bytes -= n.event.size()
	*n = overlayNode{}
	s.first++
}

func (s *overlayShard) grow() {
	ring := s.ring
	s.ring = make([]overlayNode, 2*len(ring))
	for n := s.first; n < s.next; n++ {
		*s.at(n) = ring[n&int64(len(ring)-1)]
	}
}

// find appends the events of an identifier that were read since, newest first.
func (o *overlay) find(list []*keptEvent, id string, since int64) []*keptEvent {
	key := xxhash.Sum64String(id)
	s := &o.shards[key%overlayShards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	before := len(list)
	for n := s.heads[key]; n >= s.first && n > 0; {
		node := s.at(n)
		if node.event.read < since || len(list)-before == overlayEach {
			break
		}
		list = append(list, node.event)
		n = node.prev
	}
	return list
}

// stronger is the stronger identifier that the last event of id named, "" where
// none did: its profile is where the event is applied, before the store knows.
func (o *overlay) stronger(id string) string {
	if !o.on.Load() {
		return ""
	}
	list := o.find(nil, id, time.Now().UnixMilli()-overlaySpan)
	if len(list) == 0 || list[0].strongest == id {
		return ""
	}
	return list[0].strongest
}

// lay applies the last events of a customer to the profile that the store has, or
// to an empty one of that id; passed are the identifiers that led to it. It
// reports whether there were any.
func (o *overlay) lay(p *profiles.Profile, passed []string, e *Engine) bool {
	if !o.on.Load() {
		return false
	}
	since := time.Now().UnixMilli() - overlaySpan
	var list []*keptEvent
	for _, id := range passed {
		list = o.find(list, id, since)
	}
	for _, id := range p.Identifiers {
		if !slices.Contains(passed, id) {
			list = o.find(list, id, since)
		}
	}
	if len(list) == 0 {
		return false
	}
	slices.SortStableFunc(list, func(a, b *keptEvent) int { return cmp.Compare(a.at, b.at) })
	ev, now := new(streams.Event), e.Now()
	for i, kept := range list {
		if slices.Contains(list[:i], kept) || e.decoder.DecodeStored(kept.raw, kept.messageID, kept.at, kept.loggedAt, ev) != nil {
			continue
		}
		if !kept.trusted {
			ev.Identifiers, ev.Claimed = nil, nil
		}
		e.settings.Profile.Apply(p, ev, now, e.catalogue.Get)
	}
	return true
}
