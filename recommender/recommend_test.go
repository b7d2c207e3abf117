package recommender

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/streams"
)

func TestNewShoppersChangeTheNextAnswer(t *testing.T) {
	te := newTeacher(small())
	for i := range 50 { // others view other things
		te.view(fmt.Sprint("old", i), start, fmt.Sprint("x", i%10))
	}
	for i := range 3 {
		who := fmt.Sprint("new", i)
		te.view(who, start+minute, "tea")
		te.view(who, start+2*minute, "cup")
	}
	for _, c := range [][2]string{{"tea", "cup"}, {"cup", "tea"}} {
		a := ask(t, te.r, Request{Placement: "product", Items: []string{c[0]}, Limit: 3, Now: start + 2*minute})
		if a.Items[0].ID != c[1] || a.Items[0].Reason != Session || a.Strategy != Session {
			t.Errorf("with %s: %+v", c[0], a)
		}
		if len(a.Items) != 3 || a.Items[1].Reason != Trending {
			t.Errorf("with %s: list not filled up with what is trending: %+v", c[0], a)
		}
	}
}

func TestSessionInProgressIsContext(t *testing.T) {
	te := newTeacher(small())
	te.view("a", start, "tea")
	te.view("a", start+1, "cup")
	te.view("b", start+2, "tea")
	a := ask(t, te.r, Request{Placement: "home", Customer: Customer{Key: "user:b"}, Limit: 1})
	if got := idsOf(a); !slices.Equal(got, []string{"cup"}) {
		t.Errorf("got %v", got)
	}
}

func TestOrdersAndCarts(t *testing.T) {
	te := newTeacher(small())
	te.order("a", start, "o1", "tea", "cup")
	te.order("b", start, "o2", "tea", "spoon")
	te.order("b", start+day, "o3", "sugar")
	te.add("c", start, "tea")
	te.add("c", start, "jam")
	a := ask(t, te.r, Request{Placement: "cart", Customer: Customer{Cart: []string{"tea"}}, Limit: 9})
	for _, id := range []string{"cup", "spoon", "sugar", "jam"} {
		if k := slices.Index(idsOf(a), id); k < 0 || a.Items[k].Reason != BoughtTogether {
			t.Errorf("%s is not bought together with tea: %+v", id, a.Items)
		}
	}
	if slices.Contains(idsOf(a), "tea") {
		t.Error("the cart's own item is recommended")
	}
}

func TestSoldOutDisappearsAtOnce(t *testing.T) {
	te := newTeacher(small())
	cat := te.r.catalogue
	te.view("a", start, "tea")
	te.view("a", start, "cup")
	req := Request{Placement: "product", Items: []string{"tea"}}
	if got := idsOf(ask(t, te.r, req)); !slices.Equal(got, []string{"cup"}) {
		t.Fatalf("before: %v", got)
	}
	gone := []*streams.Item{
		{ID: "cup", Stock: ptr[int64](0)},
		{ID: "cup", Available: ptr(false), Stock: ptr[int64](3)},
		nil,
	}
	for i, it := range gone {
		cat.Put(int64(2*i+1), "cup", it)
		if a := ask(t, te.r, req); len(a.Items) != 0 || a.Strategy != StrategyNone {
			t.Errorf("%d: %+v", i, a)
		}
		cat.Put(int64(2*i+2), "cup", item("cup"))
		if got := idsOf(ask(t, te.r, req)); !slices.Equal(got, []string{"cup"}) {
			t.Errorf("%d: not back: %v", i, got)
		}
	}
}

func TestChannelAndStore(t *testing.T) {
	r := New(small(), NewCatalogue())
	r.catalogue.Put(1, "web", &streams.Item{ID: "web", Channels: []string{"web"}})
	r.catalogue.Put(2, "any", &streams.Item{ID: "any"})
	r.catalogue.Put(3, "out", &streams.Item{ID: "out", Stores: map[string]streams.StoreItem{"12": {Stock: ptr[int64](0)}, "13": {}}})
	for _, c := range []struct {
		channel, store string
		want           []string
	}{
		{"", "", []string{"out", "any", "web"}},
		{"web", "", []string{"out", "any", "web"}},
		{"pos", "", []string{"out", "any"}},
		{"pos", "12", []string{"any"}},
		{"pos", "13", []string{"out", "any"}},
		{"", "99", []string{"out", "any", "web"}},
	} {
		a := ask(t, r, Request{Channel: c.channel, Store: c.store})
		if diff := cmp.Diff(c.want, idsOf(a)); diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
	}
}

