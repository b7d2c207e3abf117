package torture

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Known is what must be known of a customer, whatever way the events took. A
// time is Unix ms.
type Known struct {
	ID          string
	Identifiers []string
	Events      int
	First, Last int64
	Channels    map[string]string // "<events> <first> <last>"
	Traits      map[string]string
	Consents    map[string]bool
	Locale      string
	Cart        map[string]int
	Viewed      map[string]string // "<last> <channel>"
	Orders      []string          // "<id> <at> <status>", sorted
	Count       int               // of orders
	Revenue     string
	Latest      []string // messageIds of the latest twenty, newest first
	Tied        bool     // two events have one time: the order of Latest is not defined
}

// customer collects what one did.
type customer struct {
	identifiers []string
	events      []*Event
}

// Model folds events in order of their times, knowing from the beginning which
// identifiers are one customer's. It returns what must be known of each, by
// identifier.
func Model(events []*Event) map[string]*Known {
	customers := map[string]*customer{}
	for _, e := range events {
		c := customers[e.Identifiers[0]]
		if c == nil {
			c = &customer{identifiers: []string{e.Identifiers[0]}}
			customers[e.Identifiers[0]] = c
		}
		for _, id := range e.Identifiers[1:] {
			other := customers[id]
			if other == c {
				continue
			}
			if other == nil {
				other = &customer{identifiers: []string{id}}
			}
			c.identifiers = append(c.identifiers, other.identifiers...)
			c.events = append(c.events, other.events...)
			for _, moved := range other.identifiers {
				customers[moved] = c
			}
		}
		c.events = append(c.events, e)
	}
	known := map[string]*Known{}
	for id, c := range customers {
		if known[c.identifiers[0]] == nil {
			known[c.identifiers[0]] = c.known()
		}
		known[id] = known[c.identifiers[0]]
	}
	return known
}

// strength orders the types of identifiers, the strongest first.
var strength = []string{"user", "card", "phone", "email", "anonymous"}

func stronger(a, b string) int {
	typeA, _, _ := strings.Cut(a, ":")
	typeB, _, _ := strings.Cut(b, ":")
	return cmp.Or(cmp.Compare(slices.Index(strength, typeA), slices.Index(strength, typeB)), strings.Compare(a, b))
}

// known sums up what a customer did.
func (c *customer) known() *Known {
	slices.SortFunc(c.identifiers, stronger)
	slices.SortStableFunc(c.events, func(a, b *Event) int { return cmp.Compare(a.At, b.At) })
	k := &Known{
		ID: c.identifiers[0], Identifiers: c.identifiers, Events: len(c.events),
		First: c.events[0].At, Last: c.events[len(c.events)-1].At,
		Channels: map[string]string{}, Traits: map[string]string{}, Consents: map[string]bool{},
		Cart: map[string]int{}, Viewed: map[string]string{},
	}
	counts, firsts := map[string]int{}, map[string]int64{}
	for i, e := range c.events {
		k.Tied = k.Tied || i > 0 && c.events[i-1].At == e.At
		if counts[e.Channel]++; counts[e.Channel] == 1 {
			firsts[e.Channel] = e.At
		}
		k.Channels[e.Channel] = fmt.Sprint(counts[e.Channel], firsts[e.Channel], e.At)
		for name, value := range e.Traits {
			delete(k.Traits, name)
			if value != nil {
				k.Traits[name] = fmt.Sprint(value)
			}
		}
		maps.Copy(k.Consents, e.Consents)
		if e.Locale != "" {
			k.Locale = e.Locale
		}
		if e.Name == "Product Viewed" {
			k.Viewed[e.Item] = fmt.Sprint(e.At, e.Channel)
		}
		k.shop(e)
	}
	for _, e := range slices.Backward(c.events) {
		if len(k.Latest) < 20 {
			k.Latest = append(k.Latest, e.ID)
		}
	}
	k.sumOrders(c.events)
	return k
}

// shop changes the cart as an event says.
func (k *Known) shop(e *Event) {
	switch e.Name {
	case "Product Added":
		k.Cart[e.Item] += e.Quantity
	case "Product Removed":
		k.Cart[e.Item] -= e.Quantity
		if e.Quantity == 0 || k.Cart[e.Item] <= 0 {
			delete(k.Cart, e.Item)
		}
	case "Cart Viewed":
		clear(k.Cart)
		for _, id := range e.Products {
			k.Cart[id] = 1
		}
	case "Order Completed":
		for _, id := range e.Products {
			delete(k.Cart, id)
		}
	}
}

// order is what became of one.
type order struct {
	made, void      bool
	at              int64
	total, refunded float64
	status          string
}

// sumOrders says how many orders there were, what they came to, and what became
// of each.
func (k *Known) sumOrders(events []*Event) {
	all := map[string]*order{}
	for _, e := range events {
		if e.Order == "" {
			continue
		}
		o := all[e.Order]
		if o == nil {
			o = &order{}
			all[e.Order] = o
		}
		if e.Name == "Order Completed" {
			o.made, o.at, o.total = true, e.At, e.Total
			continue
		}
		o.status = strings.ToLower(strings.TrimPrefix(e.Name, "Order "))
		o.void = o.void || e.Name == "Order Cancelled" || e.Name == "Order Refunded" && e.Total == 0
		o.refunded += e.Total
	}
	revenue := 0.0
	for _, id := range slices.Sorted(maps.Keys(all)) {
		o := all[id]
		if !o.made {
			continue
		}
		k.Count++
		if !o.void {
			revenue += max(o.total-o.refunded, 0)
		}
		k.Orders = append(k.Orders, fmt.Sprintf("%s %d %s", id, o.at, cmp.Or(o.status, "completed")))
	}
	k.Revenue = fmt.Sprintf("%.2f", math.Abs(revenue))
}
