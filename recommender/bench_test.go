package recommender

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

const (
	benchItems    = 100_000
	benchSessions = 1_000_000
)

// shop is a recommender that has learned from a million sessions over a hundred
// thousand items of Zipf popularity, of which a third are near each other.
var shop = sync.OnceValue(func() *Recommender {
	cat := NewCatalogue()
	for i := range benchItems {
		cat.Put(int64(i), benchID(i), &streams.Item{
			ID: benchID(i), GroupID: fmt.Sprint("g", i/3), Brand: fmt.Sprint("b", i%200),
			Category: []string{"all", fmt.Sprint("c", i%50)}, Price: float64(i % 1000),
		})
	}
	r := New(Config{}, cat)
	g := newGenerator()
	var ls Lessons
	for offset := range int64(3 * benchSessions) {
		ls.Add(offset, g.next())
		r.Observe(0, &ls)
	}
	return r
})

func benchID(i int) string { return fmt.Sprintf("sku-%06d", i) }

// generator makes an endless stream of events: a thousand sessions in progress,
// of three events on average.
type generator struct {
	rnd   *rand.Rand
	zipf  *rand.Zipf
	ids   []string
	who   []string
	at    int64
	names int
	last  []int
	event streams.Event
}

func newGenerator() *generator {
	rnd := rand.New(rand.NewPCG(1, 2))
	g := &generator{rnd: rnd, zipf: rand.NewZipf(rnd, 1.1, 20, benchItems-1), at: start}
	for i := range benchItems {
		g.ids = append(g.ids, benchID(i))
	}
	for i := range 1000 {
		g.who = append(g.who, fmt.Sprint("v", i))
		g.last = append(g.last, -1)
	}
	g.names = 1000
	g.event.Identifiers = make([]streams.Identifier, 1)
	g.event.Products = make([]streams.Line, 3)
	return g
}

func (g *generator) next() *streams.Event {
	g.at += 250
	k := g.rnd.IntN(len(g.who))
	if g.rnd.IntN(3) == 0 {
		g.who[k], g.last[k] = fmt.Sprint("v", g.names), -1
		g.names++
	}
	i := int(g.zipf.Uint64()) * 7919 % benchItems
	if g.last[k] >= 0 && g.rnd.IntN(3) > 0 {
		i = (g.last[k] + g.rnd.IntN(40)) % benchItems
	}
	g.last[k] = i
	e := &g.event
	e.At = g.at
	e.Identifiers[0] = streams.Identifier{Type: "anonymous", Value: g.who[k]}
	e.Name, e.Product.ID = "Product Viewed", g.ids[i]
	switch g.rnd.IntN(50) {
	case 0, 1, 2:
		e.Name = "Product Added"
	case 3:
		e.Name, e.OrderID = "Order Completed", g.who[k]
		for l := range e.Products {
			e.Products[l].ID = g.ids[(i+l*g.rnd.IntN(9))%benchItems]
		}
	}
	return e
}

func BenchmarkObserve(b *testing.B) {
	r := shop()
	g := newGenerator()
	events := make([]streams.Event, 1<<16)
	for i := range events {
		events[i] = *g.next()
		events[i].Identifiers = append([]streams.Identifier{}, events[i].Identifiers...)
		events[i].Products = append([]streams.Line{}, events[i].Products...)
	}
	offset := r.Position(1)
	var ls Lessons
	b.ReportAllocs()
	for b.Loop() {
		e := &events[offset%int64(len(events))]
		e.At = start + 3*benchSessions*250 + offset*250
		ls.Add(offset, e)
		r.Observe(1, &ls)
		offset++
	}
}

func BenchmarkRecommend(b *testing.B) {
	r := shop()
	g := newGenerator()
	available := func(it *streams.Item) bool { return it.IsAvailable() }
	for _, c := range []struct {
		name, placement string
		context         int
		filter          func(*streams.Item) bool
	}{
		{"product", "product", 1, nil},
		{"product filtered", "product", 1, available},
		{"session of 5", "home", 5, available},
		{"cart", "cart", 3, available},
		{"stranger", "home", 0, available},
	} {
		b.Run(c.name, func(b *testing.B) {
			reqs := make([]Request, 4096)
			for i := range reqs {
				reqs[i] = Request{Placement: c.placement, Limit: 10, Now: g.at, Filter: c.filter}
				for range c.context {
					reqs[i].Items = append(reqs[i].Items, g.ids[int(g.zipf.Uint64())*7919%benchItems])
				}
				reqs[i].Customer.Purchased = g.ids[i : i+10]
			}
			var a Answer
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := r.Recommend(&reqs[i%len(reqs)], &a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSave(b *testing.B) {
	r := shop()
	for b.Loop() {
		if err := r.Save(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(r.saved.Load())/1e6, "MB")
}
