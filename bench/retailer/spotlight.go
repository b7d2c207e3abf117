package retailer

import (
	"time"
)

// Spotlight is the shopper whose story a demonstration follows.
type Spotlight struct {
	Name  string
	ID    string // "user:..."
	Email string
	Card  string
}

// Spotlight returns who it is.
func (r *Retailer) Spotlight() Spotlight { return r.spot }

// tellSpotlight tells the story of one customer in five channels: an
// anonymous look at the site, a login, a cart left in the app, a call, and the
// purchase at the till, where the card says that it is the same customer.
func (r *Retailer) tellSpotlight() {
	s := &shopper{
		name: "Olena Verbova", user: "10001", device: "w-olena", app: "a-olena", email: "olena@mail.example",
		phone: "+380671234567", card: "70010001", token: "push-olena", store: "3", subscribed: true,
		birthday: r.cfg.Start.In(r.zone).AddDate(-36, 0, 9).Format(time.DateOnly),
	}
	r.spot = Spotlight{Name: s.name, ID: "user:" + s.user, Email: s.email, Card: s.card}
	tents := r.sellable("Outdoor", "Tents", 3)
	pack := r.sellable("Outdoor", "Backpacks", 1)[0]
	at := func(hour, minute int) time.Time {
		return r.cfg.Start.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
	}
	name := func(i int) string { return r.products[i].item.Name }
	anonymous := who{anonymous: s.device}
	r.add(at(9, 0), anonymous, "web", call{Type: "page", Context: callContext{Page: &callPage{Path: "/outdoor/tents"}}},
		"opens the web site; nobody knows her yet")
	r.add(at(9, 2), anonymous, "web", r.viewed(tents[0]), "looks at "+name(tents[0]))
	r.add(at(9, 4), s.web(), "web", registers(s), "logs in: the browser is hers, and so are e-mail, phone and card")
	r.add(at(9, 6), s.web(), "web", r.viewed(tents[1]), "looks at "+name(tents[1]))
	r.add(at(12, 30), s.inApp(), "app", r.viewed(pack), "looks at "+name(pack)+" in the app")
	r.add(at(12, 33), s.inApp(), "app", r.added(tents[1], 1), "puts "+name(tents[1])+" into the cart, and leaves")
	r.add(at(16, 10), who{phone: s.phone}, "call_center", track("Customer Seen", nil), "calls; the agent sees her cart by her phone number")
	r.add(at(16, 12), who{phone: s.phone}, "call_center", r.viewed(tents[2]), "asks the agent about "+name(tents[2]))
	store := callContext{Store: s.store}
	seen := track("Customer Seen", nil)
	seen.Context = store
	r.add(at(19, 0), who{card: s.card}, "pos", seen, "shows her loyalty card at the till of store 3")
	order := r.ordered([]int{tents[1]})
	order.Context = store
	r.add(at(19, 4), who{card: s.card}, "pos", order, "buys "+name(tents[1])+" there: the cart of the app is empty now")
	r.add(at(34, 20), who{user: s.user}, "messenger", r.viewed(pack), "follows a link from the messenger to "+name(pack))
	r.add(at(37, 0), s.inApp(), "app", r.added(pack, 1), "puts "+name(pack)+" into the cart in the app")
}

// sellable finds n available products of a category.
func (r *Retailer) sellable(category, kind string, n int) []int {
	var list []int
	for i := range r.products {
		item := r.products[i].item
		if item.Category[0] == category && item.Category[1] == kind && item.IsAvailable() && len(list) < n {
			list = append(list, i)
		}
	}
	for len(list) < n { // a tiny catalogue
		list = append(list, len(list)%len(r.products))
	}
	return list
}
