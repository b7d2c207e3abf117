package recommender

import (
	"fmt"
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

// askAll asks each request in turn and reports quantiles of the time that it took.
func askAll(b *testing.B, r *Recommender, reqs []Request) {
	var a Answer
	took := make([]time.Duration, 0, 1<<20)
	b.ReportAllocs()
	read := 0
	for i := 0; b.Loop(); i++ {
		req := &reqs[i%len(reqs)]
		read += written(req)
		begin := time.Now()
		if err := r.Recommend(req, &a); err != nil {
			b.Fatal(err)
		}
		if len(took) < cap(took) {
			took = append(took, time.Since(begin))
		}
	}
	if read == 0 {
		b.Fatal("nothing was asked with")
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
}

// written reads a request's memory: a server has just written it.
func written(req *Request) (n int) {
	for _, ids := range [][]string{req.Items, req.Customer.Session, req.Customer.Cart} {
		for _, id := range ids {
			n += int(id[len(id)-1])
		}
	}
	for _, seen := range req.Customer.Recent {
		n += int(seen.ID[len(seen.ID)-1])
	}
	return n
}

// strangers ask with sessions of so many items and nothing else.
func strangers(items int) []Request {
	var reqs []Request
	for _, q := range sessionQueries(items) {
		reqs = append(reqs, Request{Limit: 20, Now: start, Items: q})
	}
	return reqs
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
			askAll(b, r, strangers(c.items))
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

// customersShop has learned from customers who came by lists and pages, and viewed items
// in categories; customers are who asks now, as a server asks for them: with a key, a
// session in progress, the 20 items viewed last and a cart.
type customersShop struct {
	*Recommender
	customers [][]Request // by the items of their sessions
}

// customerSessions are how many items the sessions of customersShop have.
var customerSessions = []int{1, 2, 5, 10}

var servedShop = sync.OnceValue(func() *customersShop {
	r := sessionShop()
	s := &customersShop{Recommender: r}
	at, offset := r.models.Load().newest.Load(), r.Position(0)
	var ls Lessons
	learn := func(e streams.Event) {
		e.At = at
		ls.Add(offset, &e)
		r.Observe(0, &ls)
		offset++
	}
	for _, n := range customerSessions {
		var reqs []Request
		for k, items := range sessionQueries(n) {
			who := fmt.Sprint("served", n, "-", k)
			by := []streams.Identifier{{Type: "anonymous", Value: who}}
			for _, id := range items {
				page := "/list/" + id[:len(id)-2] // a hundred items
				learn(streams.Event{Kind: streams.Page, Name: "page", Place: page, Identifiers: by})
				learn(streams.Event{Kind: streams.Track, Name: "Product Viewed", Identifiers: by, Product: streams.Line{ID: id, Category: []string{"all", page}}})
			}
			c := Customer{Key: "anonymous:" + who, Session: items}
			for _, id := range slices.Backward(items) {
				c.Recent = append(c.Recent, Seen{ID: id, At: at})
			}
			for j := range 20 - len(items) {
				c.Recent = append(c.Recent, Seen{ID: benchID((k*31 + j*977) % benchItems), At: at})
			}
			c.Cart = []string{c.Recent[3].ID, c.Recent[17].ID}
			reqs = append(reqs, Request{Limit: 20, Now: at, Customer: c})
		}
		s.customers = append(s.customers, reqs)
	}
	return s
})

// BenchmarkSessionOfCustomer asks as a server does for a customer that it knows.
func BenchmarkSessionOfCustomer(b *testing.B) {
	for k, n := range customerSessions {
		b.Run(fmt.Sprint(n, " items"), func(b *testing.B) {
			s := servedShop()
			askAll(b, s.Recommender, s.customers[k])
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
	for _, who := range []string{"stranger", "customer"} {
		for _, rate := range []int{0, 200_000} {
			b.Run(who+map[bool]string{true: " alone", false: " learning"}[rate == 0], func(b *testing.B) {
				r, reqs := sessionShop(), strangers(5)
				if who == "customer" {
					reqs = servedShop().customers[slices.Index(customerSessions, 5)]
				}
				stop := make(chan struct{})
				var learner sync.WaitGroup
				if rate > 0 {
					learner.Go(func() { learnAt(r, rate, stop) })
				}
				askAll(b, r, reqs)
				close(stop)
				learner.Wait()
			})
		}
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
