package recommender

import (
	"fmt"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

const (
	start  = int64(1_700_000_000_000)
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// small is a configuration whose tables cost nothing.
func small() Config {
	placements := append(DefaultPlacements(),
		Placement{Name: "session", Strategies: []string{Session}},
		Placement{Name: "together", Strategies: []string{ViewedTogether}})
	return Config{Sessions: 1024, Customers: 256, Places: 256, Touched: 256, Placements: placements}
}

// teacher feeds events to a recommender in order.
type teacher struct {
	r      *Recommender
	offset int64
}

func newTeacher(cfg Config) *teacher { return &teacher{r: New(cfg, NewCatalogue())} }

func (t *teacher) feed(name, who string, at int64, order string, items ...string) {
	e := streams.Event{
		Kind: streams.Track, Name: name, At: at, LoggedAt: at, OrderID: order,
		MessageID:   fmt.Sprint("m", t.offset),
		Identifiers: []streams.Identifier{{Type: "user", Value: who}},
	}
	for _, id := range items {
		e.Products = append(e.Products, streams.Line{ID: id, Quantity: 1})
	}
	if order == "" && len(items) > 0 {
		e.Product = e.Products[0]
	}
	t.learn(&e)
}

func (t *teacher) learn(e *streams.Event) {
	var ls Lessons
	ls.Add(t.offset, e)
	t.r.Observe(0, &ls)
	t.offset++
}

func (t *teacher) view(who string, at int64, item string) {
	t.feed("Product Viewed", who, at, "", item)
}
func (t *teacher) add(who string, at int64, item string) { t.feed("Product Added", who, at, "", item) }
func (t *teacher) order(who string, at int64, id string, items ...string) {
	t.feed("Order Completed", who, at, id, items...)
}

// visit is a page.
func (t *teacher) visit(who string, at int64, path string) {
	t.learn(&streams.Event{
		Kind: streams.Page, Name: "page", Place: path, At: at, LoggedAt: at,
		Identifiers: []streams.Identifier{{Type: "user", Value: who}},
	})
}

func ask(t *testing.T, r *Recommender, req Request) Answer {
	t.Helper()
	var a Answer
	if err := r.Recommend(&req, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func idsOf(a Answer) []string {
	ids := make([]string, 0, len(a.Items))
	for _, it := range a.Items {
		ids = append(ids, it.ID)
	}
	return ids
}

func item(id string) *streams.Item { return &streams.Item{ID: id, Name: "item " + id} }

func ptr[T any](v T) *T { return &v }
