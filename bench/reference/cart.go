package reference

import (
	"cmp"
	"slices"
)

// cartTTL is how long a line stays in the cart after it was last added to.
const cartTTL = 30 * day

// shelf is what happened to one product of a cart since it was removed.
type shelf struct {
	removed int64 // when it was last removed or ordered
	changes []change
	price   float64 // of what is in the cart now
}

// change is a product added, or (less than 0) taken.
type change struct {
	at       int64
	quantity int64
}

// quantity is how many are in the cart, and when one was last added.
func (s *shelf) quantity() (n, added int64) {
	for _, c := range s.changes {
		if n = max(n+c.quantity, 0); c.quantity > 0 {
			added = c.at
		}
	}
	return n, added
}

// put adds a change where its time is; of changes at once, additions come first.
func (s *shelf) put(at, quantity int64) {
	s.changes = append(s.changes, change{at, quantity})
	slices.SortStableFunc(s.changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b.quantity, a.quantity))
	})
}

// forget drops what happened until a time.
func (s *shelf) forget(at int64) {
	s.changes = slices.DeleteFunc(s.changes, func(c change) bool { return c.at <= at })
}

func (c *Customer) shelf(id string) *shelf {
	if c.cart[id] == nil {
		c.cart[id] = &shelf{removed: never}
	}
	return c.cart[id]
}

// age lets lines leave that were added too long ago.
func (c *Customer) age(now int64) {
	for _, s := range c.cart {
		if n, added := s.quantity(); n > 0 && added+cartTTL <= now {
			s.changes = nil
		}
	}
}

// shop changes the cart as an event says.
func (c *Customer) shop(e *Event, now int64, item func(string) *Item) {
	c.age(now)
	c.touched = c.touched || touches(e)
	switch e.Name {
	case "Product Added", "Wishlist Product Added to Cart":
		for _, l := range e.lines() {
			c.add(l, e.At, l.Quantity, item)
		}
	case "Product Removed":
		for _, l := range e.lines() {
			if l.Given {
				c.add(Line{ID: l.ID}, e.At, -l.Quantity, item)
			} else {
				c.remove(l.ID, e.At)
			}
		}
	case "Order Completed":
		for _, l := range e.lines() {
			c.remove(l.ID, e.At)
		}
	case "Cart Viewed", "Cart Updated", "Checkout Started":
		if e.Products != nil && e.At >= c.replaced {
			c.replaced = e.At
			for _, s := range c.cart {
				s.forget(e.At)
			}
			for _, l := range e.Products {
				if e.At > c.shelf(l.ID).removed {
					c.say(l, e.At, l.Quantity, item)
				}
			}
		}
	}
	c.age(now)
}

// touches reports whether an event says anything of a cart.
func touches(e *Event) bool {
	switch e.Name {
	case "Product Added", "Product Removed", "Wishlist Product Added to Cart":
		return true
	case "Order Completed":
		return len(e.lines()) > 0
	case "Cart Viewed", "Cart Updated", "Checkout Started":
		return e.Products != nil || e.Properties["cart_id"] != nil
	}
	return false
}

func (c *Customer) add(l Line, at, quantity int64, item func(string) *Item) {
	s := c.shelf(l.ID)
	if at > s.removed && at > c.replaced && quantity != 0 {
		c.say(l, at, quantity, item)
	}
}

func (c *Customer) remove(id string, at int64) {
	s := c.shelf(id)
	s.removed = max(s.removed, at)
	s.forget(at)
}

// say adds to a product in the cart, and notes its price: what was said with the
// latest addition, else what the catalogue says.
func (c *Customer) say(l Line, at, quantity int64, item func(string) *Item) {
	s := c.shelf(l.ID)
	before, added := s.quantity()
	if before == 0 {
		s.price, added = 0, never
	}
	s.put(at, quantity)
	if n, _ := s.quantity(); n == 0 || quantity < 0 {
		return
	}
	if l.Price > 0 && (at >= added || s.price == 0) {
		s.price = l.Price
	}
	if known := item(l.ID); known != nil && s.price == 0 {
		s.price = known.Price
	}
}

// line is a product in the cart.
type line struct {
	id       string
	quantity int64
	added    int64
	price    float64
}

// lines are what is in the cart at a time, the oldest first.
func (c *Customer) lines(now int64) []line {
	c.age(now)
	var out []line
	for id, s := range c.cart {
		if n, added := s.quantity(); n > 0 {
			out = append(out, line{id, n, added, s.price})
		}
	}
	slices.SortFunc(out, func(a, b line) int { return cmp.Or(cmp.Compare(a.added, b.added), cmp.Compare(a.id, b.id)) })
	return out
}

// mergeCart unites two carts that turned out to be one at a time: of a product
// in both the larger quantity counts, and on top what happened since.
func (c *Customer) mergeCart(o *Customer, at, now int64) {
	c.age(now)
	o.age(now)
	if o.replaced >= at {
		for _, s := range c.cart {
			s.forget(o.replaced)
		}
	}
	for id, theirs := range o.cart {
		own := c.shelf(id)
		own.removed = max(own.removed, theirs.removed)
		own.forget(own.removed)
		theirs.forget(own.removed)
		if c.replaced >= at {
			theirs.forget(c.replaced)
		}
		own.unite(theirs, at)
	}
	if o.replaced >= at || !c.touched {
		c.replaced = max(c.replaced, o.replaced)
	}
	c.touched = c.touched || o.touched
	c.age(now)
}

func (s *shelf) unite(o *shelf, at int64) {
	before := func(list []change) []change {
		return slices.DeleteFunc(slices.Clone(list), func(c change) bool { return c.at >= at })
	}
	since := func(list []change) []change {
		return slices.DeleteFunc(slices.Clone(list), func(c change) bool { return c.at < at })
	}
	here, added := s.quantity()
	if there, later := o.quantity(); there > 0 && o.price > 0 && (here == 0 || s.price == 0 || later > added) {
		s.price = o.price
	}
	own, theirs := shelf{changes: before(s.changes)}, shelf{changes: before(o.changes)}
	n, _ := own.quantity()
	if more, _ := theirs.quantity(); more > n {
		own = theirs
	}
	mine := since(s.changes)
	s.changes = own.changes
	for _, c := range append(mine, since(o.changes)...) {
		s.put(c.at, c.quantity)
	}
}
