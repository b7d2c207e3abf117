package recommender

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

// Two pages lead to different items; who looks at one of the pages is answered what is
// viewed from there.
func TestWhereTheCustomerIs(t *testing.T) {
	te := newTeacher(small())
	for n := range int64(8) {
		at, who := start+n*day, fmt.Sprint("w", n)
		te.view(who, at, "map")
		te.visit(who, at, "/tents")
		te.view(who, at, "tent")
		te.view(who+"b", at, "map")
		te.visit(who+"b", at, "/boots")
		te.visit(who+"b", at, "/boots/shoe") // the page of the item itself comes between
		te.view(who+"b", at, "shoe")
	}
	now := start + 8*day
	for path, want := range map[string]string{"/tents": "tent", "/boots": "shoe", "/never": "shoe"} {
		te.view("c", now, "map")
		te.visit("c", now, path)
		a := ask(t, te.r, Request{Placement: "session", Customer: Customer{Key: "user:c"}, Now: now, Limit: 3})
		if got := idsOf(a); got[0] != want && path != "/never" || len(got) < 2 || a.Items[0].Reason != Session {
			t.Errorf("%s: got %v, want %s first", path, got, want)
		}
		now += 2 * hour // another session
	}
	te.visit("new", now, "/tents") // and has viewed nothing
	a := ask(t, te.r, Request{Placement: "session", Customer: Customer{Key: "user:new"}, Now: now, Limit: 2})
	if a.Items[0].ID != "tent" || a.Strategy != Session {
		t.Errorf("got %+v", a)
	}
}

func TestCategoryOfTheNewestView(t *testing.T) {
	te := newTeacher(small())
	view := func(who string, at int64, item string, category ...string) {
		te.learn(&streams.Event{
			Kind: streams.Track, Name: "Product Viewed", At: at, LoggedAt: at,
			Identifiers: []streams.Identifier{{Type: "user", Value: who}},
			Product:     streams.Line{ID: item, Category: category},
		})
	}
	for n := range int64(6) {
		who := fmt.Sprint("w", n)
		view(who, start+n*day, "pen", "Office")
		view(who, start+n*day, fmt.Sprint("ink", n%2), "Office")
	}
	now := start + 7*day
	view("x", now, "pad", "Office") // nobody viewed it before
	a := ask(t, te.r, Request{Placement: "session", Customer: Customer{Key: "user:x"}, Now: now, Limit: 2})
	if got := idsOf(a); !slices.Contains(got, "ink0") || !slices.Contains(got, "ink1") || a.Strategy != Session {
		t.Errorf("got %v by %s", got, a.Strategy)
	}
}

func TestItemsOfEarlierSessions(t *testing.T) {
	te := newTeacher(small())
	for n := range int64(20) {
		who := fmt.Sprint("w", n)
		te.view(who, start+n*day, "cup")
		te.view(who, start+n*day, []string{"tea", "jam"}[n%2])
	}
	req := Request{Placement: "session", Limit: 3, Now: start + 20*day, Customer: Customer{
		Session: []string{"cup"},
		Recent:  []Seen{{"cup", start + 20*day}, {"jam", start}, {"nobody knows", start}, {"hat", start}},
	}}
	if got := idsOf(ask(t, te.r, req)); got[0] != "jam" || got[1] != "tea" {
		t.Errorf("got %v: jam was viewed before", got)
	}
}

// A place that is not used any more gives its row to another one.
func TestPlacesAreBounded(t *testing.T) {
	p := newPlaces(4, day, 8)
	for n := range uint64(100) {
		p.learn(1+4*n, uint32(n), start+int64(n)) //nolint:gosec // small
	}
	kept := 0
	for n := range uint64(100) {
		if i, ok := p.find(1 + 4*n); ok {
			kept++
			seen := 0
			p.rows.state.Load().items.get(i).row.Load().each(func(j uint32, _, _ float32) {
				seen++
				if uint64(j) != n {
					t.Errorf("place %d: item %d of another one", n, j)
				}
			})
			if n < 96 || seen != 1 {
				t.Errorf("place %d is kept, with %d items", n, seen)
			}
		}
	}
	if kept != ways {
		t.Errorf("%d places are kept", kept)
	}
}
