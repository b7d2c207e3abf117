package recommender

import (
	"fmt"
	"math"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

func shoe(id, name, brand string, price float64, path ...string) *streams.Item {
	return &streams.Item{ID: id, Name: name, Brand: brand, Price: price, Category: path}
}

func similarShop() *Recommender {
	cfg := small()
	cfg.Placements = []Placement{{Name: "home", Strategies: []string{Similar}}}
	r := New(cfg, NewCatalogue())
	for n, it := range []*streams.Item{
		shoe("run", "Road running shoe", "Swift", 100, "Shoes", "Running"),
		shoe("trail", "Trail running shoe", "Swift", 110, "Shoes", "Running"),
		shoe("race", "Race flat", "Other", 300, "Shoes", "Running"),
		shoe("hat", "Sun hat", "Swift", 20, "Hats"),
		shoe("tea", "Green tea", "Leaf", 5, "Food"),
	} {
		r.catalogue.Put(int64(n+1), it.ID, it)
	}
	return r
}

func TestSimilarItems(t *testing.T) {
	r := similarShop()
	req := Request{Items: []string{"run"}, Limit: 3}
	a := ask(t, r, req)
	if got := fmt.Sprint(idsOf(a)); got != "[trail race hat]" || a.Strategy != Similar || a.Items[2].Reason != Similar {
		t.Errorf("got %+v", a)
	}
	r.catalogue.Put(10, "new", shoe("new", "Road running shoe", "Swift", 100, "Shoes", "Running"))
	r.catalogue.Put(11, "trail", nil)
	r.catalogue.Put(12, "race", shoe("race", "Green tea", "Leaf", 5, "Food"))
	if got := fmt.Sprint(idsOf(ask(t, r, req))[:2]); got != "[new hat]" {
		t.Errorf("after changes: got %s", got)
	}
	for range 3 { // there and back: listed once
		r.catalogue.Put(int64(20+len(r.catalogue.Versions("hat"))), "hat", shoe("hat", "Hat", "Swift", 20, "Shoes"))
		r.catalogue.Put(int64(40+len(r.catalogue.Versions("hat"))), "hat", shoe("hat", "Hat", "Swift", 20, "Hats"))
	}
	if n := len(r.catalogue.shelves.newest(hashOf("Hats"))); n != 1 {
		t.Errorf("listed %d times", n)
	}
}

func TestLikenessOfOddItems(t *testing.T) {
	odd := []*streams.Item{
		{}, {Price: math.NaN()}, {Price: math.Inf(1)}, {Price: -1}, {Category: []string{""}},
		{Attributes: map[string]any{"a": []any{1}, "b": "x", "c": nil}},
		{Name: "one two three four five six seven eight nine ten eleven twelve thirteen", Price: 1e-300},
	}
	for _, a := range odd {
		for _, b := range odd {
			x := likeness(&current{item: a, words: wordsOf(a.Name)}, &current{item: b, words: wordsOf(b.Name)})
			if !(x >= 0 && x <= 1) {
				t.Errorf("%+v and %+v: %v", a, b, x)
			}
		}
	}
}
