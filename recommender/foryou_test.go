package recommender

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

// forYouShop has learned that shoppers of tea look at cups, shoppers of boots at
// socks, and that lamps are bought with bulbs.
func forYouShop() *teacher {
	cfg := small()
	cfg.Placements = []Placement{{Name: "home", Strategies: []string{ForYou}}, {Name: "again", Strategies: []string{BuyAgain}}}
	te := newTeacher(cfg)
	for n := range 5 {
		who, at := fmt.Sprint("c", n), start+int64(n)*minute
		te.view(who, at, "tea")
		te.view(who, at, "cup")
		te.view("b"+who, at, "boots")
		te.view("b"+who, at, "socks")
		te.order("l"+who, at, "o"+who, "lamp", "bulb")
	}
	return te
}

func forYouOf(a Answer) []string {
	a.Items = slices.DeleteFunc(a.Items, func(it Ranked) bool { return it.Reason != ForYou && it.Reason != BuyAgain })
	return idsOf(a)
}

// Each part of the history leads to what goes with it, the later first.
func TestForYouFollowsTheHistory(t *testing.T) {
	te := forYouShop()
	now := start + hour
	for _, c := range []struct {
		name string
		who  Customer
		want string
	}{
		{"a stranger", Customer{}, "[]"},
		{"viewed", Customer{Recent: []Seen{{"tea", now - hour}, {"boots", now - 20*day}}}, "[cup socks]"},
		{"viewed the other way round", Customer{Recent: []Seen{{"boots", now - hour}, {"tea", now - 20*day}}}, "[socks cup]"},
		{"viewed too long ago", Customer{Recent: []Seen{{"boots", now - 31*day}}}, "[]"},
		{"ordered", Customer{Bought: []Seen{{"lamp", now - 10*day}}}, "[bulb]"},
		{"in the cart", Customer{Cart: []string{"lamp"}}, "[bulb]"},
		{"the session before all", Customer{Session: []string{"boots"}, Recent: []Seen{{"tea", now - 9*day}}}, "[socks cup]"},
		{"unknown items", Customer{Recent: []Seen{{"?", now}}, Bought: []Seen{{"??", now}}}, "[]"},
	} {
		if got := fmt.Sprint(forYouOf(ask(t, te.r, Request{Customer: c.who, Now: now}))); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// A new item of a preferred brand comes before one of another.
func TestForYouPrefers(t *testing.T) {
	te := forYouShop()
	put := func(id, brand string, path ...string) {
		te.r.catalogue.Put(int64(te.r.catalogue.Len()+1), id, &streams.Item{ID: id, Brand: brand, Category: path})
	}
	put("boots", "", "Shoes", "Boots")
	for _, brand := range []string{"Alpha", "Beta", "Gamma"} {
		put("new "+brand, brand, "Shoes", "Boots")
	}
	who := Customer{Recent: []Seen{{"boots", start}}, Brands: []Affinity{{"Beta", 700.5}, {"Gamma", 699}, {"Delta", math.Inf(-1)}},
		Categories: []Affinity{{"Hats", 3}, {"Shoes/Boots", 2}}}
	got := forYouOf(ask(t, te.r, Request{Customer: who, Now: start}))
	if want := "[socks new Beta new Gamma new Alpha]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestBuyAgain(t *testing.T) {
	te := forYouShop()
	for n := range 4 { // soap is bought every 30 days
		who := fmt.Sprint("s", n)
		te.order(who, start, "1"+who, "soap")
		te.order(who, start+30*day, "2"+who, "soap")
		te.order(who, start+30*day, "2"+who, "soap") // the same order again
	}
	te.r.catalogue.Put(1, "filter", &streams.Item{ID: "filter", Attributes: map[string]any{"replenish_days": 90.0}})
	te.r.catalogue.Put(2, "odd", &streams.Item{ID: "odd", Attributes: map[string]any{"replenish_days": math.NaN()}})
	now := start + 400*day
	ago := func(id string, days int64) Seen { return Seen{id, now - days*day} }
	for _, c := range []struct {
		name   string
		bought []Seen
		want   string
	}{
		{"never", nil, "[]"},
		{"once, no rhythm is known", []Seen{ago("cup", 100), ago("odd", 100)}, "[]"},
		{"the usual rhythm, due", []Seen{ago("soap", 31)}, "[soap]"},
		{"the usual rhythm, not due", []Seen{ago("soap", 15)}, "[]"},
		{"an attribute", []Seen{ago("filter", 80)}, "[filter]"},
		{"the customer's own rhythm", []Seen{ago("cup", 30), ago("cup", 20), ago("cup", 10)}, "[cup]"},
		{"not due by it", []Seen{ago("cup", 30), ago("cup", 20), ago("cup", 5)}, "[]"},
		{"own before usual", []Seen{ago("soap", 400), ago("soap", 300), ago("soap", 200), ago("soap", 100)}, "[soap]"},
		{"the one that is due now first", []Seen{ago("tea", 80), ago("tea", 60), ago("cup", 21), ago("cup", 10)}, "[cup tea]"},
		{"in the future", []Seen{ago("soap", -5)}, "[]"},
	} {
		req := Request{Placement: "again", Customer: Customer{Bought: c.bought}, Now: now}
		if got := fmt.Sprint(forYouOf(ask(t, te.r, req))); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
