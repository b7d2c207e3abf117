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
	events []past
	groups map[string]*customer // identifier → who it is
}

// customer is what the model knows of one.
type customer struct {
	ids     []string // strongest first
	cart    map[string]*shelf
	applied []past
}

// shelf is what happened to one product of a cart since it was removed.
type shelf struct {
	removed int64
	changes []change
}

type change struct {
	at       int64
	quantity int
}

func (s *shelf) quantity() int {
	n := 0
	for _, c := range s.changes {
		n = max(n+c.quantity, 0)
	}
	return n
}

func (s *shelf) forget(at int64) {
	s.changes = slices.DeleteFunc(s.changes, func(c change) bool { return c.at <= at })
}

func newModel(history []past) *model {
	m := &model{groups: map[string]*customer{}}
	seen := map[string]bool{}
	for _, e := range history {
		if !seen[e.id] {
			seen[e.id] = true
			m.events = append(m.events, e)
		}
	}
	slices.SortFunc(m.events, func(a, b past) int { return int(min(max(a.at-b.at, -1), 1)) })
	for i := range m.events {
		m.apply(&m.events[i])
	}
	return m
}

func (m *model) identifiers() []string        { return slices.Sorted(maps.Keys(m.groups)) }
func (m *model) customer(id string) *customer { return m.groups[id] }

// apply makes all identifiers of an event one customer, and the event theirs.
func (m *model) apply(e *past) {
	var c *customer
	for _, id := range e.identified {
		g := m.groups[id]
		if g == nil {
			g = &customer{ids: []string{id}, cart: map[string]*shelf{}}
			m.groups[id] = g
		}
		if c == nil {
			c = g
		} else if c != g {
			c.absorb(g)
			for _, other := range g.ids {
				m.groups[other] = c
			}
		}
	}
	c.applied = append(c.applied, *e)
	c.shop(e)
}

// absorb makes g's past c's own: of a product in both carts the larger quantity
// counts.
func (c *customer) absorb(g *customer) {
	c.ids = append(c.ids, g.ids...)
	slices.SortFunc(c.ids, func(a, b string) int {
		if identifier(a).Stronger(identifier(b)) {
			return -1
		}
		return 1
	})
	c.applied = append(c.applied, g.applied...)
	for id, theirs := range g.cart {
		own := c.shelf(id)
		own.removed = max(own.removed, theirs.removed)
		own.forget(own.removed)
		theirs.forget(own.removed)
		if theirs.quantity() > own.quantity() {
			own.changes = theirs.changes
		}
	}
}

func (c *customer) shelf(id string) *shelf {
	if c.cart[id] == nil {
		c.cart[id] = &shelf{}
	}
	return c.cart[id]
}

// shop changes the cart as the event says.
func (c *customer) shop(e *past) {
	remove := func(id string) {
		s := c.shelf(id)
		s.removed = e.at
		s.forget(e.at)
	}
	add := func(id string, n int) {
		s := c.shelf(id)
		s.changes = append(s.changes, change{e.at, n})
	}
	switch e.name {
	case "Product Added":
		add(e.item, e.quantity)
	case "Product Removed":
		if e.quantity == 0 {
			remove(e.item)
		} else {
			add(e.item, -e.quantity)
		}
	case "Cart Viewed":
		for _, s := range c.cart {
			s.forget(e.at)
		}
		for _, id := range e.products {
			add(id, 1)
		}
	case "Order Completed":
		for _, id := range e.products {
			remove(id)
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
	Cart        map[string]int
	Orders      string
	Viewed      map[string]string
	History     string
}

func (c *customer) summary() summary {
	slices.SortFunc(c.applied, func(a, b past) int { return int(min(max(a.at-b.at, -1), 1)) })
	s := summary{Identifiers: strings.Join(c.ids, " "), Events: len(c.applied), First: c.applied[0].at, Last: c.applied[len(c.applied)-1].at,
		Channels: map[string]string{}, Traits: map[string]string{}, Consents: map[string]string{}, Cart: map[string]int{}, Viewed: map[string]string{}}
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
		if n := shelf.quantity(); n > 0 {
			s.Cart[id] = n
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
		Channels: map[string]string{}, Traits: map[string]string{}, Consents: map[string]string{}, Cart: map[string]int{}, Viewed: map[string]string{}}
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
		s.Cart[l.Id] = int(l.Quantity)
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
