package profiles

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// The cart is a fold that does not depend on the order in which events arrive.
// For each product it knows when it was last removed or ordered and what was
// added and taken since; what happened until the removal is forgotten. A line
// whose quantity was made by one event is its own history; one made by several
// has ops. What has no line keeps its history among the removals, for as long
// as late events count. What an identifier did before it was the customer's is
// told apart (see basket.go).

const (
	// lateness is how late an event still counts in its right place.
	lateness = int64(7 * 24 * time.Hour / time.Millisecond)

	maxLines    = 200
	maxRemovals = 200
	maxOps      = 16
	maxQuantity = 1e9
)

// product is the history of one product in a cart.
type product struct {
	id      string
	removed int64 // what was added until then is gone
	ops     []*CartOp
	line    *Line // nil when it is not in the cart
}

// applyCart folds the events that change the cart.
func (p *Profile) applyCart(e *streams.Event, now int64, ttl time.Duration, item lookup) {
	lines := eventLines(e)
	switch e.Name {
	case "Product Added", "Wishlist Product Added to Cart":
		b, of := p.touchCart(e), p.origin(e)
		for i := range lines {
			b.add(&lines[i], e, of, item)
		}
	case "Product Removed":
		b, of := p.touchCart(e), p.origin(e)
		for i := range lines {
			if lines[i].HasQuantity {
				b.lower(&lines[i], e.At, of)
			} else {
				b.remove(lines[i].ID, e.At)
			}
		}
	case "Cart Viewed", "Cart Updated", "Checkout Started":
		if e.Products == nil && e.CartID == "" && e.CartURL == "" {
			return
		}
		b := p.touchCart(e)
		if e.Products != nil {
			b.replace(e, p.origin(e), item)
		}
	case "Order Completed":
		if len(lines) == 0 {
			return
		}
		b := p.touchCart(e)
		for i := range lines {
			b.remove(lines[i].ID, e.At)
		}
	default:
		return
	}
	p.Cart.prune(now, ttl)
}

// touchCart makes sure that there is a cart, and notes its id, link and time.
func (p *Profile) touchCart(e *streams.Event) basket {
	c := p.basket()
	if e.CartID != "" && (c.Id == "" || e.At >= c.UpdatedAt) {
		c.Id = e.CartID
	}
	if e.CartURL != "" && (c.Url == "" || e.At >= c.UpdatedAt) {
		c.Url = link(e.CartURL)
	}
	c.UpdatedAt = max(c.UpdatedAt, e.At)
	return c
}

// add puts l.Quantity more of a product into the cart of an identifier.
func (b basket) add(l *streams.Line, e *streams.Event, of string, item lookup) {
	h := b.load(l.ID)
	if l.ID == "" || l.Quantity <= 0 || e.At <= h.removed || b.past(of, e.At) {
		return
	}
	h.insert(e.At, int64(min(l.Quantity, maxQuantity)), of)
	b.store(h, l, e, item)
}

// lower takes l.Quantity of a product out of the cart of an identifier.
func (b basket) lower(l *streams.Line, at int64, of string) {
	h := b.load(l.ID)
	if l.ID == "" || l.Quantity <= 0 || at <= h.removed || b.past(of, at) {
		return
	}
	h.insert(at, -int64(min(l.Quantity, maxQuantity)), of)
	b.store(h, nil, nil, nil)
}

// remove takes out of the cart what was added of a product until at, under
// whatever identifier.
func (b basket) remove(id string, at int64) {
	if id == "" {
		return
	}
	h := b.load(id)
	h.removed = max(h.removed, at)
	h.forget(at)
	b.store(h, nil, nil, nil)
}

// replace makes the cart of an identifier what e showed, unless a later one
// showed it before.
func (b basket) replace(e *streams.Event, of string, item lookup) {
	if b.past(of, e.At+1) || !b.show(of, e.At) {
		return
	}
	for _, id := range b.ids() {
		h := b.load(id)
		h.ops = slices.DeleteFunc(h.ops, func(o *CartOp) bool { return o.At <= e.At && b.covers(of, e.At, o.Of) })
		b.store(h, nil, nil, nil)
	}
	for i := range e.Products {
		l := &e.Products[i]
		h := b.load(l.ID)
		if l.ID == "" || l.Quantity <= 0 || e.At <= h.removed {
			continue
		}
		h.insert(e.At, int64(min(l.Quantity, maxQuantity)), of)
		b.store(h, l, e, item)
	}
}

