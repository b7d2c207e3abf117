package recommender

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/streams"
)

// What an event weighs in trending, and a pair in bought_together: of items in
// one order, of items in two orders of a customer, of items added to carts.
const (
	trendView, trendAdd, trendOrder = 1, 3, 5
	pairOrder, pairOrders, pairCart = 1, 0.5, 0.2
)

// Observe learns from one event where it was first logged: Product Viewed,
// Product Added and Order Completed; others teach nothing. Offsets below the
// partition's position were learned before and are ignored. It keeps nothing of
// e's memory. While Save copies the models, what an event teaches waits.
func (r *Recommender) Observe(partition int32, offset int64, e *streams.Event) {
	r.learning.Lock()
	defer r.learning.Unlock()
	for r.waiting != nil && len(r.waiting.lessons) >= r.waiting.limit {
		r.drained.Wait()
	}
	m := r.models.Load()
	positions := m.positions
	if r.waiting != nil {
		positions = r.waiting.positions
	}
	if offset < positions[partition] {
		return
	}
	positions[partition] = offset + 1
	l := m.lesson(e)
	if r.waiting == nil {
		m.learn(&l)
		return
	}
	l.partition, l.next, l.lines = partition, offset+1, slices.Clone(l.lines)
	r.waiting.lessons = append(r.waiting.lessons, l)
}

// maxTime bounds the times that are learned, in Unix ms: about 142,000 years.
const maxTime = 1 << 52

// What an event teaches.
const (
	nothing = iota
	aView
	anAddition
	anOrder
)

// lesson is what an event teaches, without the event's memory.
type lesson struct {
	kind      uint8
	partition int32 // of lessons that wait, with the next offset to learn then
	next      int64
	key       uint64 // of the customer
	at        int64
	item      uint32   // of a view or an addition
	order     uint64   // hash of an order
	lines     []uint32 // of an order, in scratch memory
}

// lesson makes the event's items known and returns what it teaches.
func (m *models) lesson(e *streams.Event) (l lesson) {
	if len(e.Identifiers) == 0 || e.At > maxTime || e.At < -maxTime {
		return lesson{}
	}
	l.key, l.at = customerKey(e), e.At
	switch e.Name {
	case "Product Viewed":
		l.kind = aView
	case "Product Added":
		l.kind = anAddition
	case "Order Completed":
		l.kind = anOrder
		m.orderLesson(e, &l)
		return l
	default:
		return lesson{}
	}
	if l.item = m.item(e.Product.ID); l.item == none {
		return lesson{}
	}
	return l
}

// orderLesson takes an order's lines. An order without an id is one of its own.
func (m *models) orderLesson(e *streams.Event, l *lesson) {
	id := e.OrderID
	if id == "" {
		id = e.MessageID
	}
	l.order = l.key*31 ^ xxhash.Sum64String(id)
	m.lines = m.lines[:0]
	for k := range e.Products[:min(len(e.Products), orderLines)] {
		if i := m.item(e.Products[k].ID); i != none {
			m.lines = append(m.lines, i)
		}
	}
	l.lines = m.lines
}

func (m *models) learn(l *lesson) {
	switch l.kind {
	case aView:
		m.learnView(l)
	case anAddition:
		m.learnAdd(l)
	case anOrder:
		m.learnOrder(l)
	}
}

// item returns the number of an id, none where it is empty or there is no room.
func (m *models) item(id string) uint32 {
	if id == "" {
		return none
	}
	i := m.ids.intern(id, m.cfg.MaxItems)
	if i == none {
		m.refused++
	}
	return i
}

// saw notes the time of an event learned, and a sign of popularity.
func (m *models) saw(i uint32, at int64, weight float64) {
	if at > m.newest.Load() {
		m.newest.Store(at)
	}
	m.trends.add(i, at, weight)
}

// customerKey is the hash of the event's strongest identifier.
func customerKey(e *streams.Event) uint64 {
	return keyOf(e.Identifiers[0].Type, e.Identifiers[0].Value)
}

func keyOf(typ, value string) uint64 {
	return xxhash.Sum64String(value) ^ 31*xxhash.Sum64String(typ)
}

