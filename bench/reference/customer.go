package reference

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// Customer is one customer and all that ever happened to him.
type Customer struct {
	id       string // the strongest identifier
	target   *Customer
	ids      []string
	seen     map[string]int64 // messageIds, and when they were applied
	events   []deed           // behaviour, in the order of the log
	deeds    []cartDeed
	shelves  []line // the cart that the deeds come to, unless it is stale
	stale    bool
	lists    map[string][]interest // "viewed", "wishlist", "waiting": newest first
	orders   []order               // newest first
	traits   map[string]said
	consents map[string]answer
	zone     said
	stopped  map[string]bool // channels
	messages []message       // that were sent

	segments map[string]bool
	runs     []*run
	past     map[string]*past // by trigger
	told     map[string]int64 // by trait: when somebody last said it, by the log's clock

	now      int64 // up to which time has passed for him
	measured int64 // when his segments were looked at last
}

// deed is what is kept of an event.
type deed struct {
	id, name, channel string
	at                int64
}

// said is a value and when it was said.
type said struct {
	value any
	at    int64
}

type answer struct {
	yes bool
	at  int64
}

// interest is a product on a list.
type interest struct {
	id        string
	at        int64
	price     float64
	available bool
}

type order struct {
	id    string
	at    int64
	total float64
	given bool // the total was
	lines []Line
}

// message is one that was sent; it counts for caps until it turns out not to
// have been.
type message struct {
	id, trigger, channel string
	at                   int64
	counts               bool
}

// past is what a customer remembers of a trigger.
type past struct {
	messageAt  int64 // of the last message, or one that was held out; never
	inactiveAt int64 // the event after which he was found inactive
	dateAt     int64 // the day that it last ran for; never
}

func newCustomer(id string) *Customer {
	return &Customer{id: id, ids: []string{id}, seen: map[string]int64{}, lists: map[string][]interest{},
		traits: map[string]said{}, consents: map[string]answer{}, stopped: map[string]bool{}, segments: map[string]bool{},
		past: map[string]*past{}, told: map[string]int64{}, now: never, measured: never}
}

func (c *Customer) pastOf(trigger string) *past {
	if c.past[trigger] == nil {
		c.past[trigger] = &past{messageAt: never, dateAt: never}
	}
	return c.past[trigger]
}

// lastAt is when the customer last did anything.
func (c *Customer) lastAt() int64 {
	last := int64(0)
	for i := range c.events {
		last = max(last, c.events[i].at)
	}
	return last
}

// lastOf is when the customer last did this ("*": anything), 0 for never.
func (c *Customer) lastOf(name string) int64 {
	last := int64(0)
	for i := range c.events {
		if name == "*" || c.events[i].name == name {
			last = max(last, c.events[i].at)
		}
	}
	return last
}

// do lets the customer do what an event says.
func (c *Customer) do(e *Event, now int64, item func(string) *Item) {
	c.events = append(c.events, deed{e.ID, e.Name, e.Channel, e.At})
	for _, id := range e.IDs[1:] {
		if !slices.Contains(c.ids, id) {
			c.ids = append(c.ids, id)
		}
	}
	for name, value := range e.Traits {
		c.told[name] = now
		if t, known := c.traits[name]; !known || e.At >= t.at {
			c.traits[name] = said{value, e.At}
		}
	}
	for channel, yes := range e.Consents {
		c.answer(channel, answer{yes, e.At})
	}
	if e.Zone != "" && (c.zone.value == nil || e.At >= c.zone.at) {
		c.zone = said{e.Zone, e.At}
	}
	c.list(e, item)
	c.shop(e, now, item)
	if e.Name == "Order Completed" {
		c.order(e)
	}
}

// answer keeps the newest answer of a channel, the refusal of two at once.
func (c *Customer) answer(channel string, a answer) {
	known, ok := c.consents[channel]
	if !ok || a.at > known.at || a.at == known.at && !a.yes {
		c.consents[channel] = a
	}
}

