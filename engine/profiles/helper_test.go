package profiles

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

// t0 is a Tuesday morning: 2015-06-02T05:00:00Z.
const t0 = int64(1433221200000)

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	dayLen = 24 * hour
)

var serial int

// event is a track event of user:42, logged when it happened, with an own id.
func event(name string, at int64, change ...func(*streams.Event)) *streams.Event {
	serial++
	e := &streams.Event{
		Kind: streams.Track, Name: name, MessageID: fmt.Sprintf("m%d", serial), Channel: "web",
		At: at, LoggedAt: at, Identifiers: []streams.Identifier{{Type: "user", Value: "42"}},
	}
	for _, f := range change {
		f(e)
	}
	return e
}

func product1(id string, quantity int, price float64) func(*streams.Event) {
	return func(e *streams.Event) {
		e.Product = streams.Line{ID: id, Quantity: max(quantity, 1), HasQuantity: quantity > 0, Price: price}
	}
}

func lines(list ...streams.Line) func(*streams.Event) {
	return func(e *streams.Event) { e.Products = append([]streams.Line{}, list...) }
}

func line(id string, quantity int, price float64) streams.Line {
	return streams.Line{ID: id, Quantity: quantity, HasQuantity: true, Price: price}
}

func order(id string, total float64) func(*streams.Event) {
	return func(e *streams.Event) { e.OrderID, e.Total, e.HasTotal = id, total, total > 0 }
}

func channel(name string) func(*streams.Event) {
	return func(e *streams.Event) { e.Channel = name }
}

func props(json string) func(*streams.Event) {
	return func(e *streams.Event) { e.Properties = []byte(json) }
}

func identify(at int64, traits string) *streams.Event {
	return event("identify", at, func(e *streams.Event) { e.Kind, e.Traits = streams.Identify, []byte(traits) })
}

func who(ids ...string) func(*streams.Event) {
	return func(e *streams.Event) {
		e.Identifiers = nil
		for _, id := range ids {
			e.Identifiers = append(e.Identifiers, parse(id))
		}
	}
}

func newProfile(id string) *Profile { return &Profile{Id: id, Identifiers: []string{id}} }

// apply folds events at the times that they are logged.
func apply(t testing.TB, p *Profile, events ...*streams.Event) []Outcome {
	t.Helper()
	s := DefaultSettings()
	s.Rates = map[string]float64{"USD": 40}
	s.Counted = map[string]bool{"Product Viewed": true}
	now, outs := int64(0), []Outcome(nil)
	for _, e := range events {
		now = max(now, e.LoggedAt)
		outs = append(outs, s.Apply(p, e, now, nil))
	}
	return outs
}

func cartOf(p *Profile) string {
	if p.Cart == nil {
		return ""
	}
	out := ""
	for _, l := range p.Cart.Lines {
		out += fmt.Sprintf("%s*%d@%d ", l.Id, l.Quantity, (l.AddedAt-t0)/second)
	}
	return out
}

func ids[T any](list []T, id func(T) string) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		out = append(out, id(v))
	}
	return slices.Clip(out)
}
