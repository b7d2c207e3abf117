package recommender

import (
	"encoding/binary"
	"math"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/streams"
)

// sessionPlaces is how many of the last places of a session are remembered.
const sessionPlaces = 2

// places learns what is viewed from where in the shop: a category's page, a list,
// the answers to a search. Each place has a row of items as in pairs; of the places,
// those used last are kept, in a set-associative table.
//
// One goroutine learns; readers take no lock. One that reads a row that just changes
// its place may answer with a little of both.
type places struct {
	keys []atomic.Uint64 // 0: free
	last []int64         // Unix ms; the learner's own
	rows *pairs          // by index of keys; the count is of views from there
}

func newPlaces(n int, halfLife int64, slots int) *places {
	size := int(powerOfTwo(n, 1<<24))
	return &places{keys: make([]atomic.Uint64, size), last: make([]int64, size), rows: newPairs(halfLife, slots, true)}
}

// placeOf is the hash of where an event says that the customer is, 0 for nowhere.
func placeOf(e *streams.Event) uint64 {
	if e.Place == "" || strings.HasPrefix(e.Place, "rec_") { // a recommendation is no place
		return 0
	}
	return max(1, xxhash.Sum64String(e.Place)^31*xxhash.Sum64String(e.Name))
}

// categoryOf is the hash of the category in which an event's product was viewed, 0
// where it does not say.
func categoryOf(e *streams.Event) uint64 {
	if len(e.Product.Category) == 0 {
		return 0
	}
	h := uint64(len(e.Product.Category))
	for _, name := range e.Product.Category {
		h = h*31 ^ xxhash.Sum64String(name)
	}
	return max(1, h)
}

// find returns the row of a place, false when it has none.
func (p *places) find(key uint64) (uint32, bool) {
	first := int(key) & (len(p.keys) - 1) &^ (ways - 1)
	for i := first; i < first+ways; i++ {
		if p.keys[i].Load() == key {
			return uint32(i), true //nolint:gosec // at most 2^24
		}
	}
	return 0, false
}

// take returns the row of a place, giving it the one of its bucket that was used
// longest ago.
func (p *places) take(key uint64, at int64) uint32 {
	i, ok := p.find(key)
	if !ok {
		first := int(key) & (len(p.keys) - 1) &^ (ways - 1)
		oldest := first
		for k := first; k < first+ways && p.keys[oldest].Load() != 0; k++ {
			if p.keys[k].Load() == 0 || p.last[k] < p.last[oldest] {
				oldest = k
			}
		}
		i = uint32(oldest) //nolint:gosec // as above
		p.keys[i].Store(0)
		if it := p.rows.state.Load().items.get(i); it != nil {
			it.count.Store(0)
			it.row.Store(nil)
		}
		p.keys[i].Store(key)
		p.last[i] = at
	}
	p.last[i] = max(p.last[i], at)
	return i
}

// learn notes that an item was viewed by who had been at a place.
func (p *places) learn(key uint64, item uint32, at int64) {
	st, w := p.rows.weigh(at)
	if w == 0 {
		return
	}
	i := p.take(key, at)
	st.count(i, w)
	p.rows.link(st, st.items.grow(i), item, w)
}

// learnFrom notes that an item was viewed after a session had been where it was.
func (m *models) learnFrom(i uint32, se *session, at int64) {
	for _, key := range se.places {
		if key != 0 {
			m.places.learn(key, i, at)
		}
	}
	if se.category != 0 {
		m.places.learn(se.category, i, at)
	}
}

// fromPlaces adds to the items that are viewed from where the customer is, and was
// before, how often that is, as a share of all that are.
func (s *scratch) fromPlaces(w *sessionWeights, se *session) {
	p := s.m.places.rows
	st := p.state.Load()
	shrink := float32(w.PlaceProof * math.Exp2(clampHalfLives(float64(s.m.newest.Load()-st.landmark)/p.halfLife)))
	weight := w.Place
	for _, key := range se.places {
		s.fromPlace(st, key, weight, shrink)
		weight *= w.PlaceDecay
	}
	s.fromPlace(st, se.category, w.Category, shrink)
}

func (s *scratch) fromPlace(st *pairState, key uint64, weight float64, shrink float32) {
	if i, ok := s.m.places.find(key); key != 0 && ok {
		if it := st.items.get(i); it != nil {
			st.scoreFollowing(it, weight, shrink, &s.scores)
		}
	}
}

// clampHalfLives keeps half-lives from a landmark within what sums can hold.
func clampHalfLives(x float64) float64 { return max(-maxHalfLives, min(x, maxHalfLives)) }

// encode writes each place with its row.
func (p *places) encode(b []byte) []byte {
	st := p.rows.state.Load()
	b = appendLandmark(b, st.started, st.landmark)
	n := 0
	for k := range p.keys {
		if p.keys[k].Load() != 0 {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for k := range p.keys {
		key := p.keys[k].Load()
		if key == 0 {
			continue
		}
		b = le.AppendUint64(b, key)
		b = binary.AppendVarint(b, p.last[k])
		i := uint32(k) //nolint:gosec // at most 2^24
		b = le.AppendUint32(b, math.Float32bits(st.sum(i)))
		if it := st.items.get(i); it != nil {
			b = it.row.Load().encode(b)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

func (p *places) decode(d *decoder) {
	st := &pairState{}
	st.started, st.landmark = d.landmark()
	p.rows.state.Store(st)
	for range d.count(14) {
		key, last, sum := d.uint64(), d.time(), d.sum()
		r := p.rows.decodeRow(d)
		if key == 0 && d.bad == "" {
			d.fail("no place")
		}
		if d.bad != "" {
			return
		}
		it := st.items.grow(p.take(key, last))
		it.count.Store(math.Float32bits(sum))
		it.row.Store(r)
	}
}
