package profiles

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/streams"
)

const (
	maxRecent     = 10
	maxNotes      = 10
	maxSeen       = 4096
	maxOrderLines = 100
)

// statusRank orders the statuses of one order with equal times.
var statusRank = map[string]int{"updated": 1, "shipped": 2, "delivered": 3, "cancelled": 4, "refunded": 5}

// applyOrder folds the events about orders.
func (s *Settings) applyOrder(p *Profile, e *streams.Event, out *Outcome) {
	switch e.Name {
	case "Order Completed":
		s.complete(p, e, out)
	case "Order Updated", "Order Shipped", "Order Delivered", "Order Cancelled", "Order Refunded":
		s.follow(p, e, strings.ToLower(strings.TrimPrefix(e.Name, "Order ")), out)
	}
}

// complete counts an order once, however often and in whatever pieces it is
// reported.
func (s *Settings) complete(p *Profile, e *streams.Event, out *Outcome) {
	os, hash := p.history(), xxhash.Sum64String(e.OrderID)
	factor, ok := s.rate(e.Currency)
	if !ok {
		out.Issues = append(out.Issues, "unknown_currency")
	}
	if e.OrderID != "" && slices.Contains(os.Seen, hash) {
		os.again(e, factor)
		return
	}
	if e.LoggedAt-e.At > lateness {
		out.Issues = append(out.Issues, "late_order")
	}
	o := &Order{Id: e.OrderID, At: e.At, Status: "completed", Channel: e.Channel, Coupon: cut(e.Coupon, maxText), HasTotal: e.HasTotal}
	o.Total = round(o.addLines(eventLines(e)) * factor)
	if e.HasTotal {
		o.Total = round(e.Total * factor)
	}
	if e.OrderID != "" {
		os.Seen = append(os.Seen, hash)
		if len(os.Seen) > maxSeen {
			os.Seen = slices.Delete(os.Seen, 0, len(os.Seen)-maxSeen)
		}
		os.recall(o, hash)
	}
	os.Count++
	os.Revenue = round(os.Revenue + o.counts())
	os.place(o)
	out.NewOrder = true
}

// history returns the customer's orders, to be changed, new ones if there are none.
func (p *Profile) history() *Orders {
	p.PackedOrders = nil
	if p.Orders == nil {
		p.Orders = &Orders{}
	}
	return p.Orders
}

// again adds what a repeated report of a counted order has that is new.
func (os *Orders) again(e *streams.Event, factor float64) {
	o := os.find(e.OrderID)
	if o == nil {
		return
	}
	before := o.counts()
	added := o.addLines(eventLines(e))
	switch {
	case o.HasTotal || factor == 0:
	case e.HasTotal:
		o.Total, o.HasTotal = round(e.Total*factor), true
	default:
		o.Total = round(o.Total + added*factor)
	}
	os.Revenue = round(os.Revenue + o.counts() - before)
	if e.At < o.At {
		o.At, o.Channel = e.At, e.Channel
		os.Recent = slices.DeleteFunc(os.Recent, func(r *Order) bool { return r == o })
		os.place(o)
	}
	if o.Coupon == "" {
		o.Coupon = cut(e.Coupon, maxText)
	}
}

// addLines adds the products that o does not have yet and returns what they
// cost.
func (o *Order) addLines(lines []streams.Line) float64 {
	cost, had := 0.0, len(o.Products)
	for i := range lines {
		l := &lines[i]
		known := slices.ContainsFunc(o.Products[:had], func(q *Line) bool { return q.Id == l.ID })
		if known {
			continue
		}
		cost += l.Price * float64(l.Quantity)
		if len(o.Products) < maxOrderLines {
			line := &Line{Id: l.ID, Quantity: int64(l.Quantity)}
			describe(line, l, true)
			o.Products = append(o.Products, line)
		}
	}
	return cost
}

// counts is what o adds to the revenue.
func (o *Order) counts() float64 {
	if o.Void {
		return 0
	}
	return max(round(o.Total-o.Refunded), 0)
}

