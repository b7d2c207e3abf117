package recommender

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
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
	if listed, _ := r.catalogue.shelves.of(hashOf("Hats")).newest(); len(listed) != 1 {
		t.Errorf("listed %d times", len(listed))
	}
}

func TestLikenessOfOddItems(t *testing.T) {
	odd := []*streams.Item{
		{}, {Price: math.NaN()}, {Price: math.Inf(1)}, {Price: -1}, {Category: []string{""}},
		{Attributes: map[string]any{"a": []any{1}, "b": "x", "c": nil, "d": math.NaN()}},
		{Name: "one two three four five six seven eight nine ten eleven twelve thirteen", Price: 1e-300},
	}
	for _, a := range odd {
		for _, b := range odd {
			x := likeness(featuresOf(&current{item: a}), featuresOf(&current{item: b}))
			if !(x >= 0 && x <= 1) {
				t.Errorf("%+v and %+v: %v", a, b, x)
			}
		}
	}
}

// plainLikeness is likeness as one would write it first.
func plainLikeness(a, b *streams.Item) float64 {
	same := 0
	for same < min(len(a.Category), len(b.Category)) && a.Category[same] == b.Category[same] {
		same++
	}
	like := likeCategory * float64(same) / float64(max(1, len(a.Category), len(b.Category)))
	if a.Brand != "" && a.Brand == b.Brand {
		like += likeBrand
	}
	both, all := 0, map[string]bool{}
	for _, w := range strings.Fields(strings.ToLower(a.Name + " " + b.Name)) {
		both += map[bool]int{true: 1}[all[w]]
		all[w] = true
	}
	like += likeWords * float64(both) / float64(max(1, len(all)))
	if a.Price > 0 && b.Price > 0 {
		like += likePrice / (1 + math.Abs(math.Log(a.Price)-math.Log(b.Price)))
	}
	equal := 0
	for name, v := range a.Attributes {
		if w, ok := b.Attributes[name]; ok && v == w {
			equal++
		}
	}
	return like + likeAttributes*float64(equal)/float64(max(1, len(a.Attributes), len(b.Attributes)))
}

// plainShop is the catalogue of TestSimilarIsTheFullComparison again, and its
// shelves in the order in which items came.
type plainShop struct {
	items   map[string]*streams.Item
	shelves map[string][]string
}

func (p *plainShop) put(id string, it *streams.Item) {
	p.items[id] = it
	if it == nil {
		return
	}
	for _, key := range []string{"category " + strings.Join(it.Category, "/"), "brand " + it.Brand} {
		if !slices.Contains(p.shelves[key], id) {
			p.shelves[key] = append(p.shelves[key], id)
		}
	}
}

// similar returns all that an item is compared with, best first.
func (p *plainShop) similar(id string) []string {
	it := p.items[id]
	scores := map[string]float32{}
	for _, key := range []string{"category " + strings.Join(it.Category, "/"), "brand " + it.Brand} {
		list := p.shelves[key]
		for _, other := range list[max(0, len(list)-shelfItems):] {
			o := p.items[other]
			if o != nil && other != id && (strings.HasPrefix(key, "b") && o.Brand == it.Brand ||
				strings.HasPrefix(key, "c") && slices.Equal(o.Category, it.Category)) {
				scores[other] = float32(plainLikeness(it, o))
			}
		}
	}
	return slices.SortedFunc(maps.Keys(scores), func(a, b string) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
}

// What is kept between requests is always what a full comparison would give,
// whatever changes in the catalogue.
func TestSimilarIsTheFullComparison(t *testing.T) {
	cfg := small()
	cfg.Alike = 64 // fewer places than items
	cfg.Placements = []Placement{{Name: "home", Strategies: []string{Similar}}}
	r := New(cfg, NewCatalogue())
	plain := &plainShop{map[string]*streams.Item{}, map[string][]string{}}
	rnd := rand.New(rand.NewPCG(3, 4))
	words := []string{"red", "blue", "green", "shoe", "hat", "bag"}
	random := func(id string) *streams.Item {
		it := &streams.Item{ID: id, Name: words[rnd.IntN(3)] + " " + words[3+rnd.IntN(3)], Price: float64(rnd.IntN(9)),
			Category: []string{"all", fmt.Sprint("c", rnd.IntN(40)/39)}, Brand: fmt.Sprint("b", rnd.IntN(12))}
		if rnd.IntN(2) == 0 {
			it.Attributes = map[string]any{"size": float64(rnd.IntN(3)), "new": rnd.IntN(2) == 0}
		}
		return it
	}
	number := int64(0)
	put := func(id string, it *streams.Item) {
		number++
		plain.put(id, it)
		r.catalogue.Put(number, id, it)
	}
	name := func(k int) string { return fmt.Sprintf("i%03d", k) }
	for k := range 600 {
		put(name(k), random(name(k)))
	}
	count := 600
	for step := range 400 {
		k := rnd.IntN(20)
		switch id := name(rnd.IntN(count)); {
		case k == 0:
			put(id, nil)
		case k < 5:
			put(name(count), random(name(count)))
			count++
		case k < 12 && plain.items[id] != nil:
			it := *plain.items[id]
			it.Price, it.Stock = float64(rnd.IntN(9)), ptr(int64(1))
			put(id, &it)
		default:
			put(id, random(id))
		}
		asked := name(rnd.IntN(60))
		if plain.items[asked] == nil {
			continue
		}
		want := plain.similar(asked)
		for _, limit := range []int{8, 200} {
			got := ask(t, r, Request{Items: []string{asked}, Limit: limit})
			n := len(slices.DeleteFunc(slices.Clone(got.Items), func(it Ranked) bool { return it.Reason != Similar }))
			if n != min(limit, len(want)) || !slices.Equal(idsOf(got)[:n], want[:n]) {
				t.Fatalf("step %d, %s, limit %d:\ngot  %v\nwant %v", step, asked, limit, idsOf(got)[:n], want[:min(limit, len(want))])
			}
		}
	}
}

func BenchmarkSimilar(b *testing.B) {
	r := shop()
	r.SetPlacements([]Placement{{Name: "home", Strategies: []string{Similar}}})
	defer r.SetPlacements(DefaultPlacements())
	g := newGenerator()
	var a Answer
	var req Request
	b.ReportAllocs()
	for b.Loop() {
		k := int(g.zipf.Uint64()) * 7919 % benchItems
		req.Items = g.ids[k : k+1]
		if err := r.Recommend(&req, &a); err != nil {
			b.Fatal(err)
		}
	}
}
