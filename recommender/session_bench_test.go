package recommender

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// sessionShop has learned a million sessions of two items or more.
var sessionShop = sync.OnceValue(func() *Recommender {
	r := New(Config{Placements: []Placement{{Name: "home", Strategies: []string{Session}}}}, NewCatalogue())
	g := newGenerator()
	var ls Lessons
	for offset := int64(0); r.models.Load().index.used < benchSessions; offset++ {
		ls.Add(offset, g.next())
		r.Observe(0, &ls)
	}
	return r
})

// sessionQueries are the generator's sessions in progress, of up to n items.
func sessionQueries(n int) [][]string {
	g := newGenerator()
	byWho := map[string][]string{}
	var queries [][]string
	for range 60_000 {
		e := g.next()
		who := e.Identifiers[0].Value
		byWho[who] = append(byWho[who], e.Product.ID)
		if len(byWho[who]) == n {
			queries = append(queries, slices.Clone(byWho[who]))
		}
	}
	return queries
}

// BenchmarkSession asks with sessions of several lengths. It reports quantiles of
// the time of a query and the memory of the index a click.
func BenchmarkSession(b *testing.B) {
	for _, c := range []struct {
		name  string
		items int
	}{{"1 item", 1}, {"2 items", 2}, {"5 items", 5}, {"10 items", 10}} {
		b.Run(c.name, func(b *testing.B) {
			r := sessionShop()
			queries := sessionQueries(c.items)
			var a Answer
			took := make([]time.Duration, 0, 1<<20)
			req := Request{Limit: 20, Now: start}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				req.Items = queries[i%len(queries)]
				begin := time.Now()
				if err := r.Recommend(&req, &a); err != nil {
					b.Fatal(err)
				}
				if len(took) < cap(took) {
					took = append(took, time.Since(begin))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
			x := r.models.Load().index
			clicks := 0
			var items [slotItems]uint32
			for k := range x.used {
				n, _ := x.read(x.numbered(k), &items)
				clicks += n
			}
			b.ReportMetric(float64(x.bytes())/float64(clicks), "B/click")
		})
	}
}

// BenchmarkSessionLearn learns clicks into a full index.
func BenchmarkSessionLearn(b *testing.B) {
	m := sessionShop().models.Load()
	g := newGenerator()
	type one struct{ who, item uint32 }
	clicks := make([]one, 1<<18)
	numbers := map[string]uint32{}
	for i := range clicks {
		e := g.next()
		who, ok := numbers[e.Identifiers[0].Value]
		if !ok {
			who = uint32(len(numbers))
			numbers[e.Identifiers[0].Value] = who
		}
		clicks[i] = one{who, m.ids.find(e.Product.ID)}
	}
	last := make([]uint32, len(numbers))
	sessions := make([]uint32, len(numbers))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := i % len(clicks)
		if k == 0 {
			clear(last)
			clear(sessions)
		}
		c := clicks[k]
		if c.item == none {
			continue
		}
		var others [1]uint32
		n := 0
		if last[c.who] > 0 && last[c.who]-1 != c.item {
			others[0], n = last[c.who]-1, 1
		}
		sessions[c.who] = m.index.learn(sessions[c.who], others[:n], c.item, start)
		last[c.who] = c.item + 1
	}
}

// BenchmarkSessionWhileLearning asks while 200,000 events a second are learned.
func BenchmarkSessionWhileLearning(b *testing.B) {
	for _, rate := range []int{0, 200_000} {
		b.Run(map[bool]string{true: "alone", false: "learning"}[rate == 0], func(b *testing.B) {
			r := sessionShop()
			stop := make(chan struct{})
			var learner sync.WaitGroup
			if rate > 0 {
				learner.Go(func() { learnAt(r, rate, stop) })
			}
			queries := sessionQueries(5)
			var a Answer
			took := make([]time.Duration, 0, 1<<20)
			req := Request{Limit: 20, Now: start}
			for i := 0; b.Loop(); i++ {
				req.Items = queries[i%len(queries)]
				begin := time.Now()
				if err := r.Recommend(&req, &a); err != nil {
					b.Fatal(err)
				}
				if len(took) < cap(took) {
					took = append(took, time.Since(begin))
				}
			}
			close(stop)
			learner.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
		})
	}
}

func learnAt(r *Recommender, rate int, stop <-chan struct{}) {
	g := newGenerator()
	events := make([]streams.Event, 1<<15)
	for i := range events {
		events[i] = *g.next()
		events[i].Identifiers = slices.Clone(events[i].Identifiers)
		events[i].Products = slices.Clone(events[i].Products)
	}
	offset := r.Position(1)
	var ls Lessons
	begin := time.Now()
	pace := time.NewTicker(100 * time.Microsecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		for due := int(time.Since(begin).Seconds() * float64(rate)); n < due; n++ {
			e := &events[int(offset)%len(events)]
			ls.Add(offset, e)
			offset++
		}
		r.Observe(1, &ls)
	}
}