func TestExclusionsFilterAndGroups(t *testing.T) {
	cfg := small()
	cheap := func(it *streams.Item) bool { return it.Price < 10 }
	cfg.Placements = []Placement{
		{Name: "all", Strategies: []string{Trending}},
		{Name: "strict", Strategies: []string{Trending}, Exclude: []string{"cart", "purchased", "viewed"}},
		{Name: "cheap", Strategies: []string{Trending}, Filter: cheap},
	}
	te := newTeacher(cfg)
	for i, id := range []string{"a", "b", "c", "d", "e", "u"} {
		for range 6 - i {
			te.view("x", start, id)
		}
		if id != "u" {
			te.r.catalogue.Put(int64(i+1), id, &streams.Item{ID: id, Price: float64(4 * i), GroupID: map[string]string{"b": "g", "c": "g"}[id]})
		}
	}
	te.r.catalogue.Put(20, "nan", &streams.Item{ID: "nan", Price: math.NaN()})
	c := Customer{Cart: []string{"a"}, Purchased: []string{"b"}, Recent: []Seen{{"d", start}}, Session: []string{"u"}}
	for _, tc := range []struct {
		name string
		req  Request
		want string
	}{
		{"one of a group", Request{Placement: "all"}, "a b d e u nan"},
		{"exclusions", Request{Placement: "strict", Customer: c}, "c e nan"},
		{"filter, unknown item free", Request{Placement: "cheap"}, "a b u"},
		{"two filters", Request{Placement: "cheap", Filter: func(it *streams.Item) bool { return it.ID > "a" }}, "b u"},
		{"filter matches nothing", Request{Placement: "all", Filter: func(*streams.Item) bool { return false }}, ""},
		{"context and exclude", Request{Placement: "all", Items: []string{"a"}, Exclude: []string{"b", "nowhere"}}, "c d e u nan"},
		{"limit", Request{Placement: "all", Limit: 2}, "a b"},
		{"negative limit is the default", Request{Placement: "all", Limit: -1}, "a b d e u nan"},
		{"offset", Request{Placement: "all", Limit: 2, Offset: 2}, "d e"},
		{"offset past the end", Request{Placement: "all", Offset: math.MaxInt}, ""},
	} {
		if got := strings.Join(idsOf(ask(t, te.r, tc.req)), " "); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestDiversity(t *testing.T) {
	cfg := small()
	cfg.Placements = []Placement{{Name: "home", Strategies: []string{Trending}, Diversity: map[string]int{"category": 1, "brand": 2}}}
	te := newTeacher(cfg)
	put := func(n int64, id, category, brand string) {
		te.r.catalogue.Put(n, id, &streams.Item{ID: id, Category: []string{"all", category}, Brand: brand})
		for range 10 - n {
			te.view("x", start, id)
		}
	}
	put(1, "a", "shoes", "p")
	put(2, "b", "shoes", "p")
	put(3, "c", "hats", "p")
	put(4, "d", "bags", "p")
	put(5, "e", "bags", "q")
	// b: a second pair of shoes, d: a third item of p; both only fill up.
	for n, want := range map[int]string{3: "a c e", 5: "a c e b d"} {
		if got := strings.Join(idsOf(ask(t, te.r, Request{Limit: n})), " "); got != want {
			t.Errorf("limit %d: got %q, want %q", n, got, want)
		}
	}
}

func TestUnknownPlacement(t *testing.T) {
	r := New(small(), NewCatalogue())
	var a Answer
	err := r.Recommend(&Request{Placement: "hom"}, &a)
	if !errors.Is(err, ErrUnknownPlacement) || !strings.Contains(err.Error(), "cart, home, product, session") {
		t.Errorf("got %v", err)
	}
	r.SetPlacements([]Placement{{Name: "hom", Strategies: []string{"session", "no such"}}})
	if err := r.Recommend(&Request{Placement: "hom", ID: "rec_1"}, &a); err != nil {
		t.Error(err)
	}
	if want := (Answer{ID: "rec_1", Placement: "hom", Strategy: StrategyNone}); a.Items != nil || a.ID != want.ID || a.Strategy != want.Strategy {
		t.Errorf("got %+v", a)
	}
	if err := r.RecommendMany([]*Request{{Placement: "hom"}, {}}, true, make([]Answer, 2)); !errors.Is(err, ErrUnknownPlacement) {
		t.Errorf("got %v", err)
	}
}

func TestManyDoNotRepeat(t *testing.T) {
	r := New(small(), NewCatalogue())
	for i, group := range []string{"g", "", "", "g", ""} {
		id := fmt.Sprint(i)
		r.catalogue.Put(int64(i), id, &streams.Item{ID: id, GroupID: group})
	}
	reqs := []*Request{{Limit: 2}, {Limit: 9, Placement: "trending"}}
	for _, c := range []struct {
		dedupe bool
		want   string
	}{{true, "[4 3] [2 1]"}, {false, "[4 3] [4 3 2 1]"}} {
		answers := make([]Answer, 2)
		if err := r.RecommendMany(reqs, c.dedupe, answers); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(idsOf(answers[0]), idsOf(answers[1])); got != c.want {
			t.Errorf("dedupe %v: got %s, want %s", c.dedupe, got, c.want)
		}
	}
}

func TestOddRequests(t *testing.T) {
	te := newTeacher(small())
	te.view("a", start, "tea")
	te.view("a", start, "cup")
	thousand := make([]string, 1000)
	for i := range thousand {
		thousand[i] = fmt.Sprint("ghost", i)
	}
	thousand[990] = "tea"
	for name, req := range map[string]Request{
		"1,000 items":    {Placement: "product", Items: thousand},
		"repeated items": {Placement: "product", Items: []string{"tea", "tea", ""}},
		"year 9999":      {Placement: "product", Items: []string{"tea"}, Now: math.MaxInt64},
		"before time":    {Placement: "product", Items: []string{"tea"}, Now: math.MinInt64},
	} {
		a := ask(t, te.r, req)
		if got := idsOf(a); !slices.Equal(got, []string{"cup"}) {
			t.Errorf("%s: got %v", name, got)
		}
		if s := a.Items[0].Score; math.IsNaN(s) || math.IsInf(s, 0) {
			t.Errorf("%s: score %v", name, s)
		}
	}
	if n := te.r.catalogue.items.len(); n != 2 {
		t.Errorf("asking made %d ids known", n)
	}
	a := ask(t, te.r, Request{Placement: "home", Customer: Customer{Key: "nonsense"}})
	if a.Strategy != Trending {
		t.Errorf("a stranger got %+v", a)
	}
}

func TestRecentlyViewed(t *testing.T) {
	te := newTeacher(small())
	te.view("a", start, "tea")
	te.view("b", start, "cup")
	c := Customer{Recent: []Seen{{"cup", start}, {"tea", start - day}, {"unheard of", start}}}
	a := ask(t, te.r, Request{Placement: "viewed", Customer: c, Now: start + 30*day})
	if len(a.Items) != 2 || a.Items[0].ID != "cup" || a.Items[0].Reason != RecentlyViewed || a.Items[1].Reason != Trending {
		t.Errorf("got %+v", a.Items)
	}
}

func TestExplain(t *testing.T) {
	te := newTeacher(small())
	te.view("a", start, "tea")
	te.view("a", start, "cup")
	te.view("a", start, "jam")
	a := ask(t, te.r, Request{Placement: "together", Items: []string{"tea", "cup"}, Limit: 1, Explain: true})
	ex := a.Items[0].Explain
	if sum := ex["viewed_together:tea"] + ex["viewed_together:cup"]; math.Abs(sum-a.Items[0].Score) > 1e-9 || len(ex) != 3 {
		t.Errorf("got %v for %v", ex, a.Items[0].Score)
	}
}

func TestNothingAllocated(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties pools")
	}
	te := newTeacher(small())
	for i := range 200 {
		te.view(fmt.Sprint(i%20), start+int64(i), fmt.Sprint("i", i%50))
	}
	req := Request{Placement: "product", Items: []string{"i1", "i2"}, Limit: 20, Filter: func(*streams.Item) bool { return true }}
	var a Answer
	run := func() {
		if err := te.r.Recommend(&req, &a); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}
