package profiles

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// mergeSession keeps the later of two sessions, or the one that both are.
func (p *Profile) mergeSession(x *Profile, gap time.Duration) {
	p.Sessions += x.Sessions
	a, b, ms := p.Session, x.Session, gap.Milliseconds()
	switch {
	case b == nil:
		return
	case a == nil:
		p.Session = b
		return
	case a.StartedAt > b.StartedAt:
		a, b = b, a
	}
	if b.StartedAt > a.LastAt+ms { // apart
		if p.Session = b; a.LastAt > b.LastAt {
			p.Session = a
		}
		return
	}
	p.Sessions--
	a.LastAt = max(a.LastAt, b.LastAt)
	a.Events += b.Events
	for _, id := range b.Added {
		a.Added = latest(a.Added, id)
	}
	for _, query := range b.Searched {
		a.Searched = latest(a.Searched, query)
	}
	p.Session = a
}

// mergeInterests merges two lists, newest first.
func mergeInterests(list, theirs []*Interest) []*Interest {
	for _, t := range theirs {
		if i := slices.IndexFunc(list, func(own *Interest) bool { return own.Id == t.Id }); i >= 0 {
			list[i].merge(t)
		} else {
			list = append(list, t)
		}
	}
	slices.SortStableFunc(list, func(a, b *Interest) int { return cmp.Compare(b.At, a.At) })
	if len(list) > maxInterests {
		list = slices.Delete(list, maxInterests, len(list))
	}
	return list
}

// merge adds up two interests in one product. Days are told apart for a month.
func (i *Interest) merge(t *Interest) {
	i.Times += t.Times
	i.FirstAt = min(i.FirstAt, t.FirstAt)
	own, theirs := i.DayBits|1, t.DayBits|1
	if ahead := day(t.At) - day(i.At); ahead >= 0 {
		own <<= min(ahead, 32)
	} else {
		theirs <<= min(-ahead, 32)
	}
	i.Days += t.Days - uint32(bits.OnesCount32(own&theirs))
	if i.DayBits = own | theirs; bits.OnesCount32(i.DayBits) == 1 {
		i.DayBits = 0
	}
	if t.At > i.At {
		i.At, i.Channel, i.Price, i.Available = t.At, t.Channel, t.Price, t.Available
	}
}

// mergeCart merges x's cart into p's: what was removed, in either, before it was
// added last stays out. A product that was in both when the two became one has
// the larger of the two quantities; what happened since counts on top.
func (p *Profile) mergeCart(x *Profile, now int64, ttl time.Duration) {
	if p.Cart != nil {
		p.basket().revise() // by what x knows of the identifiers
	}
	if x.Cart != nil {
		p.basket().merge(x.Cart, x.Id)
		p.Cart.prune(now, ttl)
	}
}

// describeAs takes over what a newer line says of the product, and what an
// older one knows beyond that.
func (l *Line) describeAs(o *Line) {
	newer := o.AddedAt > l.AddedAt
	set := func(to *string, from string) {
		if from != "" && (newer || *to == "") {
			*to = from
		}
	}
	set(&l.Name, o.Name)
	set(&l.Brand, o.Brand)
	set(&l.Variant, o.Variant)
	set(&l.Url, o.Url)
	set(&l.ImageUrl, o.ImageUrl)
	set(&l.Channel, o.Channel)
	if len(o.Category) > 0 && (newer || len(l.Category) == 0) {
		l.Category = o.Category
	}
	if o.Price > 0 && (newer || l.Price == 0) {
		l.Price = o.Price
	}
}

// mergeOrders counts each order of both once.
func (p *Profile) mergeOrders(x *Profile) {
	if x.Orders == nil {
		return
	}
	p.PackedOrders = nil
	if p.Orders == nil {
		p.Orders = x.Orders
		return
	}
	a, b := p.Orders, x.Orders
	a.Count += b.Count
	a.Revenue = round(a.Revenue + b.Revenue)
	for _, hash := range b.Seen {
		if !slices.Contains(a.Seen, hash) {
			a.Seen = append(a.Seen, hash)
			continue
		}
		a.Count--
		if o := cmp.Or(b.findHash(hash), a.findHash(hash)); o != nil {
			a.Revenue = round(a.Revenue - o.counts())
		}
	}
	if len(a.Seen) > maxSeen {
		a.Seen = slices.Delete(a.Seen, 0, len(a.Seen)-maxSeen)
	}
	if a.FirstAt == 0 || b.FirstAt != 0 && b.FirstAt < a.FirstAt {
		a.FirstAt = b.FirstAt
	}
	a.mergeNotes(b)
	for _, o := range b.Recent {
		if own := a.find(o.Id); o.Id != "" && own != nil {
			a.mergeOrder(own, o)
		} else {
			a.recallMerged(o)
			a.place(o)
		}
	}
	a.LastAt = max(a.LastAt, b.LastAt)
}