// ids are the products with a history.
func (c *Cart) ids() []string {
	ids := make([]string, 0, len(c.Lines)+len(c.Removals))
	for _, l := range c.Lines {
		ids = append(ids, l.Id)
	}
	for _, r := range c.Removals {
		if len(r.Ops) > 0 {
			ids = append(ids, r.Id)
		}
	}
	return ids
}

// load returns the history of a product.
func (c *Cart) load(id string) product {
	h := product{id: id}
	if i, found := c.removal(id); found {
		h.removed, h.ops = c.Removals[i].At, c.Removals[i].Ops
	}
	i := slices.IndexFunc(c.Lines, func(l *Line) bool { return l.Id == id })
	if i < 0 {
		return h
	}
	h.line = c.Lines[i]
	if h.ops = h.line.Ops; len(h.ops) == 0 {
		h.ops = []*CartOp{{At: h.line.AddedAt, Quantity: h.line.Quantity}}
	}
	return h
}

// insert adds a change; at the same time additions come first, so that a
// removal wins.
func (h *product) insert(at, quantity int64, of string) {
	h.put(&CartOp{At: at, Quantity: quantity, Of: of})
	for len(h.ops) > maxOps {
		h.merge()
	}
}

func (h *product) put(op *CartOp) {
	i, _ := slices.BinarySearchFunc(h.ops, op, func(o, op *CartOp) int {
		return cmp.Or(cmp.Compare(o.At, op.At), cmp.Compare(op.Quantity, o.Quantity), strings.Compare(o.Of, op.Of))
	})
	h.ops = slices.Insert(h.ops, i, op)
}

// merge makes the oldest two changes of one identifier one; where no two are of
// one, it drops the oldest.
func (h *product) merge() {
	for i, first := range h.ops {
		j := slices.IndexFunc(h.ops[i+1:], func(o *CartOp) bool { return o.Of == first.Of })
		if j < 0 {
			continue
		}
		second := h.ops[i+1+j]
		quantity, at := fold([]*CartOp{first, second})
		h.ops = slices.DeleteFunc(h.ops, func(o *CartOp) bool { return o == first || o == second })
		h.put(&CartOp{At: cmp.Or(at, second.At), Quantity: quantity, Of: first.Of})
		return
	}
	h.ops = slices.Delete(h.ops, 0, 1)
}

// forget drops the changes until at.
func (h *product) forget(at int64) {
	h.ops = slices.DeleteFunc(h.ops, func(o *CartOp) bool { return o.At <= at })
}

// fold returns the quantity that changes leave, never below 0, and when the
// last addition was.
func fold(ops []*CartOp) (quantity, addedAt int64) {
	for _, o := range ops {
		if quantity = max(quantity+o.Quantity, 0); o.Quantity > 0 {
			addedAt = o.At
		}
	}
	return min(quantity, maxQuantity), addedAt
}

// store puts a product's history back. l and e describe what was added, nil
// where nothing was.
func (b basket) store(h product, l *streams.Line, e *streams.Event, item lookup) {
	c := b.Cart
	quantity, addedAt := b.fold(h.ops)
	if quantity == 0 {
		c.drop(h.line)
		c.setRemoval(h.id, h.removed, h.ops)
		return
	}
	c.setRemoval(h.id, h.removed, nil)
	if h.line == nil {
		if len(c.Lines) >= maxLines {
			c.drop(c.Lines[0])
		}
		h.line = &Line{Id: h.id}
		c.Lines = append(c.Lines, h.line)
	}
	if l != nil {
		describe(h.line, l, e.At >= h.line.AddedAt)
		if e.At >= h.line.AddedAt {
			h.line.Channel = e.Channel
		}
		if it := item.of(h.id); h.line.Price == 0 && it != nil {
			h.line.Price = it.Price
		}
	}
	h.line.Quantity, h.line.AddedAt, h.line.Ops = quantity, addedAt, nil
	if len(h.ops) > 1 || h.ops[0].At != addedAt || h.ops[0].Of != "" {
		h.line.Ops = h.ops
	}
	slices.SortStableFunc(c.Lines, func(a, b *Line) int {
		return cmp.Or(cmp.Compare(a.AddedAt, b.AddedAt), strings.Compare(a.Id, b.Id))
	})
}

func (c *Cart) drop(line *Line) {
	if line != nil {
		c.Lines = slices.DeleteFunc(c.Lines, func(l *Line) bool { return l == line })
	}
}

