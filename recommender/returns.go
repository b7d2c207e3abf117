package recommender

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
)

// How a session came to its newest item.
const (
	stepFirst = iota // it is the first
	stepOn           // one that the session did not have
	stepBack         // one that it had, but not just before
	stepAgain        // the same once more
	steps
)

// returns counts how sessions go on, where placements may answer what was viewed
// already (Request.Repeats).
type returns struct {
	away share        // views that are not the first of their session nor of its newest item; of an item that it had
	stay [steps]share // views after the first, by the step before; of its newest item
}

// share counts cases and those that something is true of.
type share struct{ all, of atomic.Uint64 }

func (s *share) learn(yes bool) {
	s.all.Add(1)
	if yes {
		s.of.Add(1)
	}
}

// is is the share, or what is expected of it where little is known.
func (s *share) is(expected float64) float64 {
	return (float64(s.of.Load()) + 100*expected) / (float64(s.all.Load()) + 100)
}

// learn counts a view in a session that had items before; fresh says that the one
// viewed was not among them.
func (r *returns) learn(before *session, fresh bool) {
	r.stay[before.step].learn(before.again)
	if !before.again {
		r.away.learn(!fresh)
	}
}

// What is expected where little is known.
const (
	expectedAway = 1. / 7
	expectedStay = 1. / 4
)

// favour weighs the items of the session in progress by how often sessions stay with
// their newest item and come back to others.
func (s *scratch) favour(w *sessionWeights) {
	seen, r := s.contextBits(), &s.m.returns
	back := max(0.8, min(w.Return*r.away.is(expectedAway), 4))
	p := r.stay[s.step()].is(expectedStay)
	stay := max(0.05, min(w.Stay*p*p, 8))
	for k := range s.scores.list {
		c := &s.scores.list[k]
		if seen>>(c.item&63)&1 == 0 {
			continue
		}
		switch at := slices.Index(s.context, c.item); {
		case at == 0:
			c.score *= stay
		case at > 0:
			c.score *= back
		}
	}
}

// step tells how the session in progress came to its newest item.
func (s *scratch) step() int {
	ids := s.items
	if len(ids) == 0 {
		ids = s.req.Customer.Session
	}
	switch last := len(ids) - 1; {
	case last < 1:
		return stepFirst
	case ids[last] == ids[last-1]:
		return stepAgain
	case slices.Contains(ids[:last], ids[last]):
		return stepBack
	}
	return stepOn
}

func (s *share) encode(b []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, s.all.Load()), s.of.Load())
}

func (s *share) decode(d *decoder) {
	all, of := d.uvarint(), d.uvarint()
	if of > all {
		d.fail("more than all")
	}
	s.all.Store(all)
	s.of.Store(of)
}

func (r *returns) encode(b []byte) []byte {
	b = r.away.encode(b)
	for k := range r.stay {
		b = r.stay[k].encode(b)
	}
	return b
}

func (r *returns) decode(d *decoder) {
	r.away.decode(d)
	for k := range r.stay {
		r.stay[k].decode(d)
	}
}
