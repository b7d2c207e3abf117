package recommender

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

// blendShop has items a, b, c ... of which the earlier are the more popular; those
// in capitals are of brand Big; a was viewed with y, then z.
func blendShop(t *testing.T, p Placement) *Recommender {
	t.Helper()
	p.Name = "home"
	if p.Strategies == nil {
		p.Strategies = []string{Trending}
	}
	cfg := small()
	cfg.Placements = []Placement{p}
	te := newTeacher(cfg)
	names := "a b c d e f g h i j K L y z"
	for n, id := range strings.Fields(names) {
		brand := "Small"
		if strings.ToUpper(id) == id {
			brand = "Big"
		}
		te.r.catalogue.Put(int64(n+1), id, &streams.Item{ID: id, Brand: brand, Name: "item " + brand, Category: []string{"all"}})
		for k := range 20 - n {
			te.view(fmt.Sprint(id, k), start, id)
		}
	}
	for _, who := range []string{"p", "q", "r"} {
		te.view(who, start, "a")
		te.view(who, start, "y")
	}
	te.view("s", start, "a")
	te.view("s", start, "z")
	return te.r
}

func big(it *streams.Item) bool { return it.Brand == "Big" }

func listOf(t *testing.T, r *Recommender, req Request) string {
	t.Helper()
	req.Now = start
	return strings.Join(idsOf(ask(t, r, req)), "")
}

func TestPromote(t *testing.T) {
	r := blendShop(t, Placement{Promote: big, PromoteShare: 0.2})
	for _, c := range []struct {
		req  Request
		want string
	}{
		{Request{}, "abKcdefLgh"},
		{Request{Limit: 5}, "abKcd"},
		{Request{Limit: 5, Offset: 5}, "efLgh"},
		{Request{Limit: 2}, "ab"},
		{Request{Exclude: []string{"K"}, Limit: 5}, "abLcd"},
		{Request{Exclude: []string{"K", "L"}, Limit: 5}, "abcde"},
	} {
		if got := listOf(t, r, c.req); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.req, got, c.want)
		}
	}
	a := ask(t, r, Request{Explain: true, Limit: 5})
	if got := a.Items[2].Explain[rulePromote]; got != 2 {
		t.Errorf("explained %v", a.Items[2].Explain)
	}
	all := blendShop(t, Placement{Promote: big, PromoteShare: 1})
	if got := listOf(t, all, Request{Limit: 4}); got != "KLab" {
		t.Errorf("all promoted: got %s", got)
	}
}

func TestPins(t *testing.T) {
	r := blendShop(t, Placement{Pin: []string{"z", "gone", "c"}})
	r.catalogue.Put(100, "gone", &streams.Item{ID: "gone", Available: ptr(false)})
	a := ask(t, r, Request{Limit: 4, Now: start, Explain: true})
	if got := fmt.Sprint(idsOf(a)); got != "[z c a b]" || a.Items[0].Reason != StrategyPinned || a.Items[2].Reason != Trending {
		t.Errorf("got %+v", a)
	}
	if a.Items[0].Explain[rulePin] != 1 {
		t.Errorf("explained %v", a.Items[0].Explain)
	}
	if got := listOf(t, r, Request{Limit: 2, Offset: 1}); got != "ca" {
		t.Errorf("gone on with: %s", got)
	}
	if got := listOf(t, r, Request{Limit: 2, Exclude: []string{"z"}}); got != "ca" {
		t.Errorf("excluded: %s", got)
	}
}

func TestRotation(t *testing.T) {
	r := blendShop(t, Placement{Rotate: 5})
	tired := Customer{Shown: []Shown{{"a", 5}, {"b", 4}, {"c", 9}}}
	if got := listOf(t, r, Request{Limit: 3, Customer: tired}); got != "bde" {
		t.Errorf("got %s", got)
	}
	if got := listOf(t, r, Request{Limit: 100, Customer: tired}); got != "bdefghijyKLzac" {
		t.Errorf("got %s", got)
	}
}

func TestMMR(t *testing.T) {
	if got := listOf(t, blendShop(t, Placement{Strategies: []string{ViewedTogether, Trending}, MMR: 0.9}), Request{Items: []string{"a"}, Limit: 2}); got != "yz" {
		t.Errorf("the candidates of a strategy stay: got %s", got)
	}
	r := blendShop(t, Placement{Strategies: []string{Similar}, MMR: 0.8})
	r.catalogue.Put(50, "twin", &streams.Item{ID: "twin", Brand: "Big", Name: "item big", Category: []string{"all"}})
	plain := blendShop(t, Placement{Strategies: []string{Similar}})
	plain.catalogue.Put(50, "twin", &streams.Item{ID: "twin", Brand: "Big", Name: "item big", Category: []string{"all"}})
	if got := listOf(t, plain, Request{Items: []string{"K"}, Limit: 2}); got != "Ltwin" {
		t.Errorf("without: got %s", got)
	}
	if got := listOf(t, r, Request{Items: []string{"K"}, Limit: 2}); got != "La" {
		t.Errorf("the second should be unlike the first: got %s", got)
	}
}

