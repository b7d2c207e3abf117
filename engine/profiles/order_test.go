package profiles

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/rapport-engine/rapport/streams"
)

// anyEvents draws what a customer does on three days, no two events at the
// same time, all logged within the week.
func anyEvents(t *rapid.T) []*streams.Event {
	n := rapid.IntRange(1, 16).Draw(t, "n")
	item := rapid.SampledFrom([]string{"a", "b", "c", "d"})
	orderID := rapid.SampledFrom([]string{"o1", "o2", "o3"})
	events, when := make([]*streams.Event, n), t0
	for i := range events {
		when += rapid.Int64Range(1, 5*hour).Draw(t, "pause")
		name := rapid.SampledFrom([]string{
			"Product Viewed", "Product Viewed", "Product Added", "Product Removed", "Order Completed", "Order Refunded",
			"Order Shipped", "Order Cancelled", "Subscribed", "Unsubscribed", "identify", "page",
		}).Draw(t, "name")
		e := event(name, when, channel(rapid.SampledFrom([]string{"web", "app", "pos"}).Draw(t, "channel")))
		e.MessageID = fmt.Sprint("m", i)
		switch name {
		case "Product Viewed":
			product1(item.Draw(t, "item"), 1, float64(i+1))(e)
		case "Product Added":
			id := item.Draw(t, "item")
			product1(id, rapid.IntRange(1, 3).Draw(t, "quantity"), float64(id[0]))(e)
		case "Product Removed":
			product1(item.Draw(t, "item"), rapid.IntRange(0, 2).Draw(t, "quantity"), 1)(e)
		case "Order Completed":
			// The same order is the same whenever it is reported.
			id := orderID.Draw(t, "order")
			order(id, float64(id[1]-'0')*10.1)(e)
			lines(line(item.Draw(t, "item"), 1, 1))(e)
		case "Order Refunded":
			order(orderID.Draw(t, "order"), float64(rapid.IntRange(0, 3).Draw(t, "amount"))*3.3)(e)
		case "Order Shipped", "Order Cancelled":
			order(orderID.Draw(t, "order"), 0)(e)
		case "Subscribed", "Unsubscribed":
			props(rapid.SampledFrom([]string{`{"channel":"sms"}`, `{"channel":"email"}`}).Draw(t, "props"))(e)
		case "identify":
			e.Kind, e.Traits = streams.Identify, fmt.Appendf(nil, `{"a":%d,"consents":{"sms":%v}}`, i, i%2 == 0)
		}
		events[i] = e
	}
	return events
}

// summary is the part of a profile that must not depend on the order in which
// events arrive.
func summary(p *Profile) string {
	out := fmt.Sprintf("events %d, %d..%d; cart %s; traits %s;", p.Events, p.FirstAt, p.LastAt, cartOf(p), p.Traits)
	if p.Cart != nil {
		out += fmt.Sprint(" total ", CartTotal(p.Cart.Lines))
	}
	for _, c := range p.Channels {
		out += fmt.Sprintf(" channel %s %d %d %d;", c.Name, c.FirstAt, c.LastAt, c.Events)
	}
	for _, c := range p.Consents {
		out += fmt.Sprintf(" consent %s %v %d;", c.Channel, c.Granted, c.At)
	}
	for _, v := range p.Viewed {
		out += fmt.Sprintf(" viewed %s %s %d %d %d %d %v;", v.Id, v.Channel, v.At, v.FirstAt, v.Times, v.Days, v.Price)
	}
	if o := p.Orders; o != nil {
		out += fmt.Sprintf(" orders %d %v %d %d;", o.Count, o.Revenue, o.FirstAt, o.LastAt)
		for _, r := range o.Recent {
			out += fmt.Sprintf(" order %s %d %s %v %s %d;", r.Id, r.At, r.Status, r.Total, r.Channel, len(r.Products))
		}
	}
	for _, e := range p.History() {
		out += " " + e.MessageID
	}
	for _, c := range p.Counts {
		out += fmt.Sprint(" count ", c.Name, c.At)
	}
	return out
}

func TestAnyOrderGivesTheSameProfile(t *testing.T) {
	settings := DefaultSettings()
	settings.Counted = map[string]bool{"Product Viewed": true, "page": true}
	fold := func(t *rapid.T, events []*streams.Event) string {
		p := newProfile("user:42")
		now := t0 + 4*dayLen
		for _, e := range events {
			e.LoggedAt = now
			settings.Apply(p, e, now, nil)
			p = again(t, p)
		}
		return summary(p)
	}
	rapid.Check(t, func(t *rapid.T) {
		events := anyEvents(t)
		want := fold(t, events)
		arrival := rapid.Permutation(events).Draw(t, "arrival")
		if got := fold(t, arrival); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}
