package profiles

import (
	"fmt"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

// history is what a usual customer does in 20 events: two sessions, most of
// them views, some in the cart, one order.
func history(n int) []*streams.Event {
	events := make([]*streams.Event, n)
	for i := range events {
		when := t0 + int64(i)*2*minute
		if i >= 12 {
			when += dayLen
		}
		id := fmt.Sprint(119700 + i%9)
		l := streams.Line{ID: id, Quantity: 1, Price: 100 + float64(i%9)*50, Category: []string{"Shoes", []string{"Running", "Trail", "Street"}[i%3]}, Brand: []string{"Acme", "Zeta"}[i%2]}
		e := event("Product Viewed", when, who("user:1000042", "anonymous:6f1c2b9e-0d4f-4a51-9d3c-2f6e7a8b9c0d"))
		e.MessageID = fmt.Sprintf("6f1c2b9e-0d4f-4a51-9d3c-2f6e7a8b%04x", i)
		e.Locale, e.Timezone = "uk-UA", "Europe/Kyiv"
		e.Product = l
		switch i {
		case 3, 8, 14:
			e.Name = "Product Added"
		case 10:
			e.Name, e.Product, e.Products = "Order Completed", streams.Line{}, []streams.Line{l}
			e.OrderID, e.Total, e.HasTotal = "o-77", l.Price, true
		case 1:
			e.Name, e.Kind, e.Product = "identify", streams.Identify, streams.Line{}
			e.Traits = []byte(`{"name":"Olena","birthday":"1990-05-17","consents":{"email":true}}`)
		case 12:
			e.Name, e.Kind, e.Product = "page", streams.Page, streams.Line{}
		}
		events[i] = e
	}
	return events
}

func filled(s *Settings, events []*streams.Event) *Profile {
	p := newProfile("user:1000042")
	for _, e := range events {
		s.Apply(p, e, e.LoggedAt, nil)
	}
	return p
}

func BenchmarkApply(b *testing.B) {
	s := DefaultSettings()
	p := filled(&s, history(20))
	e := history(20)[19]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.At += 1000
		e.LoggedAt = e.At
		e.MessageID = ""
		s.Apply(p, e, e.At, nil)
	}
}

func BenchmarkOpenApplyPublish(b *testing.B) {
	s, st := DefaultSettings(), NewStore()
	data := Encode(filled(&s, history(20)))
	const n = 1000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%d", i)
		if err := st.Restore(keys[i], data); err != nil {
			b.Fatal(err)
		}
	}
	e := history(20)[19]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.At += 1000
		e.LoggedAt = e.At
		e.MessageID = fmt.Sprintf("6f1c2b9e-0d4f-4a51-9d3c-2f6e%08x", i)
		p, _ := st.Open(keys[i%n])
		s.Apply(p, e, e.At, nil)
		st.Changed(p)
		if i%100 == 99 {
			st.Publish()
		}
	}
}

func BenchmarkReadInto(b *testing.B) {
	s, st := DefaultSettings(), NewStore()
	if err := st.Restore("user:1000042", Encode(filled(&s, history(20)))); err != nil {
		b.Fatal(err)
	}
	var p Profile
	b.ReportAllocs()
	for b.Loop() {
		if !st.ReadInto("user:1000042", &p) {
			b.Fatal("not found")
		}
	}
}

func BenchmarkProfileSize(b *testing.B) {
	s := DefaultSettings()
	var data []byte
	for b.Loop() {
		data = Encode(filled(&s, history(20)))
	}
	b.ReportMetric(float64(len(data)), "bytes/profile")
}

func BenchmarkRestore(b *testing.B) {
	s, st := DefaultSettings(), NewStore()
	data := Encode(filled(&s, history(20)))
	b.ReportAllocs()
	for b.Loop() {
		if err := st.Restore("user:1000042", data); err != nil {
			b.Fatal(err)
		}
	}
}