// Of a mix, an item's score is the sum of its parts, and what is best in both comes
// first.
func TestMix(t *testing.T) {
	p := Placement{Strategies: []string{ViewedTogether, Trending}, Mix: map[string]float64{ViewedTogether: 0.6, Trending: 0.4}}
	r := blendShop(t, p)
	a := ask(t, r, Request{Items: []string{"a"}, Limit: 4, Now: start, Explain: true})
	if got := fmt.Sprint(idsOf(a)); got != "[y z b c]" || a.Items[0].Reason != ViewedTogether || a.Items[2].Reason != Trending {
		t.Errorf("got %+v", a)
	}
	for _, it := range a.Items {
		if it.Explain[Trending] <= 0 || it.Reason == ViewedTogether && it.Explain[ViewedTogether] <= 0 {
			t.Errorf("%s: explained %v", it.ID, it.Explain)
		}
	}
	first := a.Items[0].Score
	p.Mix[Trending] = 4
	a = ask(t, blendShop(t, p), Request{Items: []string{"a"}, Limit: 1, Now: start})
	if a.Items[0].ID == "y" && a.Items[0].Score == first {
		t.Errorf("the weight changed nothing: %+v", a)
	}
}

func rankOf(t *testing.T, r *Recommender, req Request) (string, Answer) {
	t.Helper()
	req.Now = start
	var a Answer
	if err := r.Rank(&req, &a); err != nil {
		t.Fatal(err)
	}
	return strings.Join(idsOf(a), ""), a
}

func TestRank(t *testing.T) {
	r := blendShop(t, Placement{Strategies: []string{Session, ViewedTogether, Similar}})
	seen := Customer{Session: []string{"a"}}
	all := []string{"c", "?", "z", "b", "y", "b"}
	for _, c := range []struct {
		name string
		req  Request
		want string
	}{
		{"a stranger sees what is popular first", Request{Items: all}, "bcyz?"},
		{"who viewed a, y and z", Request{Items: all, Customer: seen}, "yzbc?"},
		{"limit", Request{Items: all, Limit: 2}, "bc"},
		{"offset", Request{Items: all, Offset: 3}, "z?"},
		{"offset beyond", Request{Items: all, Offset: 30}, ""},
		{"excluded last", Request{Items: all, Exclude: []string{"b", "?"}}, "cyz?b"},
		{"filtered last", Request{Items: []string{"a", "K", "b", "?"}, Filter: big}, "Kab?"},
		{"nothing", Request{}, ""},
	} {
		got, _ := rankOf(t, r, c.req)
		if c.name == "excluded last" && got == "cyzb?" {
			got = c.want // both are last
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	_, a := rankOf(t, r, Request{Items: all, Customer: seen, Explain: true})
	if a.Strategy != Session || a.Items[0].Explain[Session] != 1 || a.Items[4].Reason != StrategyNone || a.Items[4].Score != 0 {
		t.Errorf("got %+v", a)
	}
	r.catalogue.Put(99, "b", &streams.Item{ID: "b", Available: ptr(false)})
	if got, _ := rankOf(t, r, Request{Items: all}); got != "cyz?b" {
		t.Errorf("sold out: got %s", got)
	}
	many := make([]string, 1500)
	for k := range many {
		many[k] = fmt.Sprint("n", k)
	}
	_, a = rankOf(t, r, Request{Items: many})
	if got := idsOf(a); !slices.Equal(got, many[:1000]) {
		t.Errorf("%d unknown ids, not in their order", len(got))
	}
	var b Answer
	if err := r.Rank(&Request{Placement: "nowhere"}, &b); err == nil {
		t.Error("an unknown placement has no error")
	}
}

func TestRankPinsAndPromotes(t *testing.T) {
	r := blendShop(t, Placement{Pin: []string{"z", "y"}, Promote: big, PromoteShare: 0.5})
	if got, _ := rankOf(t, r, Request{Items: []string{"a", "b", "L", "y", "K", "z"}}); got != "zyKLab" {
		t.Errorf("got %s", got)
	}
}

func TestOddPlacements(t *testing.T) {
	for _, p := range []Placement{
		{Promote: big, PromoteShare: math.NaN()}, {Promote: big, PromoteShare: 7}, {MMR: math.NaN()}, {MMR: 9}, {Rotate: -1},
		{Mix: map[string]float64{"?": 1, Trending: math.NaN()}}, {Mix: map[string]float64{Trending: -1}}, {Strategies: []string{"?"}}, {Pin: []string{"", "?"}},
		{Diversity: map[string]int{"category": 1}, Promote: big, PromoteShare: 0.5, MMR: 0.5, Rotate: 1, Mix: map[string]float64{Trending: 1}, Pin: []string{"K"}},
	} {
		a := ask(t, blendShop(t, p), Request{Limit: 100, Customer: Customer{Shown: []Shown{{"a", 3}}}, Explain: true})
		if len(a.Items) != 14 {
			t.Errorf("%+v: %d items", p, len(a.Items))
		}
	}
}