func (m *models) learnView(l *lesson) {
	i := l.item
	m.saw(i, l.at, trendView)
	others, fresh, place := m.sessions.touch(l.key, i, l.at)
	if fresh {
		m.meet(m.viewed, i, &others, l.at, 1)
	}
	if others.n > 0 && !others.again {
		m.returns.learn(fresh)
		m.learnFollowing(i, &others, l.at)
	}
	if place < 0 {
		return
	}
	if n := m.index.learn(others.number, others.items[:others.n], i, l.at); n != others.number {
		m.sessions.note(place, n)
	}
}

func (m *models) learnAdd(l *lesson) {
	m.saw(l.item, l.at, trendAdd)
	others, fresh, _ := m.carts.touch(l.key, l.item, l.at)
	if fresh {
		m.meet(m.bought, l.item, &others, l.at, pairCart)
	}
}

// meet counts an item and joins it with the others of its session.
func (m *models) meet(p *pairs, i uint32, others *session, at int64, weight float32) {
	st, w := p.weigh(at)
	if w *= weight; w == 0 {
		return
	}
	st.count(i, w)
	for k := range others.n {
		p.join(st, i, others.items[k], w)
	}
}

// partner is an item that an ordered one is joined with.
type partner struct {
	item   uint32
	weight float32
}

// learnOrder counts each item of an order once and joins it with the order's
// other items and with those of the customer's orders in the window before. The
// same order again joins only what it did not have before.
func (m *models) learnOrder(l *lesson) {
	order := l.order
	place := m.customers.take(l.key, l.at)
	m.partnersOf(place, uint32(order), l.at)
	for _, i := range l.lines { // lines of this order that were learned before
		if m.ordered.has(m.lineKey(order, i)) {
			m.addPartner(i, pairOrder)
		}
	}
	st, w := m.bought.weigh(l.at)
	for _, i := range l.lines {
		if !m.ordered.add(m.lineKey(order, i)) {
			continue
		}
		m.saw(i, l.at, trendOrder)
		if w > 0 {
			st.count(i, w)
			for _, p := range m.partners {
				m.bought.join(st, i, p.item, w*p.weight)
			}
		}
		m.addPartner(i, pairOrder)
		m.again(place, i, uint32(order), l.at)
		m.remember(place, boughtItem{l.at, i, uint32(order)})
	}
}

// lineKey is the hash of an item in an order.
func (m *models) lineKey(order uint64, i uint32) uint64 {
	return (order ^ m.ids.at(i).hash*0x9E3779B97F4A7C15) * 0xFF51AFD7ED558CCD
}

// again learns how long it took the customer to order an item again.
func (m *models) again(place int, i, order uint32, at int64) {
	if place < 0 {
		return
	}
	b := &m.customers.data[place]
	for k := b.n; k > 0; k-- {
		if it := b.at(k - 1); it.item == i && it.order != order {
			m.rhythms.learn(i, at-it.at)
			return
		}
	}
}

// remember notes a bought item for the customer's next orders.
func (m *models) remember(place int, it boughtItem) {
	if place < 0 {
		return
	}
	last := &m.customers.metas[place].last
	*last = max(*last, it.at)
	m.customers.data[place].push(it)
}

// partnersOf gathers what a customer bought within the window around at.
func (m *models) partnersOf(place int, order uint32, at int64) {
	m.partners = m.partners[:0]
	if place < 0 {
		return
	}
	window := m.cfg.OrderWindow.Milliseconds()
	b := &m.customers.data[place]
	for k := range b.n {
		it := b.at(k)
		if max(at-it.at, it.at-at) > window {
			continue
		}
		if it.order == order {
			m.addPartner(it.item, pairOrder)
		} else {
			m.addPartner(it.item, pairOrders)
		}
	}
}

// addPartner adds an item to the partners, or makes its weight the greater one.
func (m *models) addPartner(i uint32, weight float32) {
	for k := range m.partners {
		if m.partners[k].item == i {
			m.partners[k].weight = max(m.partners[k].weight, weight)
			return
		}
	}
	m.partners = append(m.partners, partner{i, weight})
}
