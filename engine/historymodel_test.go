package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// model folds the events of a history in order of time, each once, knowing
// which identifiers are one customer's. It is slow and plain on purpose.
type model struct {
	groups map[string]*customer // identifier → who it is
	people map[string][]string  // identifier → all that are the same customer's in the end
}

// customer is what the model knows of one.
type customer struct {
	ids     []string // strongest first
	cart    map[string]shelf
	removed map[string]int64 // product → when
	unsure  map[string]bool  // products and traits that it depends on lateness whether a removal still counted for
	applied []past
}

// shelf is one product of a cart.
type shelf struct {
	Quantity int
	AddedAt  int64
}

func newModel(history []past) *model {
	m := &model{groups: map[string]*customer{}, people: map[string][]string{}}
	seen := map[string]bool{}
	var events []past
	for _, e := range history {
		if !seen[e.id] {
			seen[e.id] = true
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(a, b past) int { return int(min(max(a.at-b.at, -1), 1)) })
	for i := range events {
		m.know(&events[i])
	}
	for i := range events {
		m.apply(&events[i])
	}
	return m
}

func (m *model) identifiers() []string        { return slices.Sorted(maps.Keys(m.groups)) }
func (m *model) customer(id string) *customer { return m.groups[id] }

// know looks ahead: an event's identifiers are one customer's in the end.
func (m *model) know(e *past) {
	var all []string
	for _, id := range e.identified {
		all = append(append(all, id), m.people[id]...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for _, id := range all {
		m.people[id] = all
	}
}

// apply makes all identifiers of an event one customer, and the event theirs.
func (m *model) apply(e *past) {
	var c *customer
	for _, id := range e.identified {
		g := m.groups[id]
		if g == nil {
			g = &customer{ids: []string{id}, cart: map[string]shelf{}, removed: map[string]int64{}, unsure: map[string]bool{}}
			m.groups[id] = g
		}
		if c == nil {
			c = g
		} else if c != g {
			c.absorb(g, e.at)
			for _, other := range g.ids {
				m.groups[other] = c
			}
		}
	}
	c.applied = append(c.applied, *e)
	m.shop(c, e)
}

// absorb makes g's past c's own, at a time: of a product in both carts the larger
// quantity counts. What was removed from one of them about a week before, or of
// its traits, may be forgotten by then.
func (c *customer) absorb(g *customer, at int64) {
	for product, removed := range g.removed {
		c.removed[product] = max(c.removed[product], removed)
	}
	for product, removed := range c.removed {
		c.unsure[product] = c.unsure[product] || g.unsure[product] || at-removed > almostWeek
	}
	for _, e := range slices.Concat(c.applied, g.applied) {
		for name, value := range e.traits {
			c.unsure[name] = c.unsure[name] || g.unsure[name] || value == nil && at-e.at > almostWeek
		}
	}
	c.ids = append(c.ids, g.ids...)
	slices.SortFunc(c.ids, func(a, b string) int {
		if identifier(a).Stronger(identifier(b)) {
			return -1
		}
		return 1
	})
	c.applied = append(c.applied, g.applied...)
	for id, theirs := range g.cart {
		own := c.cart[id]
		if theirs.Quantity > own.Quantity || theirs.Quantity == own.Quantity && theirs.AddedAt > own.AddedAt {
			c.cart[id] = theirs
		}
	}
}

// almostWeek is when a removal may be forgotten at the earliest, ms: events are up
// to 60 hours late.
const almostWeek = 4 * 24 * 3_600_000

// shop changes the cart as the event says. What is removed or ordered leaves
// every cart that turns out to be the customer's.
func (m *model) shop(c *customer, e *past) {
	remove := func(product string) {
		c.removed[product] = e.at
		for _, id := range m.people[e.identified[0]] {
			if g := m.groups[id]; g != nil {
				delete(g.cart, product)
			}
		}
	}
	add := func(product string, n int) {
		c.cart[product] = shelf{c.cart[product].Quantity + n, e.at}
	}
	switch e.name {
	case "Product Added":
		add(e.item, e.quantity)
	case "Product Removed":
		if e.quantity == 0 {
			remove(e.item)
		} else if s, ok := c.cart[e.item]; ok {
			c.cart[e.item] = shelf{max(s.Quantity-e.quantity, 0), s.AddedAt}
		}
	case "Cart Viewed":
		clear(c.cart)
		for _, product := range e.products {
			add(product, 1)
		}
	case "Order Completed":
		for _, product := range e.products {
			remove(product)
		}
	}
}

// summary is what a profile must say, whatever way its events took.
type summary struct {
	Identifiers string
	Events      int
	First, Last int64
	Channels    map[string]string
	Traits      map[string]string
	Consents    map[string]string
	Locale      string
	Cart        map[string]shelf
	Orders      string
	Viewed      map[string]string
	History     string
}

func (c *customer) summary() summary {
	slices.SortFunc(c.applied, func(a, b past) int { return int(min(max(a.at-b.at, -1), 1)) })
	s := summary{Identifiers: strings.Join(c.ids, " "), Events: len(c.applied), First: c.applied[0].at, Last: c.applied[len(c.applied)-1].at,
		Channels: map[string]string{}, Traits: map[string]string{}, Consents: map[string]string{}, Cart: map[string]shelf{}, Viewed: map[string]string{}}
	counts, firsts := map[string]int{}, map[string]int64{}
	views := map[string][]past{}
	var ids []string
	for _, e := range c.applied {
		if counts[e.channel]++; counts[e.channel] == 1 {
			firsts[e.channel] = e.at
		}
		s.Channels[e.channel] = fmt.Sprint(counts[e.channel], firsts[e.channel], e.at)
		for name, value := range e.traits {
			if value == nil {
				delete(s.Traits, name)
			} else {
				s.Traits[name] = fmt.Sprint(value)
			}
		}
		for channel, answer := range e.consents {
			s.Consents[channel] = fmt.Sprint(answer, e.at)
		}
		if e.locale != "" {
			s.Locale = e.locale
		}
		if e.name == "Product Viewed" {
			views[e.item] = append(views[e.item], e)
		}
		ids = append([]string{e.id}, ids...)
	}
	for id, shelf := range c.cart {
		if shelf.Quantity > 0 {
			s.Cart[id] = shelf
		}
	}
	for id, list := range views {
		days := map[int64]bool{}
		for _, e := range list {
			days[e.at/86_400_000] = true
		}
		last := list[len(list)-1]
		s.Viewed[id] = fmt.Sprint(len(list), len(days), list[0].at, last.at, last.channel)
	}
	s.Orders = c.orders()
	s.History = strings.Join(ids[:min(len(ids), 20)], " ")
	return s
}

// orders is how many orders the customer made, what they came to, and what
// became of each.
func (c *customer) orders() string {
	type bought struct {
		at              int64
		total, refunded float64
		void, made      bool
		status          string
	}
	all := map[string]*bought{}
	for _, e := range c.applied {
		if e.order == "" {
			continue
		}
		o := all[e.order]
		if o == nil {
			o = &bought{}
			all[e.order] = o
		}
		switch e.name {
		case "Order Completed":
			if !o.made {
				o.made, o.at, o.total = true, e.at, e.total
			}
			continue
		case "Order Cancelled":
			o.void = true
		case "Order Refunded":
			if e.total == 0 {
				o.void = true
			}
			o.refunded += e.total
		}
		o.status = strings.ToLower(strings.TrimPrefix(e.name, "Order "))
	}
	count, revenue := 0, 0.0
	var list []string
	for _, id := range slices.Sorted(maps.Keys(all)) {
		o := all[id]
		if !o.made {
			continue
		}
		count++
		if !o.void {
			revenue += max(o.total-o.refunded, 0)
		}
		if o.status == "" {
			o.status = "completed"
		}
		list = append(list, fmt.Sprintf("%s %d %s", id, o.at, o.status))
	}
	return fmt.Sprintf("%d %.2f %s", count, revenue, strings.Join(list, ", "))
}

// summaryOf says the same of a profile.
func summaryOf(p *profiles.Profile) summary {
	s := summary{Identifiers: strings.Join(p.Identifiers, " "), Events: int(p.Events), First: p.FirstAt, Last: p.LastAt, Locale: p.Locale,
		Channels: map[string]string{}, Traits: map[string]string{}, Consents: map[string]string{}, Cart: map[string]shelf{}, Viewed: map[string]string{}}
	for _, c := range p.Channels {
		s.Channels[c.Name] = fmt.Sprint(c.Events, c.FirstAt, c.LastAt)
	}
	var traits map[string]json.RawMessage
	if len(p.Traits) > 0 {
		if err := json.Unmarshal(p.Traits, &traits); err != nil {
			panic(err)
		}
	}
	for name, value := range traits {
		s.Traits[name] = string(value)
	}
	for _, c := range p.Consents {
		s.Consents[c.Channel] = fmt.Sprint(c.Granted, c.At)
	}
	for _, l := range p.GetCart().GetLines() {
		s.Cart[l.Id] = shelf{int(l.Quantity), l.AddedAt}
	}
	for _, v := range p.Viewed {
		s.Viewed[v.Id] = fmt.Sprint(v.Times, v.Days, v.FirstAt, v.At, v.Channel)
	}
	var list []string
	recent := slices.Clone(p.GetOrders().GetRecent())
	slices.SortFunc(recent, func(a, b *profiles.Order) int { return strings.Compare(a.Id, b.Id) })
	for _, o := range recent {
		list = append(list, fmt.Sprintf("%s %d %s", o.Id, o.At, o.Status))
	}
	revenue := math.Round(p.GetOrders().GetRevenue()*100) / 100
	s.Orders = fmt.Sprintf("%d %.2f %s", p.GetOrders().GetCount(), revenue, strings.Join(list, ", "))
	var ids []string
	for _, e := range p.History() {
		ids = append(ids, e.MessageID)
	}
	s.History = strings.Join(ids, " ")
	return s
}
