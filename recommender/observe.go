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

// Lessons are what a batch of a partition's records teaches, in their order: read
// without a lock, learned all at once. The zero value is empty; its memory is used
// again.
type Lessons struct {
	drafts []draft
	ids    []string     // of orders' lines
	lines  []lineCredit // beside ids
	next   int64        // the offset behind the last record
}

// draft is a lesson whose items are still ids, in the memory of their events.
type draft struct {
	lesson
	offset   int64
	id       string // of a view or an addition
	from, to int    // of an order: its lines in Lessons.ids
}

// lineCredit is what a line of an order is worth and what recommended it.
type lineCredit struct {
	credit
	amount float64
}

// Add takes down what one event teaches where it was first logged: Product Viewed,
// Product Added, Order Completed and those with a Place; others teach nothing. The strings of e must
// stay as they are until Observe.
func (ls *Lessons) Add(offset int64, e *streams.Event) {
	ls.next = offset + 1
	if len(e.Identifiers) == 0 || e.At > maxTime || e.At < -maxTime {
		return
	}
	n := draft{lesson: lesson{key: customerKey(e), at: e.At}, offset: offset, id: e.Product.ID}
	switch e.Name {
	case "Product Viewed":
		n.kind, n.place = aView, categoryOf(e)
	case "Product Added":
		n.kind = anAddition
	case "Order Completed":
		n.kind = anOrder
		ls.addOrder(e, &n)
	case "Product Clicked":
		n.kind = aClick
	default:
		if n.list, _ = refIn(e.RecommendationID); n.list.placement != 0 && e.Name == "Product List Viewed" {
			n.kind = aListSeen
			break
		}
		if n.place = placeOf(e); n.place == 0 {
			return
		}
		n.kind = aVisit
	}
	n.by = creditOf(e.RecommendationID, e.Position)
	ls.drafts = append(ls.drafts, n)
}

// addOrder takes an order's lines. An order without an id is one of its own.
func (ls *Lessons) addOrder(e *streams.Event, n *draft) {
	id := e.OrderID
	if id == "" {
		id = e.MessageID
	}
	n.order = n.key*31 ^ xxhash.Sum64String(id)
	n.from = len(ls.ids)
	for k := range e.Products[:min(len(e.Products), orderLines)] {
		line := &e.Products[k]
		by := creditOf(line.RecommendationID, line.Position)
		if by == (credit{}) {
			by = creditOf(e.RecommendationID, line.Position)
		}
		ls.ids = append(ls.ids, line.ID)
		ls.lines = append(ls.lines, lineCredit{by, line.Price * float64(line.Quantity)})
	}
	n.to = len(ls.ids)
}

// creditOf is who earns by the id and place that an event names.
func creditOf(id string, place int) credit {
	if id == "" {
		return credit{}
	}
	l, ok := refIn(id)
	if !ok {
		return credit{}
	}
	return credit{l.placement, l.strategy(place)}
}

func (ls *Lessons) reset() {
	clear(ls.drafts)
	clear(ls.ids)
	ls.drafts, ls.ids, ls.lines, ls.next = ls.drafts[:0], ls.ids[:0], ls.lines[:0], 0
}

// Observe learns a batch of a partition and empties it. Offsets below the
// partition's position were learned before and are ignored. It keeps nothing of
// the events' memory. While Save copies the models, what is to be learned waits.
func (r *Recommender) Observe(partition int32, ls *Lessons) {
	r.learning.Lock()
	defer r.learning.Unlock()
	read := r.positions()[partition]
	for i := range ls.drafts {
		if n := &ls.drafts[i]; n.offset >= read {
			r.observe(partition, n, ls.ids[n.from:n.to], ls.lines[n.from:n.to])
		}
	}
	if ls.next > read {
		r.positions()[partition] = ls.next
	}
	ls.reset()
}

// positions are those that were read, learned or waiting. It is called with
// learning held.
func (r *Recommender) positions() positions {
	if r.waiting != nil {
		return r.waiting.positions
	}
	return r.models.Load().positions
}

// observe learns one draft, or lets it wait. It is called with learning held, which
// it gives up while there is no room to wait.
func (r *Recommender) observe(partition int32, n *draft, ids []string, lines []lineCredit) {
	for r.waiting != nil && len(r.waiting.lessons) >= r.waiting.limit {
		r.positions()[partition] = n.offset
		r.drained.Wait()
	}
	m := r.models.Load()
	r.follow(n, ids, lines)
	if !m.number(n, ids, lines) {
		return
	}
	l := &n.lesson
	if r.waiting == nil {
		m.learn(l)
		return
	}
	l.partition, l.next, l.lines, l.credits = partition, n.offset+1, slices.Clone(l.lines), slices.Clone(l.credits)
	r.waiting.lessons = append(r.waiting.lessons, *l)
}

// maxTime bounds the times that are learned, in Unix ms: about 142,000 years.
const maxTime = 1 << 52

// What an event teaches.
const (
	aView = iota + 1
	anAddition
	anOrder
	aVisit
	aClick
	aListSeen
)

// lesson is what an event teaches, without the event's memory.
type lesson struct {
	kind      uint8
	partition int32 // of lessons that wait, with the next offset to learn then
	next      int64
	key       uint64 // of the customer
	at        int64
	place     uint64   // where a visit is, or the category of a view
	item      uint32   // of a view or an addition
	order     uint64   // hash of an order
	lines     []uint32 // of an order, in scratch memory
	credits   []lineCredit
	by        credit  // who recommended the item, if the event says so
	list      listRef // that was seen
}

// number makes a draft's items known, and reports whether it teaches anything.
func (m *models) number(n *draft, ids []string, lines []lineCredit) bool {
	switch n.kind {
	case aVisit, aListSeen:
		return true
	case aView, anAddition, aClick:
		n.item = m.item(n.id)
		return n.item != none
	}
	m.lines, m.credits = m.lines[:0], m.credits[:0]
	for k, id := range ids {
		if i := m.item(id); i != none {
			m.lines, m.credits = append(m.lines, i), append(m.credits, lines[k])
		}
	}
	n.lines, n.credits = m.lines, m.credits
	return true
}

func (m *models) learn(l *lesson) {
	switch l.kind {
	case aView:
		m.learnView(l)
		m.book.click(l.key, m.ids.at(l.item).hash, l.by, l.at)
	case anAddition:
		m.learnAdd(l)
		m.book.add(l.key, m.ids.at(l.item).hash, l.by, l.at)
	case aClick:
		m.book.click(l.key, m.ids.at(l.item).hash, l.by, l.at)
	case aListSeen:
		m.book.seen(&l.list)
	case anOrder:
		m.learnOrder(l)
	case aVisit:
		m.sessions.visit(l.key, l.place, l.at)
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
	others, fresh, place := m.sessions.touch(l.key, i, l.place, l.at)
	if fresh {
		m.meet(m.viewed, i, &others, l.at, 1)
	}
	if !others.again {
		m.learnFrom(i, &others, l.at)
	}
	if others.n > 0 || !fresh {
		m.returns.learn(&others, fresh)
	}
	if others.n > 0 && !others.again {
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
	others, fresh, _ := m.carts.touch(l.key, l.item, 0, l.at)
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
	var counted []credit
	for k, i := range l.lines {
		if !m.ordered.add(m.lineKey(order, i)) {
			continue
		}
		counted = m.book.order(l.key, m.ids.at(i).hash, l.credits[k].credit, l.credits[k].amount, l.at, counted)
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
