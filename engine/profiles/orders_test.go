package profiles

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

func currency(c string) func(*streams.Event) {
	return func(e *streams.Event) { e.Currency = c }
}

func TestOrders(t *testing.T) {
	done := func(s int64, id string, total float64, change ...func(*streams.Event)) *streams.Event {
		return event("Order Completed", at(s), append([]func(*streams.Event){order(id, total)}, change...)...)
	}
	told := func(name string, s int64, id string, total float64) *streams.Event {
		return event("Order "+name, at(s), order(id, total))
	}
	for _, tc := range []struct {
		name   string
		events []*streams.Event
		want   string // count revenue first..last id:status:total...
		issues string
	}{
		{"one", []*streams.Event{done(1, "a", 450)}, "1 450 1..1 a:completed:450", "[]"},
		{"once in any channel", []*streams.Event{done(1, "a", 450), done(2, "a", 450, channel("pos"))}, "1 450 1..1 a:completed:450", "[]"},
		{"without an id each counts", []*streams.Event{done(1, "", 1), done(2, "", 2)}, "2 3 1..2 :completed:2 :completed:1", "[]"},
		{"the lines' sum", []*streams.Event{done(1, "a", 0, lines(line("x", 2, 10), line("y", 1, 5.5)))}, "1 25.5 1..1 a:completed:25.5", "[]"},
		{"in pieces", []*streams.Event{done(1, "a", 0, lines(line("x", 2, 10))), done(1, "a", 0, lines(line("x", 2, 10), line("y", 1, 5)))}, "1 25 1..1 a:completed:25", "[]"},
		{"in pieces with a total", []*streams.Event{done(1, "a", 30, lines(line("x", 2, 10))), done(1, "a", 30, lines(line("y", 1, 5)))}, "1 30 1..1 a:completed:30", "[]"},
		{"another currency", []*streams.Event{done(1, "a", 2, currency("usd")), done(2, "b", 5, currency("UAH"))}, "2 85 1..2 b:completed:5 a:completed:80", "[]"},
		{"an unknown currency", []*streams.Event{done(1, "a", 2, currency("XXX"))}, "1 0 1..1 a:completed:0", "[unknown_currency]"},
		{"late", []*streams.Event{done(100, "a", 2), done(50, "b", 3)}, "2 5 50..100 a:completed:2 b:completed:3", "[]"},
		{"very late", []*streams.Event{event("Order Completed", at(0), order("a", 2), func(e *streams.Event) { e.LoggedAt = at(1) + 7*dayLen })}, "1 2 0..0 a:completed:2", "[late_order]"},
		{"statuses", []*streams.Event{done(1, "a", 9), told("Shipped", 3, "a", 0), told("Updated", 2, "a", 0)}, "1 9 1..1 a:shipped:9", "[]"},
		{"statuses before the order", []*streams.Event{told("Delivered", 3, "a", 0), told("Shipped", 2, "a", 0), done(1, "a", 9)}, "1 9 1..1 a:delivered:9", "[]"},
		{"cancelled", []*streams.Event{done(1, "a", 9), done(2, "b", 4), told("Cancelled", 3, "a", 9)}, "2 4 1..2 b:completed:4 a:cancelled:9", "[]"},
		{"cancelled before the order", []*streams.Event{told("Cancelled", 3, "a", 9), done(1, "a", 9)}, "1 0 1..1 a:cancelled:9", "[]"},
		{"refunded", []*streams.Event{done(1, "a", 9), told("Refunded", 3, "a", 0)}, "1 0 1..1 a:refunded:9", "[]"},
		{"refunded in part", []*streams.Event{done(1, "a", 9), told("Refunded", 3, "a", 2)}, "1 7 1..1 a:refunded:9", "[]"},
		{"never more than it was", []*streams.Event{done(1, "a", 9), done(2, "b", 1), told("Refunded", 3, "a", 6), told("Refunded", 4, "a", 6), told("Cancelled", 5, "a", 9)}, "2 1 1..2 b:completed:1 a:cancelled:9", "[]"},
		{"of what is not known", []*streams.Event{told("Refunded", 3, "a", 6), told("Shipped", 3, "", 6)}, "0 0 0..0", "[no_order_id]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProfile("user:42")
			issues := []string{}
			for _, out := range apply(t, p, tc.events...) {
				issues = append(issues, out.Issues...)
			}
			if got := ordersOf(p); got != tc.want {
				t.Errorf("orders are %q, want %q", got, tc.want)
			}
			if got := fmt.Sprint(issues); got != tc.issues {
				t.Errorf("issues %s, want %s", got, tc.issues)
			}
		})
	}
}

func ordersOf(p *Profile) string {
	os := p.Orders
	since := func(at int64) int64 {
		if at == 0 {
			return 0
		}
		return (at - t0) / second
	}
	out := fmt.Sprintf("%d %v %d..%d", os.Count, os.Revenue, since(os.FirstAt), since(os.LastAt))
	for _, o := range os.Recent {
		out += fmt.Sprintf(" %s:%s:%v", o.Id, o.Status, o.Total)
	}
	return out
}

// TestOldOrders looks at orders that are no longer among the recent ones.
func TestOldOrders(t *testing.T) {
	p := newProfile("user:42")
	for i := range 15 {
		apply(t, p, event("Order Completed", at(int64(i)), order(fmt.Sprint("o", i), 10)))
	}
	if o := p.Orders; o.Count != 15 || o.Revenue != 150 || len(o.Recent) != 10 || o.Recent[0].Id != "o14" || o.FirstAt != at(0) {
		t.Fatalf("orders: %v", o)
	}
	outs := apply(t, p,
		event("Order Completed", at(20), order("o1", 10)), // known
		event("Order Refunded", at(21), order("o2", 4)),
		event("Order Refunded", at(22), order("o2", 4)), // never twice
		event("Order Refunded", at(23), order("o3", 0)), // of how much?
		event("Order Shipped", at(24), order("o4", 0)))
	if o := p.Orders; o.Count != 15 || o.Revenue != 146 {
		t.Errorf("count %d, revenue %v; want 15, 146", o.Count, o.Revenue)
	}
	if got := outs[3].Issues; !slices.Equal(got, []string{"unknown_order"}) {
		t.Errorf("issues %v", got)
	}
}
