package recommender

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// How long after an item was shown a click counts for what showed it, and how long
// after that an order does.
const (
	clickWindow = int64(24 * time.Hour / time.Millisecond)
	orderWindow = int64(7 * 24 * time.Hour / time.Millisecond)
	sameClick   = int64(30 * time.Minute / time.Millisecond) // a click and the view that it leads to are one
)

// Earned is what one strategy of a placement did: items that were answered, seen, clicked,
// added to a cart and ordered, and the revenue of the latter's lines in the orders' own
// currencies. Orders counts an order once.
type Earned struct {
	Placement, Strategy                       string
	Served, Impressions, Clicks, Adds, Orders uint64
	Revenue                                   float64
}

// credit is who earns: a strategy of a placement. The zero value is nobody.
type credit struct {
	placement uint32
	strategy  byte
}

// ledger has what each strategy of each placement earned. It is bounded by maxCredits.
type ledger map[credit]*Earned

// maxCredits bounds a ledger: ids can be made up by anyone with a public key.
const maxCredits = 4096

// of returns what one earned, to be added to; what does not fit is not kept.
func (l ledger) of(c credit) *Earned {
	e := l[c]
	if e == nil {
		if len(l) >= maxCredits {
			return &Earned{}
		}
		e = &Earned{}
		l[c] = e
	}
	return e
}

// touch is an item that a recommendation brought to a customer.
type touch struct {
	item uint64 // hash of its id
	at   int64  // Unix ms
	credit
	times uint16 // that it was shown since the last click; 0: it was clicked
}

// touched is how many touches of a customer are kept.
const touched = 16

// touches are a customer's latest, oldest first, each item once.
type touches struct {
	n    uint8
	list [touched]touch
}

func (t *touches) find(item uint64) *touch {
	for k := range t.list[:t.n] {
		if t.list[k].item == item {
			return &t.list[k]
		}
	}
	return nil
}

// remove forgets an item.
func (t *touches) remove(item uint64) {
	for k := range t.list[:t.n] {
		if t.list[k].item == item {
			copy(t.list[k:t.n], t.list[k+1:t.n])
			t.n--
			return
		}
	}
}

// put makes a touch the newest.
func (t *touches) put(n touch) {
	t.remove(n.item)
	if t.n == touched {
		copy(t.list[:], t.list[1:])
		t.n--
	}
	t.list[t.n] = n
	t.n++
}

// book tells who earned what, by what brought an item to a customer last. Not safe for
// several goroutines.
type book struct {
	customers assoc[touches]
	earned    ledger
}

func newBook(customers int) *book {
	return &book{customers: newAssoc[touches](customers), earned: ledger{}}
}

// of returns a customer's touches, nil where there are none.
func (b *book) of(key uint64) *touches {
	if i := b.customers.find(key); i >= 0 {
		return &b.customers.data[i]
	}
	return nil
}

// bring notes that something brought an item to a customer.
func (b *book) bring(key uint64, t touch) {
	i := b.customers.take(key, t.at)
	if i < 0 {
		return
	}
	last := &b.customers.metas[i].last
	*last = max(*last, t.at)
	b.customers.data[i].put(t)
}

// last returns what brought an item to a customer, if that is not longer ago than an
// event of a kind may follow: a day where it was shown, a week where it was clicked and
// for orders.
func (b *book) last(kind uint8, key, item uint64, at int64) *touch {
	all := b.of(key)
	if all == nil {
		return nil
	}
	t := all.find(item)
	if t == nil {
		return nil
	}
	window := orderWindow
	if kind != anOrder && t.times > 0 {
		window = clickWindow
	}
	if at-t.at > window || t.at-at > window {
		return nil
	}
	return t
}

// click counts a click, or the view that it leads to: by what the event names, else by
// what was shown and not clicked yet.
func (b *book) click(key, item uint64, by credit, at int64) {
	t := b.last(aClick, key, item, at)
	if by == (credit{}) {
		if t == nil || t.times == 0 {
			return
		}
		by = t.credit
	} else if t != nil && t.credit == by && t.times == 0 && at-t.at <= sameClick {
		return
	}
	b.earned.of(by).Clicks++
	b.bring(key, touch{item: item, at: at, credit: by})
}

// add counts an addition to a cart.
func (b *book) add(key, item uint64, by credit, at int64) {
	if by == (credit{}) {
		t := b.last(anAddition, key, item, at)
		if t == nil {
			return
		}
		by = t.credit
	}
	b.earned.of(by).Adds++
	b.bring(key, touch{item: item, at: at, credit: by})
}