// place puts o among the recent orders, newest first; the eleventh leaves.
func (os *Orders) place(o *Order) {
	i := slices.IndexFunc(os.Recent, func(r *Order) bool { return r.At <= o.At })
	if i < 0 {
		i = len(os.Recent)
	}
	os.Recent = slices.Insert(os.Recent, i, o)
	if os.FirstAt == 0 || o.At < os.FirstAt {
		os.FirstAt = o.At
	}
	os.LastAt = os.Recent[0].At
	if len(os.Recent) <= maxRecent {
		return
	}
	old := os.Recent[maxRecent]
	os.Recent = slices.Delete(os.Recent, maxRecent, maxRecent+1)
	if old.Id != "" && (old.Void || old.Refunded > 0) {
		n := os.note(xxhash.Sum64String(old.Id))
		n.Status, n.StatusAt, n.Refunded, n.Void = old.Status, old.StatusAt, old.Refunded, true
	}
}

// follow sets an order's status; what is refunded or cancelled leaves the
// revenue, once.
func (s *Settings) follow(p *Profile, e *streams.Event, status string, out *Outcome) {
	if e.OrderID == "" {
		out.Issues = append(out.Issues, "no_order_id")
		return
	}
	os := p.history()
	amount, whole := s.refund(e, status, out)
	o := os.find(e.OrderID)
	if o == nil {
		os.followUnknown(e, status, amount, whole, out)
		return
	}
	before := o.counts()
	if newer(status, e.At, o.Status, o.StatusAt) {
		o.Status, o.StatusAt = status, e.At
	}
	if o.Void = o.Void || whole; !whole {
		o.Refunded = round(o.Refunded + amount)
	}
	os.Revenue = round(os.Revenue + o.counts() - before)
}

// followUnknown notes what happened to an order that was not completed yet, or
// that is no longer among the recent ones.
func (os *Orders) followUnknown(e *streams.Event, status string, amount float64, whole bool, out *Outcome) {
	hash := xxhash.Sum64String(e.OrderID)
	counted := slices.Contains(os.Seen, hash)
	if counted && amount == 0 && !whole {
		return
	}
	n := os.note(hash)
	if newer(status, e.At, n.Status, n.StatusAt) {
		n.Status, n.StatusAt = status, e.At
	}
	if !counted {
		if n.Void = n.Void || whole; !whole {
			n.Refunded = round(n.Refunded + amount)
		}
		return
	}
	if amount == 0 { // and the order's own total is not known any more
		out.Issues = append(out.Issues, "unknown_order")
	} else if !n.Void {
		os.Revenue = max(round(os.Revenue-amount), 0)
		n.Void = true
	}
}

// refund returns what an event takes back: the whole order, or an amount of it.
// The amount of a whole order is what the event says of it, if anything.
func (s *Settings) refund(e *streams.Event, status string, out *Outcome) (amount float64, whole bool) {
	if status != "cancelled" && status != "refunded" {
		return 0, false
	}
	factor, ok := s.rate(e.Currency)
	if !ok {
		out.Issues = append(out.Issues, "unknown_currency")
	}
	if amount = sum(eventLines(e)); e.HasTotal {
		amount = e.Total
	}
	return round(amount * factor), status == "cancelled" || amount == 0
}

func newer(status string, at int64, than string, thanAt int64) bool {
	return cmp.Or(cmp.Compare(at, thanAt), cmp.Compare(statusRank[status], statusRank[than])) > 0
}

func (os *Orders) find(id string) *Order {
	for _, o := range os.Recent {
		if o.Id == id {
			return o
		}
	}
	return nil
}

// note returns the note about an order, a new one if there is none.
func (os *Orders) note(hash uint64) *OrderNote {
	for _, n := range os.Notes {
		if n.Order == hash {
			return n
		}
	}
	if len(os.Notes) >= maxNotes {
		os.Notes = slices.Delete(os.Notes, 0, 1)
	}
	n := &OrderNote{Order: hash}
	os.Notes = append(os.Notes, n)
	return n
}

// recall applies and forgets what was said of o before it was completed.
func (os *Orders) recall(o *Order, hash uint64) {
	i := slices.IndexFunc(os.Notes, func(n *OrderNote) bool { return n.Order == hash })
	if i < 0 {
		return
	}
	n := os.Notes[i]
	o.Status, o.StatusAt, o.Refunded, o.Void = n.Status, n.StatusAt, n.Refunded, n.Void
	os.Notes = slices.Delete(os.Notes, i, i+1)
}

// rate returns the factor from a currency to the configured one.
func (s *Settings) rate(currency string) (float64, bool) {
	if currency == "" || strings.EqualFold(currency, s.Currency) {
		return 1, true
	}
	if f, ok := s.Rates[currency]; ok {
		return f, true
	}
	f, ok := s.Rates[strings.ToUpper(currency)]
	return f, ok
}
