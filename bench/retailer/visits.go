package retailer

import (
	"slices"
	"time"
)

// hours is how busy the shop is, by hour of the day, in the shop's zone.
var hours = []int{2, 1, 1, 1, 1, 2, 4, 8, 12, 14, 15, 16, 18, 16, 14, 14, 15, 18, 22, 26, 28, 24, 14, 6}

// live lets a shopper live through the simulated days.
func (r *Retailer) live(s *shopper) {
	if s.registered {
		// The customer file is loaded in the first minutes.
		at := r.cfg.Start.Add(time.Duration(s.number) * 2 * time.Minute / time.Duration(len(r.shoppers)))
		r.add(at, who{user: s.user}, "crm", registers(s), "")
	}
	visits := make([]time.Time, 1+r.rand.IntN(3))
	for i := range visits {
		visits[i] = r.busyTime()
	}
	slices.SortFunc(visits, time.Time.Compare)
	for _, at := range visits {
		if !s.registered {
			r.browse(s, at, "web")
			continue
		}
		switch n := r.rand.IntN(100); {
		case n < 45:
			r.browse(s, at, "web")
		case n < 68:
			r.browse(s, at, "app")
		case n < 86:
			r.till(s, at)
		case n < 93:
			r.call(s, at)
		default:
			r.chat(s, at)
		}
	}
}

// busyTime draws a moment, more likely in busy hours.
func (r *Retailer) busyTime() time.Time {
	for {
		at := r.cfg.Start.Add(time.Duration(r.rand.Int64N(int64(r.cfg.Length))))
		if r.rand.IntN(30) < hours[at.In(r.zone).Hour()] {
			return at
		}
	}
}

// pause is the time between two clicks.
func (r *Retailer) pause(at time.Time) time.Time {
	return at.Add(time.Duration(8+r.rand.IntN(110))*time.Second + time.Duration(r.rand.IntN(1000))*time.Millisecond)
}

// pick is a product that the shopper may look at: mostly a favourite kind, and
// the first ones of a shelf more than the last.
func (r *Retailer) pick(s *shopper) int {
	at := r.rand.IntN(len(shelves))
	if r.rand.IntN(100) < 80 {
		at = s.favourites[r.rand.IntN(len(s.favourites))]
	}
	list := r.shelves[at]
	return list[min(r.rand.IntN(len(list)), r.rand.IntN(len(list)))]
}

// web and app are a shopper's identifiers there, once known.
func (s *shopper) web() who { return who{user: s.user, anonymous: s.device} }

func (s *shopper) inApp() who { return who{user: s.user, anonymous: s.app, token: s.token} }

// browse is a visit to the site or the app, with or without a purchase.
func (r *Retailer) browse(s *shopper, at time.Time, channel string) {
	w := r.arrive(s, at, channel)
	for range 1 + r.rand.IntN(6) {
		at = r.pause(at)
		i := r.pick(s)
		r.add(at, w, channel, r.viewed(i), "")
		if r.rand.IntN(100) < 22 && r.products[i].item.IsAvailable() && !slices.Contains(s.cart, i) {
			at = r.pause(at)
			r.add(at, w, channel, r.added(i, 1), "")
			s.cart = append(s.cart, i)
		}
	}
	if len(s.cart) == 0 {
		return
	}
	switch n := r.rand.IntN(100); {
	case n < 12:
		at = r.pause(at)
		r.add(at, w, channel, track("Product Removed", r.line(s.cart[0], 1)), "")
		s.cart = s.cart[1:]
	case n < 45:
		at = r.pause(at)
		r.add(at, w, channel, track("Checkout Started", nil), "")
		r.add(r.pause(at), w, channel, r.ordered(s.cart), "")
		s.cart = nil
	}
}

// arrive opens the visit: some browse before they log in, some never do.
func (r *Retailer) arrive(s *shopper, at time.Time, channel string) who {
	if channel == "app" {
		r.add(at, s.inApp(), "app", call{Type: "screen", Properties: map[string]any{"name": "Home"}}, "")
		return s.inApp()
	}
	w := who{anonymous: s.device}
	page := call{Type: "page", Context: callContext{Page: &callPage{Path: "/"}}}
	if s.registered && r.rand.IntN(100) < 60 {
		w = s.web()
	}
	r.add(at, w, "web", page, "")
	if s.registered && w.user == "" && r.rand.IntN(100) < 70 {
		r.add(at.Add(5*time.Second), s.web(), "web", call{Type: "identify", Traits: map[string]any{"name": s.name}}, "")
		w = s.web()
	}
	return w
}

// till is a purchase in a store with the loyalty card.
func (r *Retailer) till(s *shopper, at time.Time) {
	w := who{card: s.card}
	store := callContext{Store: s.store}
	seen := track("Customer Seen", nil)
	seen.Context = store
	r.add(at, w, "pos", seen, "")
	buys := []int{r.pick(s)}
	if len(s.cart) > 0 && r.rand.IntN(100) < 40 {
		buys, s.cart = s.cart, nil
	}
	order := r.ordered(buys)
	order.Context = store
	r.add(r.pause(at), w, "pos", order, "")
}

// call is a talk with the call centre, which knows the phone number.
func (r *Retailer) call(s *shopper, at time.Time) {
	w := who{phone: s.phone}
	r.add(at, w, "call_center", track("Customer Seen", nil), "")
	i := r.pick(s)
	at = r.pause(at)
	r.add(at, w, "call_center", r.viewed(i), "")
	if r.rand.IntN(100) < 35 && r.products[i].item.IsAvailable() {
		r.add(r.pause(at), w, "call_center", r.ordered([]int{i}), "")
	}
}

// chat is a link followed from a messenger.
func (r *Retailer) chat(s *shopper, at time.Time) {
	w := who{user: s.user}
	i := r.pick(s)
	r.add(at, w, "messenger", r.viewed(i), "")
	if r.rand.IntN(100) < 30 && r.products[i].item.IsAvailable() {
		r.add(r.pause(at), w, "messenger", r.added(i, 1), "")
		s.cart = append(s.cart, i)
	}
}
