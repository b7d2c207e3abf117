package recommender

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
)

// decoder reads what encode wrote. After the first thing that cannot be, bad says
// what, and everything reads as zero.
type decoder struct {
	b     []byte
	bad   string
	items []uint32 // number here of each id of the checkpoint, none without room
}

func (d *decoder) fail(what string) {
	if d.bad == "" {
		d.bad = what
	}
	d.b = nil
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.fail("cut short")
	}
	if d.bad != "" {
		return make([]byte, min(n, 8))
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte     { return d.take(1)[0] }
func (d *decoder) uint32() uint32 { return le.Uint32(d.take(4)) }
func (d *decoder) uint64() uint64 { return le.Uint64(d.take(8)) }

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail("no number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// uint32v reads a uint32 of varying length.
func (d *decoder) uint32v() uint32 {
	v := d.uvarint()
	if v > math.MaxUint32 {
		d.fail("no number of 32 bits")
		return 0
	}
	return uint32(v)
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail("no number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// time reads Unix ms that an event can have.
func (d *decoder) time() int64 {
	v := d.varint()
	if v > maxTime || v < -maxTime {
		d.fail("no time")
		return 0
	}
	return v
}

// count reads how many elements of at least size bytes follow.
func (d *decoder) count(size int) int {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > uint64((len(d.b)-n)/size) {
		d.fail("no count")
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

// few reads a count of one byte that is at most limit.
func (d *decoder) few(limit int) int {
	n := int(d.byte())
	if n > limit {
		d.fail("count too large")
		return 0
	}
	return n
}

// item reads the place of an id and returns its number here, maybe none.
func (d *decoder) item() uint32 {
	i := d.uint32()
	if int64(i) >= int64(len(d.items)) {
		d.fail("no item")
		return none
	}
	return d.items[i]
}

// sum reads a float32 that can be a sum of weights.
func (d *decoder) sum() float32 {
	v := math.Float32frombits(d.uint32())
	if !(v >= 0 && v <= math.MaxFloat32) {
		d.fail("no sum")
		return 0
	}
	return v
}

func (d *decoder) landmark() (started bool, landmark int64) {
	if d.byte() == 0 {
		return false, 0
	}
	return true, d.time()
}

// decode fills empty models.
func (m *models) decode(b []byte) error {
	d := &decoder{b: b}
	for range d.count(1) {
		id := d.take(d.count(1))
		if d.bad != "" {
			break
		}
		d.items = append(d.items, m.ids.intern(string(id), m.cfg.MaxItems))
	}
	for range d.count(2) {
		p, offset := d.varint(), d.varint()
		if p < 0 || p > math.MaxInt32 || offset < 0 {
			d.fail("no position")
			break
		}
		m.positions[int32(p)] = offset
	}
	m.newest.Store(d.time())
	m.viewed.decode(d)
	m.bought.decode(d)
	m.follows.decode(d)
	m.places.decode(d)
	m.trends.decode(d)
	m.sessions.decode(d)
	m.index.decode(d)
	m.returns.decode(d)
	m.carts.decode(d)
	m.decodeCustomers(d)
	for range d.count(8) {
		m.ordered.add(d.uint64())
	}
	m.rhythms.decode(d)
	m.book.decode(d)
	if d.bad == "" && len(d.b) > 0 {
		d.fail("more than there should be")
	}
	if d.bad != "" {
		return fmt.Errorf("%s: %w", d.bad, ErrBadCheckpoint)
	}
	return nil
}

func (p *pairs) decode(d *decoder) {
	st := &pairState{}
	st.started, st.landmark = d.landmark()
	for range d.count(9) {
		i, sum := d.item(), d.sum()
		r := p.decodeRow(d)
		if i == none || d.bad != "" {
			continue
		}
		it := st.items.grow(i)
		it.count.Store(math.Float32bits(sum))
		it.row.Store(r)
	}
	p.state.Store(st)
}

type neighbour struct {
	item     uint32
	sum, err float32
}

// decodeRow reads the neighbours of an item; nil when there are none. Of more
// than there may be here, the heaviest stay.
func (p *pairs) decodeRow(d *decoder) *row {
	var list []neighbour
	flagged := d.count(4) // twice their number, at least 8 bytes each
	for range flagged / 2 {
		n := neighbour{sum: d.sum(), item: d.item()}
		if flagged%2 == 1 {
			n.err = d.sum()
		}
		if n.item != none {
			list = append(list, n)
		}
	}
	if len(list) == 0 || d.bad != "" {
		return nil
	}
	if len(list) > p.slots {
		slices.SortStableFunc(list, func(a, b neighbour) int { return compareFloat(b.sum-b.err, a.sum-a.err) })
		list = list[:p.slots]
	}
	size := min(firstSlots, p.slots)
	for size < len(list) {
		size = min(2*size, p.slots)
	}
	r := &row{slots: make([]atomic.Uint64, size)}
	for k, n := range list {
		r.slots[k].Store(packed(n.item, n.sum))
		if n.err > 0 && r.errs == nil {
			r.errs = make([]atomic.Uint32, size)
		}
		if n.err > 0 {
			r.errs[k].Store(math.Float32bits(n.err))
		}
	}
	return r
}

func compareFloat(a, b float32) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (t *trending) decode(d *decoder) {
	st := newTrendState(len(t.state.Load().top))
	st.started, st.landmark = d.landmark()
	for range d.count(12) {
		i, sum := d.item(), math.Float64frombits(d.uint64())
		if !(sum > 0 && sum <= math.MaxFloat64) {
			d.fail("no sum")
			return
		}
		if i != none && st.items.grow(i).value() == 0 {
			t.raise(st, i, st.items.grow(i), sum)
		}
	}
	t.state.Store(st)
}

func (s *sessions) decode(d *decoder) {
	for range d.count(10) {
		key, last := d.uint64(), d.time()
		se := session{number: d.uint32v()}
		if se.step = d.byte(); se.step >= steps {
			d.fail("no step")
			return
		}
		for range d.few(sessionItems) {
			if i := d.item(); i != none && !slices.Contains(se.items[:se.n], i) {
				se.push(i)
			}
		}
		for k := range se.places {
			se.places[k] = d.uint64()
		}
		se.category = d.uint64()
		if k := s.table.take(key, last); k >= 0 {
			s.table.data[k] = se
		}
	}
}

// decode fills an empty index. Where it has fewer slots, the oldest sessions are
// forgotten.
func (x *sessionIndex) decode(d *decoder) {
	if x.next = d.uint32(); x.next == 0 {
		d.fail("no number of a session")
		return
	}
	used := uint32(d.count(2)) //nolint:gosec // not above the length of the data
	for k := range used {
		at := d.time()
		var items [slotItems]uint32
		n := 0
		for range d.few(slotItems) {
			if i := d.item(); i != none && !slices.Contains(items[:n], i) {
				items[n] = i
				n++
			}
		}
		if d.bad != "" {
			return
		}
		if used-k > x.size {
			continue
		}
		x.used++
		x.write(before(x.next, used-k), items[:n], at)
	}
	for range d.count(9) {
		i := d.item()
		for range d.count(4) {
			number := d.uint32()
			if i != none && d.bad == "" {
				x.post(i, number)
			}
		}
	}
}

func (r *rhythms) decode(d *decoder) {
	for range d.count(12) {
		i, mean, n := d.item(), d.sum(), d.uint32()
		if n > rhythmMemory {
			d.fail("no rhythm")
			return
		}
		if i != none && d.bad == "" {
			r.items.grow(i).set(n, mean)
		}
	}
}

func (m *models) decodeCustomers(d *decoder) {
	for range d.count(10) {
		key, last := d.uint64(), d.time()
		var bo bought
		for range d.few(boughtItems) {
			it := boughtItem{at: d.time(), item: d.item(), order: d.uint32()}
			if it.item != none {
				bo.push(it)
			}
		}
		if k := m.customers.take(key, last); k >= 0 {
			m.customers.data[k] = bo
		}
	}
}
