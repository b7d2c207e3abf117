package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// shopper is somebody with at most one identifier of each type, but several
// browsers, who does a number of things and then never comes again: what the
// engine keeps of a customer is bounded, what a model knows of one is not.
//
// A product in a shopper's cart bears the name of the identifier that it was put
// there with: where carts share products, their quantities depend on which of
// them a change belongs to (docs/reliability.md).
type shopper struct {
	name        string
	random      *rand.Rand
	identifiers []string // strongest first
	left        int      // events to come
	count       int      // events made
	orders      int
	changes     map[string]int // of each product in the cart
	last        int64          // greatest time used
	used        map[int64]bool // times used that are not after all others
}

const (
	maxOrders  = 9  // an engine's profile lists ten
	maxChanges = 14 // of one product: a line of a cart remembers sixteen
	viewable   = 12 // products that are viewed: a profile lists twenty
)

// newShopper is shopper n of the shop that seed names.
func newShopper(seed uint64, name string, n int) *shopper {
	r := rand.New(rand.NewPCG(seed, uint64(n))) //nolint:gosec // repeatable on purpose
	s := &shopper{name: name, random: r, left: 15 + r.IntN(50), changes: map[string]int{}, used: map[int64]bool{}}
	for _, id := range []string{"user:u", "card:c", "email:%s@shop.example", "anonymous:a", "anonymous:b"} {
		if id == "anonymous:a" || r.IntN(3) == 0 {
			if !strings.Contains(id, "%s") {
				id += "%s"
			}
			s.identifiers = append(s.identifiers, fmt.Sprintf(id, name))
		}
	}
	return s
}

// kinds are what shoppers do, the likelier the oftener it is here.
var kinds = []string{
	"Product Viewed", "Product Viewed", "Product Viewed", "Product Added", "Product Added", "Product Added", "Product Removed",
	"Cart Viewed", "Order Completed", "Order Completed", "Order Shipped", "Order Refunded", "Order Cancelled",
	"identify", "identify", "Subscribed", "Unsubscribed", "page",
}

// next is what the shopper does at now (Unix ms), or did some time ago and tells
// now.
func (s *shopper) next(now int64) *Event {
	r := s.random
	e := &Event{
		ID: fmt.Sprintf("%s-%d", s.name, s.count), Identifiers: s.carried(), Name: kinds[r.IntN(len(kinds))],
		Channel: []string{"web", "app", "pos"}[r.IntN(3)],
	}
	s.count++
	s.left--
	s.fill(e)
	if r.IntN(8) == 0 {
		e.Locale = []string{"uk-UA", "en-GB", "pl-PL"}[r.IntN(3)]
	}
	s.date(e, now)
	return e
}

// carried are some of the shopper's identifiers, the strongest first, never two
// of one type.
func (s *shopper) carried() []string {
	n := 1
	if s.random.IntN(3) == 0 {
		n = 2 + s.random.IntN(2)
	}
	var list []string
	for _, i := range s.random.Perm(len(s.identifiers)) {
		typ, _, _ := strings.Cut(s.identifiers[i], ":")
		same := slices.ContainsFunc(list, func(id string) bool { return strings.HasPrefix(id, typ+":") })
		if len(list) < n && !same {
			list = append(list, s.identifiers[i])
		}
	}
	slices.SortFunc(list, func(a, b string) int { return slices.Index(s.identifiers, a) - slices.Index(s.identifiers, b) })
	return list
}

// fill says what the event is about.
func (s *shopper) fill(e *Event) {
	r := s.random
	switch e.Name {
	case "Product Viewed":
		e.Item = fmt.Sprint("p", r.IntN(viewable))
	case "Product Added":
		e.Quantity = 1 + r.IntN(3)
		s.pick(e)
	case "Product Removed":
		e.Quantity = r.IntN(2)
		s.pick(e)
	case "Cart Viewed":
		if len(s.identifiers) > 1 { // it would show the carts of all that is linked by then
			e.Name = "page"
			return
		}
		e.Products = []string{}
		for i := range r.IntN(3) {
			e.Products = append(e.Products, fmt.Sprintf("p%d %s", i, e.Identifiers[0]))
		}
	case "Order Completed":
		if s.orders == maxOrders {
			e.Name = "page"
			return
		}
		e.Order = fmt.Sprintf("o%s-%d", s.name, s.orders)
		e.Total = float64(1+r.IntN(900)) / 10
		e.Products = []string{fmt.Sprintf("p%d %s", r.IntN(3), e.Identifiers[0])}
		s.orders++
	case "Order Refunded":
		e.Total = float64(r.IntN(3)) * 2.3
		s.someOrder(e)
	case "Order Cancelled", "Order Shipped":
		s.someOrder(e)
	case "identify":
		e.Traits = map[string]any{[]string{"size", "city", "birthday"}[r.IntN(3)]: fmt.Sprint("v", s.count)}
		if r.IntN(4) == 0 {
			e.Traits["city"] = nil
		}
		if r.IntN(3) == 0 {
			e.Consents = map[string]bool{[]string{"sms", "email"}[r.IntN(2)]: r.IntN(2) == 0}
		}
	case "Subscribed", "Unsubscribed":
		e.Consents = map[string]bool{"sms": e.Name == "Subscribed"}
	}
}

// pick chooses a product of the cart.
func (s *shopper) pick(e *Event) {
	e.Item = fmt.Sprintf("p%d %s", s.random.IntN(3), e.Identifiers[0])
	if s.changes[e.Item]++; s.changes[e.Item] > maxChanges {
		e.Name, e.Item, e.Quantity = "page", "", 0
	}
}

func (s *shopper) someOrder(e *Event) {
	e.Order = fmt.Sprintf("o%s-%d", s.name, s.random.IntN(s.orders+1))
	if s.orders == maxOrders && strings.HasSuffix(e.Order, fmt.Sprint("-", maxOrders)) {
		e.Name, e.Order, e.Total = "page", "", 0
	}
}

// Times of a producer whose clock is wrong, or who was offline.
const (
	second = int64(1000)
	minute = 60 * second
	day    = 24 * 60 * minute
)

// date gives the event a time that no other of the shopper has: mostly now, or
// late, or by a clock that has jumped back by days or ahead.
func (s *shopper) date(e *Event, now int64) {
	r := s.random
	e.At = max(now, s.last+1)
	switch n := r.IntN(100); {
	case n < 3 && (e.Name == "page" || e.Name == "Product Viewed"): // the time of logging is not one of its own
		e.Name, e.Item, e.Locale = "page", "", ""
		e.Ahead = true
		e.At += 10*minute + r.Int64N(2*day)
		return
	case n < 8:
		e.At -= 1 + r.Int64N(10*minute)
	case n < 10:
		e.At -= day + r.Int64N(day)
	}
	for s.used[e.At] {
		e.At--
	}
	s.used[e.At] = true
	s.last = max(s.last, e.At)
}