// list keeps what was viewed, wished and waited for.
func (c *Customer) list(e *Event, item func(string) *Item) {
	put := map[string]string{"Product Viewed": "viewed", "Product Added to Wishlist": "wishlist", "Product Added to Waiting List": "waiting"}
	drop := map[string]string{"Product Removed from Wishlist": "wishlist", "Wishlist Product Added to Cart": "wishlist",
		"Product Removed from Waiting List": "waiting"}
	for _, l := range e.lines() {
		if name := put[e.Name]; name != "" {
			known := item(l.ID)
			price := l.Price
			if price == 0 && known != nil {
				price = known.Price
			}
			c.notice(name, interest{l.ID, e.At, price, known.available()})
		}
		if name := drop[e.Name]; name != "" {
			c.lists[name] = slices.DeleteFunc(c.lists[name], func(i interest) bool { return i.id == l.ID && i.at <= e.At })
		}
	}
}

// notice puts a product on a list of at most 20, newest first. What was said
// later counts.
func (c *Customer) notice(name string, in interest) {
	l := c.lists[name]
	if i := slices.IndexFunc(l, func(o interest) bool { return o.id == in.id }); i >= 0 {
		if l[i].at > in.at {
			in = l[i]
		}
		l = slices.Delete(l, i, i+1)
	}
	at := slices.IndexFunc(l, func(o interest) bool { return o.at <= in.at })
	if at < 0 {
		at = len(l)
	}
	l = slices.Insert(l, at, in)
	c.lists[name] = l[:min(len(l), 20)]
}

// order counts an order once; a repeated report adds the products that it did
// not have.
func (c *Customer) order(e *Event) {
	o := order{id: e.Order, at: e.At, total: e.Total, given: e.HasTotal, lines: e.lines()}
	if !o.given {
		o.total = worth(o.lines)
	}
	c.merge(o)
}

func worth(lines []Line) float64 {
	total := 0.0
	for _, l := range lines {
		total += l.Price * float64(l.Quantity)
	}
	return math.Round(total*1e4) / 1e4
}

// merge adds an order, or what a report of a known one has that is new.
func (c *Customer) merge(o order) {
	i := slices.IndexFunc(c.orders, func(k order) bool { return k.id == o.id && o.id != "" })
	if i >= 0 {
		known := c.orders[i]
		c.orders = slices.Delete(c.orders, i, i+1)
		had := slices.Clone(known.lines)
		for _, l := range o.lines {
			if !slices.ContainsFunc(had, func(k Line) bool { return k.ID == l.ID }) {
				known.lines = append(known.lines, l)
			}
		}
		switch {
		case known.given:
		case o.given:
			known.total, known.given = o.total, true
		default:
			known.total = worth(known.lines)
		}
		known.at = min(known.at, o.at)
		o = known
	}
	c.orders = append(c.orders, o)
	slices.SortStableFunc(c.orders, func(a, b order) int { return cmp.Or(cmp.Compare(b.at, a.at), strings.Compare(a.id, b.id)) })
}

// revenue is what all orders came to.
func (c *Customer) revenue() float64 {
	total := 0.0
	for _, o := range c.orders {
		total += o.total
	}
	return math.Round(total*1e4) / 1e4
}

// absorb makes another customer's past this one's own, who turned out to be the
// same.
func (c *Customer) absorb(o *Customer, now int64) {
	o.target = c
	c.ids = append(c.ids, o.ids...)
	for id, when := range o.seen {
		c.seen[id] = max(c.seen[id], when)
	}
	c.events = append(c.events, o.events...)
	c.forget(now)
	o.forget(now)
	c.deeds, c.stale = append(c.deeds, o.deeds...), true
	for name, theirs := range o.lists {
		for _, in := range slices.Backward(theirs) {
			c.notice(name, in)
		}
	}
	for _, order := range slices.Backward(o.orders) {
		c.merge(order)
	}
	for name, t := range o.traits {
		own, known := c.traits[name]
		if !known || t.at > own.at || t.at == own.at && own.value == nil {
			c.traits[name] = t
		}
	}
	for channel, a := range o.consents {
		c.answer(channel, a)
	}
	if o.zone.value != nil && (c.zone.value == nil || o.zone.at >= c.zone.at) {
		c.zone = o.zone
	}
	maps.Copy(c.stopped, o.stopped)
	c.messages = append(c.messages, o.messages...)
	for name, in := range o.segments {
		c.segments[name] = c.segments[name] || in
	}
	for name, theirs := range o.past {
		own := c.pastOf(name)
		own.messageAt, own.inactiveAt = max(own.messageAt, theirs.messageAt), max(own.inactiveAt, theirs.inactiveAt)
		own.dateAt = max(own.dateAt, theirs.dateAt)
	}
	for name, at := range o.told {
		c.told[name] = max(c.told[name], at)
	}
}
