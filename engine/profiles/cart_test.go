package profiles

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rapport-engine/rapport/streams"
)

func at(s int64) int64 { return t0 + s*second }

func TestCart(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []*streams.Event
		want   string
	}{
		{"added", []*streams.Event{event("Product Added", at(1), product1("a", 0, 5))}, "a*1@1 "},
		{"added twice", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Product Added", at(2), product1("a", 1, 5))}, "a*3@2 "},
		{"removed", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Product Removed", at(2), product1("a", 0, 5))}, ""},
		{"lowered", []*streams.Event{event("Product Added", at(1), product1("a", 3, 5)), event("Product Removed", at(2), product1("a", 1, 5))}, "a*2@1 "},
		{"lowered to nothing", []*streams.Event{event("Product Added", at(1), product1("a", 3, 5)), event("Product Removed", at(2), product1("a", 5, 5))}, ""},
		{"a tie is a removal", []*streams.Event{event("Product Removed", at(1), product1("a", 0, 5)), event("Product Added", at(1), product1("a", 1, 5))}, ""},
		{"removed before it is added, logged late", []*streams.Event{event("Product Added", at(5), product1("a", 1, 5)), event("Product Removed", at(2), product1("a", 0, 5))}, "a*1@5 "},
		{"removed after it is added, logged first", []*streams.Event{event("Product Removed", at(5), product1("a", 0, 5)), event("Product Added", at(2), product1("a", 1, 5))}, ""},
		{"removal between two additions, logged last", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Product Added", at(3), product1("a", 1, 5)), event("Product Removed", at(2), product1("a", 0, 5))}, "a*1@3 "},
		{"replaced", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Cart Viewed", at(2), lines(line("b", 1, 1), line("c", 2, 1)))}, "b*1@2 c*2@2 "},
		{"emptied", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Cart Updated", at(2), lines())}, ""},
		{"seen without products", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Cart Viewed", at(2))}, "a*2@1 "},
		{"added after it was replaced, logged first", []*streams.Event{event("Product Added", at(3), product1("a", 2, 5)), event("Checkout Started", at(2), lines(line("b", 1, 1)))}, "b*1@2 a*2@3 "},
		{"added before it was replaced, logged last", []*streams.Event{event("Checkout Started", at(2), lines(line("b", 1, 1))), event("Product Added", at(1), product1("a", 2, 5))}, "b*1@2 "},
		{"ordered", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Product Added", at(2), product1("b", 2, 5)), event("Order Completed", at(3), channel("pos"), order("o", 5), lines(line("a", 1, 5)))}, "b*2@2 "},
		{"ordered in pieces", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Product Added", at(2), product1("b", 2, 5)), event("Order Completed", at(3), order("o", 0), lines(line("a", 1, 5))), event("Order Completed", at(3), order("o", 0), lines(line("b", 1, 5)))}, ""},
		{"an order removes what was added before", []*streams.Event{event("Product Added", at(4), product1("a", 2, 5)), event("Order Completed", at(3), order("o", 5), lines(line("a", 1, 5)))}, "a*2@4 "},
		{"leaves after 30 days", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Product Added", at(1)+30*dayLen, product1("b", 1, 5))}, "b*1@2592001 "},
		{"stays for 30 days", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5)), event("Product Viewed", at(0)+30*dayLen, product1("b", 1, 5))}, "a*2@1 "},
		{"nothing without an id", []*streams.Event{event("Product Added", at(1)), event("Product Added", at(1), lines(streams.Line{Quantity: 1}))}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProfile("user:42")
			apply(t, p, tc.events...)
			if got := cartOf(p); got != tc.want {
				t.Errorf("cart is %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNewCart(t *testing.T) {
	p := newProfile("user:42")
	outs := apply(t, p,
		event("Product Added", at(1), product1("a", 1, 5)), event("Product Added", at(2), product1("b", 1, 5)),
		event("Cart Updated", at(3), lines()), event("Product Added", at(4), product1("b", 1, 5)))
	got := ids(outs, func(o Outcome) string { return fmt.Sprint(o.NewCart) })
	if want := []string{"true", "false", "false", "true"}; !slices.Equal(got, want) {
		t.Errorf("new carts: %v, want %v", got, want)
	}
}

func TestLiveCart(t *testing.T) {
	p := newProfile("user:42")
	apply(t, p, event("Product Added", at(1), product1("a", 2, 5)), event("Product Added", at(5), product1("b", 1, 0.1)))
	ttl := DefaultSettings().CartTTL
	for _, tc := range []struct {
		now  int64
		want int
	}{{at(5), 2}, {at(1) + 30*dayLen - 1, 2}, {at(1) + 30*dayLen, 1}, {at(5) + 30*dayLen, 0}} {
		if got := len(p.LiveCart(tc.now, ttl)); got != tc.want {
			t.Errorf("at %d: %d lines, want %d", tc.now, got, tc.want)
		}
	}
	if got := CartTotal(p.LiveCart(at(5), ttl)); got != 10.1 {
		t.Errorf("total is %v, want 10.1", got)
	}
}

// slowCart is the cart rule, slow and obvious: all events sorted by time, then
// told as a story.
func slowCart(events []*streams.Event) string {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b *streams.Event) int { return cmp.Compare(a.At, b.At) })
	type entry struct{ quantity, addedAt int64 }
	cart := map[string]entry{}
	for _, e := range events {
		switch e.Name {
		case "Product Added":
			cart[e.Product.ID] = entry{cart[e.Product.ID].quantity + int64(e.Product.Quantity), e.At}
		case "Product Removed":
			left := cart[e.Product.ID]
			left.quantity -= int64(e.Product.Quantity)
			if cart[e.Product.ID] = left; !e.Product.HasQuantity || left.quantity <= 0 {
				delete(cart, e.Product.ID)
			}
		case "Cart Viewed":
			clear(cart)
			for _, l := range e.Products {
				cart[l.ID] = entry{cart[l.ID].quantity + int64(l.Quantity), e.At}
			}
		case "Order Completed":
			for _, l := range e.Products {
				delete(cart, l.ID)
			}
		}
	}
	list := []string{}
	for id := range cart {
		list = append(list, id)
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(cart[a].addedAt, cart[b].addedAt), cmp.Compare(a, b)) })
	out := ""
	for _, id := range list {
		out += fmt.Sprintf("%s*%d@%d ", id, cart[id].quantity, (cart[id].addedAt-t0)/second)
	}
	return out
}

// cartEvents draws shopping without two events at the same time.
func cartEvents(t *rapid.T) []*streams.Event {
	n := rapid.IntRange(1, 14).Draw(t, "n")
	events := make([]*streams.Event, n)
	item := rapid.SampledFrom([]string{"a", "b", "c"})
	some := func() []streams.Line {
		var list []streams.Line
		for _, id := range rapid.SliceOfNDistinct(item, 0, 3, rapid.ID[string]).Draw(t, "items") {
			list = append(list, line(id, rapid.IntRange(1, 3).Draw(t, "quantity"), 10))
		}
		return list
	}
	for i := range events {
		name := rapid.SampledFrom([]string{"Product Added", "Product Added", "Product Removed", "Cart Viewed", "Order Completed"}).Draw(t, "name")
		when := at(int64(i))
		switch name {
		case "Product Added", "Product Removed":
			events[i] = event(name, when, product1(item.Draw(t, "item"), rapid.IntRange(0, 3).Draw(t, "quantity"), 10))
		case "Cart Viewed":
			events[i] = event(name, when, lines(some()...))
		case "Order Completed":
			events[i] = event(name, when, order(fmt.Sprint("o", i), 10), lines(some()...))
		}
		events[i].LoggedAt = at(100)
	}
	return events
}

func TestCartInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := cartEvents(t)
		want := slowCart(events)
		for range 2 {
			p := newProfile("user:42")
			for _, e := range events {
				e.MessageID = fmt.Sprint(e.MessageID, "'")
			}
			s := DefaultSettings()
			for _, e := range events {
				s.Apply(p, e, at(100), nil)
				p = again(t, p)
			}
			if got := cartOf(p); got != want {
				t.Fatalf("cart is %q, want %q", got, want)
			}
			events = rapid.Permutation(events).Draw(t, "arrival")
		}
	})
}

// again is p, encoded and decoded.
func again(t rapid.TB, p *Profile) *Profile {
	t.Helper()
	id, q := p.Id, &Profile{}
	if err := Decode(id, Encode(p), q); err != nil {
		t.Fatal(err)
	}
	return q
}
