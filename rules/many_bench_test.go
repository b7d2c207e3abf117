package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// manyRules is a set of triggers and segments of which few concern a view.
func manyRules(t testing.TB, triggers, segments int) *Set {
	var b strings.Builder
	b.WriteString("segments:\n")
	for i := range segments {
		fmt.Fprintf(&b, "  s%d: {if: \"profile.orders.revenue >= %d.0\"}\n", i, 100*i+100)
	}
	b.WriteString("triggers:\n")
	for i := range triggers {
		event := fmt.Sprintf("Event %d", i)
		if i < 5 {
			event = "Product Viewed"
		}
		fmt.Fprintf(&b, "  t%d:\n    start: {event: %s, if: \"item.price > 1000000\"}\n    steps: [{wait: 1h}, {send: {template: t, channels: [webhook]}}]\n", i, event)
	}
	s, err := Parse(map[string][]byte{"many.yaml": []byte(b.String())})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// BenchmarkManyRules is an event that five triggers and no segment listen to.
func BenchmarkManyRules(b *testing.B) {
	for _, n := range []struct{ triggers, segments int }{{10, 5}, {100, 20}, {1000, 200}} {
		b.Run(fmt.Sprintf("triggers=%d,segments=%d", n.triggers, n.segments), func(b *testing.B) {
			s := manyRules(b, n.triggers, n.segments)
			p := &profiles.Profile{Id: "user:1", Events: 5, Orders: &profiles.Orders{Count: 1, Revenue: 50}}
			e := &streams.Event{Kind: streams.Track, Name: "Product Viewed", Channel: "web", MessageID: "m", At: 1e12, LoggedAt: 1e12,
				Product: streams.Line{ID: "a", Price: 5}, Identifiers: []streams.Identifier{{Type: "user", Value: "1"}}}
			t := &Turn{Now: 1e12, Env: &Env{}}
			b.ReportAllocs()
			for b.Loop() {
				t.Reset()
				t.Now, t.Profile, t.Event = 1e12, p, e
				s.Before(t)
				s.OnEvent(t)
				s.TurnTimers(t, func(Timer) {})
			}
		})
	}
}
