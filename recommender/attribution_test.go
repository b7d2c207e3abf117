package recommender

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

// shop is one in which items 00 to 09 trend, in this order.
func trendingShop(placements ...Placement) *teacher {
	cfg := small()
	cfg.Placements = append(cfg.Placements, placements...)
	te := newTeacher(cfg)
	for n := range 10 {
		for k := range 20 - n {
			te.view(fmt.Sprint("w", n, k), start, fmt.Sprintf("%02d", n))
		}
	}
	return te
}

// show answers the customer, tracked.
func (t *teacher) show(tt *testing.T, who, placement string, at int64) Answer {
	return ask(tt, t.r, Request{ID: "rec_01J", Placement: placement, Customer: Customer{Key: "user:" + who}, Limit: 3, Now: at, Track: true})
}

// did logs an event of a customer that names a recommendation.
func (t *teacher) did(who, name string, at int64, item, list string, place int, products ...streams.Line) {
	e := streams.Event{
		Kind: streams.Track, Name: name, At: at, LoggedAt: at, MessageID: fmt.Sprint("d", t.offset), RecommendationID: list, Position: place,
		Identifiers: []streams.Identifier{{Type: "user", Value: who}}, Product: streams.Line{ID: item}, Products: products,
	}
	if name == "Order Completed" {
		e.OrderID = "o" + fmt.Sprint(at)
	}
	t.learn(&e)
}

func earned(r *Recommender) string {
	var b strings.Builder
	for _, e := range r.Earned() {
		fmt.Fprintf(&b, "%s/%s %d %d %d %d %d %g\n", e.Placement, e.Strategy, e.Served, e.Impressions, e.Clicks, e.Adds, e.Orders, e.Revenue)
	}
	return b.String()
}

func TestEventsThatNameARecommendation(t *testing.T) {
	te := trendingShop()
	at := start + minute
	a := te.show(t, "a", "home", at)
	if got := fmt.Sprint(idsOf(a)); got != "[00 01 02]" || a.Strategy != Trending || !strings.HasPrefix(a.ID, "rec_01J_") {
		t.Fatalf("got %s, %+v", got, a)
	}
	te.did("a", "Product List Viewed", at, "", a.ID, 0)
	te.did("a", "Product Clicked", at, "01", a.ID, 2)
	te.did("a", "Product Viewed", at+second, "01", a.ID, 2) // of the same click
	te.did("a", "Product Viewed", at+2*second, "01", "", 0)
	te.did("a", "Product Added", at+minute, "01", a.ID, 2)
	lines := []streams.Line{{ID: "01", Quantity: 2, Price: 7.5, RecommendationID: a.ID, Position: 2}, {ID: "09", Quantity: 1, Price: 100}}
	for range 2 { // sent again
		te.did("a", "Order Completed", at+hour, "", "", 0, lines...)
	}
	if got := earned(te.r); got != "home/trending 3 3 1 1 1 15\n" {
		t.Errorf("got %s", got)
	}
	// Another process reads the same events and has answered nothing.
	two := newTeacher(small())
	two.did("b", "Product Clicked", at, "x", a.ID, 1)
	two.did("b", "Order Completed", at+6*day, "", "", 0, streams.Line{ID: "x", Quantity: 1, Price: 3})
	two.did("b", "Order Completed", at+6*day+1, "", "", 0, streams.Line{ID: "x", Quantity: 1, Price: 3}) // was counted
	two.did("c", "Product Clicked", at, "x", a.ID, 1)
	two.did("c", "Order Completed", at+8*day, "", "", 0, streams.Line{ID: "x", Quantity: 1, Price: 3}) // too late
	for _, id := range []string{"rec_1", "rec_1_", "rec_1_AAAA", "rec_1_!", "rec_1_AAAAAP8", strings.Repeat("rec_", 99)} {
		two.did("d", "Product Clicked", at, "x", id, -5)
	}
	if got := earned(two.r); got != "home/trending 0 0 2 0 1 3\n" {
		t.Errorf("got %s", got)
	}
}

func TestEventsThatFollowWhatWasShown(t *testing.T) {
	te := trendingShop()
	at := start + minute
	te.show(t, "a", "home", at)
	te.view("a", at+hour, "01")
	te.view("a", at+2*hour, "01") // clicked already
	te.view("a", at+25*hour, "02")
	te.add("a", at+26*hour, "01")
	te.view("a", at+26*hour, "08") // never shown
	te.feed("Order Completed", "a", at+5*day, "o1", "01", "00", "07")
	te.feed("Order Completed", "a", at+5*day, "o2", "01")
	te.view("b", at+hour, "00") // shown to somebody else
	if got := earned(te.r); got != "home/trending 3 0 1 1 1 0\n" {
		t.Errorf("got %s", got)
	}
	te.show(t, "a", "trending", at+5*day) // the last touch counts
	te.show(t, "a", "home", at+6*day)
	te.view("a", at+6*day+hour, "00")
	ask(t, te.r, Request{ID: "rec_2", Customer: Customer{Key: "user:a"}, Now: at + 6*day}) // not tracked
	if got := earned(te.r); got != "home/trending 6 0 2 1 1 0\ntrending/trending 3 0 0 0 0 0\n" {
		t.Errorf("got %s", got)
	}
}

func TestWhatWasShownOftenStepsBack(t *testing.T) {
	te := trendingShop(Placement{Name: "rotating", Strategies: []string{Trending}, Rotate: 2})
	at := start + minute
	list := func(who string) string { return fmt.Sprint(idsOf(te.show(t, who, "rotating", at))) }
	for n, want := range []string{"[00 01 02]", "[00 01 02]", "[03 04 05]", "[03 04 05]", "[06 07 08]"} {
		if got := list("a"); got != want {
			t.Errorf("answer %d: got %s, want %s", n, got, want)
		}
	}
	if got := list("b"); got != "[00 01 02]" {
		t.Errorf("somebody else: %s", got)
	}
	te.view("a", at, "01")
	if got := list("a"); !strings.HasPrefix(got, "[01 ") {
		t.Errorf("after a click: %s", got)
	}
}

func TestListsInIDs(t *testing.T) {
	a := Answer{ID: "rec_x", Placement: "home"}
	for n := range 100 {
		a.Items = append(a.Items, Ranked{Reason: []string{Session, Trending}[n/40%2]})
	}
	l, ok := refIn(a.tracked())
	if !ok || l.placement != placementHash("home") {
		t.Fatalf("got %+v", l)
	}
	for place, want := range map[int]string{-1: Session, 0: Session, 1: Session, 40: Session, 41: Trending, 80: Trending, 81: Session, 100: Session, 999: Session} {
		if got := reasons[l.strategy(place)]; got != want {
			t.Errorf("place %d: %s, want %s", place, got, want)
		}
	}
}

func (a *Answer) tracked() string { l := refOf(a); return l.tracked(a.ID) }

func FuzzListInID(f *testing.F) {
	f.Add("rec_1_AAAAAQAB")
	f.Add("rec_")
	f.Fuzz(func(t *testing.T, id string) {
		if l, ok := refIn(id); ok {
			again, ok := refIn(l.tracked("rec_x"))
			if !ok || again != l {
				t.Errorf("%q: %+v, then %+v", id, l, again)
			}
			l.strategy(len(id))
		}
	})
}
