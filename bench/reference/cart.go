package reference

import (
	"cmp"
	"slices"
)

// cartTTL is how long a line stays in the cart after it was last added to.
const cartTTL = 30 * day

// cartDeed is an event that says something of a cart, or that identifiers are
// one customer's.
type cartDeed struct {
	at    int64
	order int // of deeds at one time
	kind  string
	ids   []string // whose it is: the first; of "join" all
	lines []Line
}

// line is a product in the cart.
type line struct {
	id       string
	quantity int64
	added    int64
	price    float64
}

// share is the cart of identifiers that are one customer's, by product.
type share struct {
	ids   []string
	lines map[string]line
}

// cartDeeds are what an event says of carts.
func cartDeeds(e *Event, item func(string) *Item) (list []cartDeed) {
	deed := func(order int, kind string, lines ...Line) {
		lines = slices.Clone(lines)
		for i := range lines {
			if known := item(lines[i].ID); known != nil {
				lines[i].Listed = known.Price
			}
		}
		list = append(list, cartDeed{e.At, order, kind, e.IDs, lines})
	}
	if len(e.IDs) > 1 {
		deed(0, "join")
	}
	switch e.Name {
	case "Product Added", "Wishlist Product Added to Cart":
		deed(2, "add", e.lines()...)
	case "Product Removed":
		for _, l := range e.lines() {
			if l.Given {
				deed(3, "lower", l)
			} else {
				deed(4, "remove", l)
			}
		}
	case "Order Completed":
		deed(4, "remove", e.lines()...)
	case "Cart Viewed", "Cart Updated", "Checkout Started":
		if e.Products != nil {
			deed(1, "show", e.Products...)
		}
	}
	return list
}

// shop notes what an event says of the cart. What has left it by age by now is
// forgotten.
func (c *Customer) shop(e *Event, now int64, item func(string) *Item) {
	c.forget(now)
	c.deeds = append(c.deeds, cartDeeds(e, item)...)
	c.stale = true
	c.forget(now)
}

// lines are what is in the cart at a time, the oldest first.
func (c *Customer) lines(now int64) []line {
	return slices.DeleteFunc(slices.Clone(c.all()), func(l line) bool { return l.added+cartTTL <= now })
}

// all are the lines of the cart, those too that have left it by age: all that was
// done is done again, in the order of its times.
func (c *Customer) all() []line {
	if c.stale {
		c.shelves, c.stale = c.replay(), false
	}
	return c.shelves
}

// forget forgets what was done with products that have left the cart by age.
func (c *Customer) forget(now int64) {
	for _, l := range c.all() {
		if l.added+cartTTL > now {
			continue
		}
		for i := range c.deeds {
			if d := &c.deeds[i]; d.kind != "remove" {
				d.lines = slices.DeleteFunc(slices.Clone(d.lines), func(o Line) bool { return o.ID == l.id })
			}
		}
		c.stale = true
	}
}

// replay does all deeds again.
func (c *Customer) replay() (out []line) {
	slices.SortStableFunc(c.deeds, func(a, b cartDeed) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) })
	shares := map[string]*share{}
	of := func(id string) *share {
		if shares[id] == nil {
			shares[id] = &share{[]string{id}, map[string]line{}}
		}
		return shares[id]
	}
	for i := range c.deeds {
		d := &c.deeds[i]
		own := of(d.ids[0])
		switch d.kind {
		case "join":
			for _, id := range d.ids[1:] {
				own.join(of(id), shares)
			}
		case "remove":
			for _, s := range shares {
				for _, l := range d.lines {
					delete(s.lines, l.ID)
				}
			}
		case "show":
			clear(own.lines)
			own.add(d, 1)
		case "add":
			own.add(d, 1)
		case "lower":
			own.add(d, -1)
		}
	}
	for _, l := range of(c.id).lines {
		if l.quantity > 0 {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b line) int { return cmp.Or(cmp.Compare(a.added, b.added), cmp.Compare(a.id, b.id)) })
	return out
}

// add adds lines, or takes them away.
func (s *share) add(d *cartDeed, sign int64) {
	for _, l := range d.lines {
		now := s.lines[l.ID]
		if now.quantity == 0 {
			now = line{id: l.ID}
		}
		now.quantity = max(now.quantity+sign*l.Quantity, 0)
		if sign > 0 && l.Quantity > 0 {
			now.added = d.at
			switch {
			case l.Price > 0:
				now.price = l.Price
			case now.price == 0:
				now.price = l.Listed // what he saw, though the event does not say it
			}
		}
		s.lines[l.ID] = now
	}
}

// join makes two carts one: of a product in both the larger quantity counts, or
// the later of two equal ones.
func (s *share) join(o *share, shares map[string]*share) {
	if s == o {
		return
	}
	for id, theirs := range o.lines {
		own := s.lines[id]
		price := own.price // the one that was said later
		if theirs.quantity > 0 && theirs.price > 0 && (own.quantity == 0 || own.price == 0 || theirs.added > own.added) {
			price = theirs.price
		}
		if cmp.Or(cmp.Compare(theirs.quantity, own.quantity), cmp.Compare(theirs.added, own.added)) > 0 {
			own = theirs
		}
		own.price = price
		s.lines[id] = own
	}
	s.ids = append(s.ids, o.ids...)
	for _, id := range o.ids {
		shares[id] = s
	}
}