func (os *Orders) findHash(hash uint64) *Order {
	for _, o := range os.Recent {
		if o.Id != "" && xxhash.Sum64String(o.Id) == hash {
			return o
		}
	}
	return nil
}

// mergeOrder makes one of two reports of an order.
func (os *Orders) mergeOrder(own, o *Order) {
	before := own.counts()
	for _, l := range o.Products {
		known := slices.ContainsFunc(own.Products, func(q *Line) bool { return q.Id == l.Id })
		if !known && len(own.Products) < maxOrderLines {
			own.Products = append(own.Products, l)
			if !own.HasTotal && !o.HasTotal {
				own.Total = round(own.Total + l.Price*float64(l.Quantity))
			}
		}
	}
	if o.HasTotal && !own.HasTotal {
		own.Total, own.HasTotal = o.Total, true
	}
	if newer(o.Status, o.StatusAt, own.Status, own.StatusAt) {
		own.Status, own.StatusAt = o.Status, o.StatusAt
	}
	own.Coupon = cmp.Or(own.Coupon, o.Coupon)
	own.Refunded = round(own.Refunded + o.Refunded)
	own.Void = own.Void || o.Void
	os.Revenue = round(os.Revenue + own.counts() - before)
	if o.At < own.At {
		own.At, own.Channel = o.At, o.Channel
		os.Recent = slices.DeleteFunc(os.Recent, func(r *Order) bool { return r == own })
		os.place(own)
	}
}

// recallMerged applies to an order that comes from another profile what was said
// of it here.
func (os *Orders) recallMerged(o *Order) {
	if o.Id == "" {
		return
	}
	hash := xxhash.Sum64String(o.Id)
	i := slices.IndexFunc(os.Notes, func(n *OrderNote) bool { return n.Order == hash })
	if i < 0 {
		return
	}
	n, before := os.Notes[i], o.counts()
	os.Notes = slices.Delete(os.Notes, i, i+1)
	o.follow(n)
	os.Revenue = round(os.Revenue + o.counts() - before)
}

// follow applies a note to the order that it is about.
func (o *Order) follow(n *OrderNote) {
	if newer(n.Status, n.StatusAt, o.Status, o.StatusAt) {
		o.Status, o.StatusAt = n.Status, n.StatusAt
	}
	o.Refunded = round(o.Refunded + n.Refunded)
	o.Void = o.Void || n.Void
}

// mergeNotes takes over what was said of orders: of those that are known here,
// at once.
func (os *Orders) mergeNotes(b *Orders) {
	for _, theirs := range b.Notes {
		if o := os.findHash(theirs.Order); o != nil && b.findHash(theirs.Order) == nil {
			before := o.counts()
			o.follow(theirs)
			os.Revenue = round(os.Revenue + o.counts() - before)
			continue
		}
		n := os.note(theirs.Order)
		if newer(theirs.Status, theirs.StatusAt, n.Status, n.StatusAt) {
			n.Status, n.StatusAt = theirs.Status, theirs.StatusAt
		}
		n.Refunded = round(n.Refunded + theirs.Refunded)
		n.Void = n.Void || theirs.Void
	}
}

// mergeTimeline merges the latest events of both, newest first.
func (p *Profile) mergeTimeline(x *Profile) {
	if len(x.Timeline) == 0 {
		return
	}
	all := slices.Concat(p.History(), x.History())
	slices.SortStableFunc(all, func(a, b Event) int { return cmp.Compare(b.At, a.At) })
	p.setHistory(all[:min(len(all), maxTimeline)])
}

// eventCount returns the times of an event's name, in order of name.
func (p *Profile) eventCount(name string) *EventCount {
	i, found := slices.BinarySearchFunc(p.Counts, name, func(c *EventCount, name string) int { return strings.Compare(c.Name, name) })
	if !found {
		p.Counts = slices.Insert(p.Counts, i, &EventCount{Name: name})
	}
	return p.Counts[i]
}

// trim drops what is too old or too much.
func (c *EventCount) trim(now int64) {
	old, _ := slices.BinarySearch(c.At, now-countedFor)
	c.At = slices.Delete(c.At, 0, max(old, len(c.At)-maxCounted))
}
