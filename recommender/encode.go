package recommender

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
)

var le = binary.LittleEndian

// encode appends the models. Items are named by their place in the list of ids
// that comes first. The order of everything is fixed: equal models, equal bytes.
func (m *models) encode(b []byte) []byte {
	n := m.ids.len()
	b = binary.AppendUvarint(b, uint64(n))
	for i := range uint32(n) {
		id := m.ids.at(i).id
		b = binary.AppendUvarint(b, uint64(len(id)))
		b = append(b, id...)
	}
	b = binary.AppendUvarint(b, uint64(len(m.positions)))
	for _, p := range slices.Sorted(maps.Keys(m.positions)) {
		b = binary.AppendVarint(b, int64(p))
		b = binary.AppendVarint(b, m.positions[p])
	}
	b = binary.AppendVarint(b, m.newest.Load())
	b = m.viewed.state.Load().encode(b)
	b = m.bought.state.Load().encode(b)
	b = m.follows.state.Load().encode(b)
	b = m.places.encode(b)
	b = m.trends.state.Load().encode(b)
	b = m.sessions.encode(b)
	b = m.index.encode(b)
	b = m.returns.encode(b)
	b = m.carts.encode(b)
	b = encodeAssoc(b, &m.customers, appendBought)
	b = m.ordered.encode(b)
	b = m.rhythms.encode(b)
	return m.book.encode(b)
}

func appendLandmark(b []byte, started bool, landmark int64) []byte {
	if !started {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), landmark)
}

// holds reports whether anything is known of an item that has room.
func (st *pairState) holds(i uint32) bool { return st.sum(i) > 0 || st.items.get(i).row.Load() != nil }

func (st *pairState) encode(b []byte) []byte {
	b = appendLandmark(b, st.started, st.landmark)
	n := 0
	for i := range st.items.len() {
		if st.holds(i) {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i := range st.items.len() {
		if st.holds(i) {
			b = le.AppendUint32(b, i)
			b = le.AppendUint32(b, math.Float32bits(st.sum(i)))
			b = st.items.get(i).row.Load().encode(b)
		}
	}
	return b
}

// encode writes the neighbours; the lowest bit of their number says whether
// errors follow the sums.
func (r *row) encode(b []byte) []byte {
	if r == nil {
		return append(b, 0)
	}
	n := len(r.slots)
	for n > 0 && r.slots[n-1].Load() == 0 {
		n--
	}
	b = slices.Grow(b, 12*n+2)
	flag := 0
	if r.errs != nil {
		flag = 1
	}
	b = binary.AppendUvarint(b, uint64(2*n+flag))
	for k := range n {
		v := r.slots[k].Load()
		b = le.AppendUint64(b, v-1<<32) // the sum, then the neighbour
		if r.errs != nil {
			b = le.AppendUint32(b, r.errs[k].Load())
		}
	}
	return b
}

func (r *rhythms) encode(b []byte) []byte {
	n := 0
	for i := range r.items.len() {
		if r.items.get(i).word.Load() != 0 {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i := range r.items.len() {
		if w := r.items.get(i).word.Load(); w != 0 {
			b = le.AppendUint32(b, i)
			b = le.AppendUint64(b, w)
		}
	}
	return b
}

func (st *trendState) encode(b []byte) []byte {
	b = appendLandmark(b, st.started, st.landmark)
	n := 0
	for i := range st.items.len() {
		if st.items.get(i).value() > 0 {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i := range st.items.len() {
		if v := st.items.get(i).value(); v > 0 {
			b = le.AppendUint32(b, i)
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b
}

// encode writes the sessions, oldest first, then the rings, oldest session first.
func (x *sessionIndex) encode(b []byte) []byte {
	b = le.AppendUint32(b, x.next)
	b = binary.AppendUvarint(b, uint64(x.used))
	var items [slotItems]uint32
	for k := range x.used {
		number := x.numbered(k)
		n, at := x.read(number, &items)
		b = binary.AppendVarint(b, at)
		b = append(b, byte(n))
		for _, i := range items[:n] {
			b = le.AppendUint32(b, i)
		}
	}
	rings := 0
	for i := range x.rings.len() {
		if _, _, count := x.of(i); count > 0 {
			rings++
		}
	}
	b = binary.AppendUvarint(b, uint64(rings))
	for i := range x.rings.len() {
		numbers, last, count := x.of(i)
		if count == 0 {
			continue
		}
		b = le.AppendUint32(b, i)
		b = binary.AppendUvarint(b, uint64(count))
		for k := range count {
			b = le.AppendUint32(b, numbers[(last-count+1+k)&uint32(len(numbers)-1)].Load())
		}
	}
	return b
}

// encode takes no lock: nobody learns while the models are copied.
func (s *sessions) encode(b []byte) []byte {
	return encodeAssoc(b, &s.table, func(b []byte, se *session) []byte {
		b = append(binary.AppendUvarint(b, uint64(se.number)), se.step)
		b = append(b, byte(se.n))
		for _, i := range se.items[:se.n] {
			b = le.AppendUint32(b, i)
		}
		for _, place := range se.places {
			b = le.AppendUint64(b, place)
		}
		return le.AppendUint64(b, se.category)
	})
}

// appendBought writes what a customer bought, oldest first.
func appendBought(b []byte, bo *bought) []byte {
	b = append(b, byte(bo.n))
	for k := range bo.n {
		it := bo.at(k)
		b = binary.AppendVarint(b, it.at)
		b = le.AppendUint32(b, it.item)
		b = le.AppendUint32(b, it.order)
	}
	return b
}

func encodeAssoc[T any](b []byte, a *assoc[T], one func([]byte, *T) []byte) []byte {
	n := 0
	for i := range a.metas {
		if a.metas[i].key != 0 {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i := range a.metas {
		if m := &a.metas[i]; m.key != 0 {
			b = le.AppendUint64(b, m.key)
			b = binary.AppendVarint(b, m.last)
			b = one(b, &a.data[i])
		}
	}
	return b
}

// encode writes the keys so that adding them in this order makes an equal set.
func (s *recentSet) encode(b []byte) []byte {
	n := 0
	for _, key := range s.keys {
		if key != 0 {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for _, key := range slices.Backward(s.keys) {
		if key != 0 {
			b = le.AppendUint64(b, key)
		}
	}
	return b
}