// order counts one line of an order; counted are those that the order was counted for.
func (b *book) order(key, item uint64, by credit, amount float64, at int64, counted []credit) []credit {
	if by == (credit{}) {
		t := b.last(anOrder, key, item, at)
		if t == nil {
			return counted
		}
		by = t.credit
	}
	e := b.earned.of(by)
	e.Revenue += amount
	if !slices.Contains(counted, by) {
		e.Orders++
		counted = append(counted, by)
	}
	if all := b.of(key); all != nil {
		all.remove(item)
	}
	return counted
}

// seen counts the items of a list that was seen.
func (b *book) seen(l *listRef) {
	for _, run := range l.runs[:l.n] {
		b.earned.of(credit{l.placement, run >> 4}).Impressions += uint64(run&15) + 1
	}
}

// Earned lists what each strategy of each placement did, by placement, then strategy. Events
// that carry the id of a recommendation count in every process that reads them, and
// in checkpoints; what was served, and what follows it without an id, in the process that
// answered, since it started.
func (r *Recommender) Earned() []Earned {
	sum := ledger{}
	r.learning.Lock()
	sum.addAll(r.models.Load().book.earned)
	r.learning.Unlock()
	for k := range r.served {
		s := &r.served[k]
		s.mu.Lock()
		sum.addAll(s.book.earned)
		s.mu.Unlock()
	}
	names := map[uint32]string{}
	for _, name := range r.placements.Load().names {
		names[placementHash(name)] = name
	}
	list := make([]Earned, 0, len(sum))
	for c, e := range sum {
		e.Placement, e.Strategy = names[c.placement], reasons[c.strategy]
		if e.Placement != "" { // else it is configured no more, or made up
			list = append(list, *e)
		}
	}
	slices.SortFunc(list, func(a, b Earned) int {
		return cmp.Or(cmp.Compare(a.Placement, b.Placement), cmp.Compare(a.Strategy, b.Strategy))
	})
	return list
}

func (l ledger) addAll(from ledger) {
	for c, e := range from {
		to := l.of(c)
		to.Served += e.Served
		to.Impressions += e.Impressions
		to.Clicks += e.Clicks
		to.Adds += e.Adds
		to.Orders += e.Orders
		to.Revenue += e.Revenue
	}
}

func (b *book) encode(out []byte) []byte {
	keys := slices.SortedFunc(maps.Keys(b.earned), func(a, b credit) int {
		return cmp.Or(cmp.Compare(a.placement, b.placement), cmp.Compare(a.strategy, b.strategy))
	})
	out = binary.AppendUvarint(out, uint64(len(keys)))
	for _, c := range keys {
		e := b.earned[c]
		out = append(le.AppendUint32(out, c.placement), c.strategy)
		for _, n := range []uint64{e.Impressions, e.Clicks, e.Adds, e.Orders, math.Float64bits(e.Revenue)} {
			out = le.AppendUint64(out, n)
		}
	}
	return encodeAssoc(out, &b.customers, func(out []byte, t *touches) []byte {
		out = append(out, t.n)
		for k := range t.list[:t.n] {
			one := &t.list[k]
			out = le.AppendUint64(out, one.item)
			out = binary.AppendVarint(out, one.at)
			out = append(le.AppendUint32(out, one.placement), one.strategy)
		}
		return out
	})
}

func (d *decoder) credit() (c credit) {
	c.placement, c.strategy = d.uint32(), d.byte()
	if int(c.strategy) >= len(reasons) {
		d.fail(fmt.Sprint("no strategy ", c.strategy))
		c.strategy = 0
	}
	return c
}

func (b *book) decode(d *decoder) {
	for range d.count(45) {
		c := d.credit()
		e := b.earned.of(c)
		e.Impressions, e.Clicks, e.Adds, e.Orders = d.uint64(), d.uint64(), d.uint64(), d.uint64()
		if e.Revenue = math.Float64frombits(d.uint64()); math.IsNaN(e.Revenue) || math.IsInf(e.Revenue, 0) {
			d.fail("no revenue")
			return
		}
	}
	for range d.count(10) {
		key, last := d.uint64(), d.time()
		var all touches
		for range d.few(touched) {
			all.put(touch{item: d.uint64(), at: d.time(), credit: d.credit()})
		}
		if k := b.customers.take(key, last); k >= 0 && d.bad == "" {
			b.customers.data[k] = all
		}
	}
}
