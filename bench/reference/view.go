package reference

import "slices"

// View is what a condition may look at.
type View struct {
	*Model
	*Customer
	Now   int64
	Event *Event // that the condition is about; in a step the run's last start event
	run   *run
}

// CartSize is how many products are in the cart.
func (v *View) CartSize() int { return len(v.lines(v.Now)) }

// CartTotal is what the cart costs.
func (v *View) CartTotal() float64 {
	var lines []Line
	for _, l := range v.lines(v.Now) {
		lines = append(lines, Line{Price: l.price, Quantity: l.quantity})
	}
	return worth(lines)
}

// CartAvailable reports whether something in the cart can be bought.
func (v *View) CartAvailable() bool {
	return slices.ContainsFunc(v.lines(v.Now), func(l line) bool { return v.item(l.id).available() })
}

// InCart reports whether a product is in the cart.
func (v *View) InCart(id string) bool {
	return slices.ContainsFunc(v.lines(v.Now), func(l line) bool { return l.id == id })
}

// Orders is how many orders there are, Revenue what they came to, LastOrder
// when the last was (0: never).
func (v *View) Orders() int { return len(v.orders) }

// Revenue is what all orders came to.
func (v *View) Revenue() float64 { return v.revenue() }

// LastOrder is when the last order was made, 0 for none.
func (v *View) LastOrder() int64 {
	if len(v.orders) == 0 {
		return 0
	}
	return v.orders[0].at
}

// Deeds is how many events the customer has, LastAt when the last was.
func (v *View) Deeds() int { return len(v.events) }

// LastAt is when the customer last did anything, 0 for never.
func (v *View) LastAt() int64 { return v.lastAt() }

// Count is how often the customer did something of late, and Times when.
func (v *View) Count(name string, long int64) int {
	n := 0
	for _, at := range v.Times(name) {
		if at > v.Now-long {
			n++
		}
	}
	return n
}

// Times are those of all events of a name.
func (v *View) Times(name string) []int64 {
	var out []int64
	for _, e := range v.events {
		if e.name == name {
			out = append(out, e.at)
		}
	}
	return out
}

// In reports whether the customer is in a segment.
func (v *View) In(segment string) bool { return v.Customer.segments[segment] }

// Trait is the customer's trait, nil without one.
func (v *View) Trait(name string) any { return v.traits[name].value }

// Available reports whether the item that the event, or else the run, is about
// can be bought; Price is what it costs.
func (v *View) Available() bool { return v.item(v.about()).available() }

// Price is what the item costs.
func (v *View) Price() float64 {
	if item := v.item(v.about()); item != nil {
		return item.Price
	}
	return v.Event.Product.Price
}

func (v *View) about() string {
	if v.run != nil && len(v.run.matches) > 0 {
		return v.run.matches[0].id
	}
	return v.Event.Product.ID
}

// Sent is how many messages the run has sent.
func (v *View) Sent() int { return v.run.sent }

// Session is when the customer's latest visit began, which no pause of more than
// half an hour interrupted.
func (v *View) Session() int64 {
	times := []int64{}
	for _, e := range v.events {
		times = append(times, e.at)
	}
	slices.Sort(times)
	began := int64(0)
	for i, at := range times {
		if i == 0 || at > times[i-1]+30*minute {
			began = at
		}
	}
	return began
}

// Viewed is how many products the customer has viewed since a time.
func (v *View) Viewed(since int64) int {
	n := 0
	for _, in := range v.lists["viewed"] {
		if in.at >= since {
			n++
		}
	}
	return n
}

// CartLeaves are the times at which lines leave the cart by age.
func (v *View) CartLeaves() (list []int64) {
	for _, l := range v.all() {
		list = append(list, l.added+cartTTL)
	}
	return list
}

// Saw reports whether a product is among those viewed of late.
func (v *View) Saw(id string) bool {
	return slices.ContainsFunc(v.lists["viewed"], func(in interest) bool { return in.id == id })
}

// Bought reports whether a product was ordered of late.
func (v *View) Bought(id string, long int64) bool {
	return slices.ContainsFunc(v.orders, func(o order) bool {
		return o.at > v.Now-long && slices.ContainsFunc(o.lines, func(l Line) bool { return l.ID == id })
	})
}

// OrderTimes are when the orders were made.
func (v *View) OrderTimes() (list []int64) {
	for _, o := range v.orders {
		list = append(list, o.at)
	}
	return list
}
