package rules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// manyTriggers are the built-in triggers and others that listen for other events.
func manyTriggers(tb testing.TB, n int) *Set {
	var text strings.Builder
	text.Write(builtinFiles()["builtin/triggers.yaml"])
	for i := 3; i < n; i++ {
		fmt.Fprintf(&text, "  other%d:\n    start: {event: Other %d, if: \"event.properties.x == %d\"}\n    exit: {event: Done %d}\n    steps: [{wait: 1h}, {send: {template: a, channels: [webhook]}}]\n", i, i, i, i)
	}
	s, err := Parse(map[string][]byte{"many.yaml": []byte(text.String())})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// BenchmarkOnEvent evaluates events of a customer with a cart and a run.
func BenchmarkOnEvent(b *testing.B) {
	for _, n := range []int{3, 1000} {
		s := manyTriggers(b, n)
		for _, name := range []string{"Page Seen", "Product Viewed", "Product Added"} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				p := &profiles.Profile{Id: "user:1", Cart: &profiles.Cart{Lines: []*profiles.Line{{Id: "a", Quantity: 1, AddedAt: 1}}}}
				e := &streams.Event{Kind: streams.Track, Name: name, MessageID: "m", At: 1, LoggedAt: 1, Product: streams.Line{ID: "a"}}
				t := &Turn{Env: &Env{}}
				b.ReportAllocs()
				for b.Loop() {
					t.Now, t.Profile, t.Event = 1, p, e
					s.OnEvent(t)
					s.TurnTimers(t, func(Timer) {})
					t.Reset()
				}
			})
		}
	}
}

// BenchmarkTimer fires an abandoned cart with its message.
func BenchmarkTimer(b *testing.B) {
	const noon = 12 * 60 * 60 * 1000 // no quiet hour
	s := BuiltIn()
	p := &profiles.Profile{Id: "user:1", Cart: &profiles.Cart{Lines: []*profiles.Line{{Id: "a", Quantity: 1, AddedAt: 1}}}}
	t := &Turn{Env: &Env{}}
	b.ReportAllocs()
	for b.Loop() {
		p.Runs = append(p.Runs[:0], &profiles.Run{Trigger: "abandoned_cart", StartedBy: "m", DueAt: noon})
		p.Touches = p.Touches[:0] // what caps count
		t.Now, t.Profile = noon, p
		s.OnTimer(t, Timer{Due: noon, Profile: p.Id, Trigger: "abandoned_cart"})
		if len(t.Messages) != 1 {
			b.Fatal("no message")
		}
		t.Reset()
	}
}

// BenchmarkCondition compares a condition through CEL and as a closure.
func BenchmarkCondition(b *testing.B) {
	for _, src := range []string{"item.available", "item.available && item.price < 100", "'Shoes' in item.category && item.price < 100"} {
		filter, err := CompileFilter(src)
		if err != nil {
			b.Fatal(err)
		}
		item := &streams.Item{ID: "a", Price: 10, Category: []string{"Shoes"}}
		match := filter.ForRequest()
		b.Run(src, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !match(item) {
					b.Fatal("no match")
				}
			}
		})
	}
}

// BenchmarkTimers moves a timer, as each event of a waiting customer does.
func BenchmarkTimers(b *testing.B) {
	var t Timers
	ids := make([]string, 10000)
	for i := range ids {
		ids[i] = fmt.Sprintf("anonymous:%d", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t.Push(Timer{Due: int64(i), Profile: ids[i%len(ids)], Trigger: "viewed_item"})
	}
}

// BenchmarkBirthday evaluates a web page view of a customer with a birthday.
func BenchmarkBirthday(b *testing.B) {
	s := BuiltIn()
	p := &profiles.Profile{Id: "user:1", Timezone: "Europe/Kyiv", Traits: []byte(`{"name":"Olena","email":"olena@example.com","birthday":"1990-05-17"}`)}
	e := &streams.Event{Kind: streams.Page, Name: "page", MessageID: "m", At: 1, LoggedAt: 1, Timezone: "Europe/Kyiv"}
	t := &Turn{Env: &Env{}}
	b.ReportAllocs()
	for b.Loop() {
		t.Now, t.Profile, t.Event = 1_780_000_000_000, p, e
		s.OnEvent(t)
		s.TurnTimers(t, func(Timer) {})
		t.Reset()
	}
}