func (c *Cart) removal(id string) (int, bool) {
	return slices.BinarySearchFunc(c.Removals, id, func(r *Removal, id string) int { return strings.Compare(r.Id, id) })
}

// setRemoval remembers when a product was removed and, for one without a
// line, what happened since.
func (c *Cart) setRemoval(id string, at int64, ops []*CartOp) {
	i, found := c.removal(id)
	switch {
	case at == 0 && len(ops) == 0:
		if found {
			c.Removals = slices.Delete(c.Removals, i, i+1)
		}
		return
	case !found:
		c.Removals = slices.Insert(c.Removals, i, &Removal{Id: id})
	}
	c.Removals[i].At, c.Removals[i].Ops = at, ops
	if len(c.Removals) > maxRemovals {
		oldest := slices.MinFunc(c.Removals, func(a, b *Removal) int { return cmp.Compare(a.latest(), b.latest()) })
		c.Removals = slices.DeleteFunc(c.Removals, func(r *Removal) bool { return r == oldest })
	}
}

func (r *Removal) latest() int64 {
	at := r.At
	for _, o := range r.Ops {
		at = max(at, o.At)
	}
	return at
}

// outdated reports whether prune has something to do.
func (c *Cart) outdated(now int64, ttl time.Duration) bool {
	for _, l := range c.Lines {
		switch {
		case l.AddedAt+ttl.Milliseconds() <= now:
			return true
		case len(l.Ops) > 0 && !slices.ContainsFunc(l.Ops, foreign) && (len(l.Ops) == 1 || l.Ops[1].At < now-lateness):
			return true
		}
	}
	return slices.ContainsFunc(c.Removals, func(r *Removal) bool { return r.latest() < now-lateness })
}

// prune lets lines leave that were added too long ago, and forgets what no
// late event can change any more.
func (c *Cart) prune(now int64, ttl time.Duration) {
	c.Lines = slices.DeleteFunc(c.Lines, func(l *Line) bool { return l.AddedAt+ttl.Milliseconds() <= now })
	c.Removals = slices.DeleteFunc(c.Removals, func(r *Removal) bool { return r.latest() < now-lateness })
	for _, l := range c.Lines {
		h := product{ops: l.Ops}
		if slices.ContainsFunc(h.ops, foreign) {
			continue // until it is settled whose they are
		}
		for len(h.ops) > 1 && h.ops[1].At < now-lateness {
			h.merge()
		}
		if l.Ops = h.ops; len(l.Ops) == 1 && l.Ops[0].At == l.AddedAt {
			l.Ops = nil
		}
	}
}

// describe fills a line with what an event said of the product; what an older
// event said fills gaps only.
func describe(to *Line, from *streams.Line, newer bool) {
	set := func(to *string, from string) {
		if from != "" && (newer || *to == "") {
			*to = from
		}
	}
	set(&to.Name, cut(from.Name, maxText))
	set(&to.Brand, cut(from.Brand, maxText))
	set(&to.Variant, cut(from.Variant, maxText))
	set(&to.Url, link(from.URL))
	set(&to.ImageUrl, link(from.ImageURL))
	if len(from.Category) > 0 && (newer || len(to.Category) == 0) {
		to.Category = to.Category[:0]
		for _, level := range from.Category[:min(len(from.Category), maxLevels)] {
			to.Category = append(to.Category, cut(level, maxText))
		}
	}
	if from.Price > 0 && (newer || to.Price == 0) {
		to.Price = from.Price
	}
}

// LiveCart returns the lines of the cart that are in it at a time (Unix ms):
// those added less than ttl before. It may share memory with p.
func (p *Profile) LiveCart(now int64, ttl time.Duration) []*Line {
	if p.Cart == nil {
		return nil
	}
	dead := func(l *Line) bool { return l.AddedAt+ttl.Milliseconds() <= now }
	if !slices.ContainsFunc(p.Cart.Lines, dead) {
		return p.Cart.Lines
	}
	return slices.DeleteFunc(slices.Clone(p.Cart.Lines), dead)
}

// CartTotal returns what lines cost, rounded to 1/10000.
func CartTotal(lines []*Line) float64 {
	total := 0.0
	for _, l := range lines {
		total += l.Price * float64(l.Quantity)
	}
	return round(total)
}

// round rounds money to 1/10000, so that sums do not depend on their order.
func round(x float64) float64 { return math.Round(x*1e4) / 1e4 }
