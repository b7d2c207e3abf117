package recommender

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rapport-engine/rapport/streams"
)

// slowCatalogue is what Catalogue must do: every change of every item.
type slowCatalogue map[string]map[int64]*streams.Item

func (c slowCatalogue) at(id string, number int64) *streams.Item {
	var found *streams.Item
	best := int64(-1)
	for n, it := range c[id] {
		if n <= number && n > best {
			best, found = n, it
		}
	}
	return found
}

func TestCatalogueIsAsOfItsChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cat, slow := NewCatalogue(), slowCatalogue{}
		pruned := int64(0)
		number := rapid.Int64Range(0, 60)
		id := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n, id := number.Draw(t, "n"), id.Draw(t, "id")
				if n < pruned { // an older change than any reader stands at
					return
				}
				if slow[id] == nil {
					slow[id] = map[int64]*streams.Item{}
				}
				it, ok := slow[id][n]
				if !ok {
					if rapid.Bool().Draw(t, "live") {
						it = &streams.Item{ID: id, Name: fmt.Sprint(n)}
					}
					slow[id][n] = it
				}
				cat.Put(n, id, it)
			},
			"prune": func(t *rapid.T) {
				pruned = max(pruned, number.Draw(t, "n"))
				cat.Prune(pruned)
			},
			"": func(t *rapid.T) {
				cat.Prune(pruned)
				slow.compare(t, cat, pruned)
			},
		})
		comparePutAgain(t, cat)
	})
}

// compare checks every item at every number that may be asked for.
func (c slowCatalogue) compare(t *rapid.T, cat *Catalogue, pruned int64) {
	live := 0
	for _, id := range []string{"a", "b", "c", "d"} {
		for n := pruned; n <= 61; n++ {
			if got, want := cat.At(id, n), c.at(id, n); got != want {
				t.Fatalf("%s at %d: got %v, want %v (pruned %d)", id, n, got, want, pruned)
			}
		}
		got := cat.Get(id)
		if want := c.at(id, 61); got != want {
			t.Fatalf("%s: got %v, want %v", id, got, want)
		}
		if got != nil {
			live++
		}
		old := 0
		for _, v := range cat.Versions(id) {
			if v.Number <= pruned {
				old++
			}
		}
		if old > 1 {
			t.Fatalf("%s: %d versions at or below %d", id, old, pruned)
		}
	}
	if cat.Len() != live {
		t.Fatalf("Len %d, want %d", cat.Len(), live)
	}
}

// comparePutAgain checks that what Range tells makes an equal catalogue.
func comparePutAgain(t *rapid.T, cat *Catalogue) {
	again := NewCatalogue()
	cat.Range(func(id string, versions []Version) bool {
		for _, v := range versions {
			again.Put(v.Number, id, v.Item)
		}
		return true
	})
	for _, id := range []string{"a", "b", "c", "d"} {
		if diff := cmp.Diff(cat.Versions(id), again.Versions(id)); diff != "" {
			t.Fatalf("%s put again: %s", id, diff)
		}
	}
}

func TestCatalogueRangeStops(t *testing.T) {
	cat := NewCatalogue()
	cat.Put(1, "b", item("b"))
	cat.Put(2, "a", nil)
	var seen []string
	cat.Range(func(id string, _ []Version) bool { seen = append(seen, id); return true })
	if diff := cmp.Diff([]string{"b", "a"}, seen); diff != "" {
		t.Error(diff)
	}
	n := 0
	cat.Range(func(string, []Version) bool { n++; return false })
	if n != 1 || cat.Len() != 1 {
		t.Errorf("called %d times, Len %d", n, cat.Len())
	}
	if cat.Get("z") != nil || cat.At("z", 9) != nil || cat.Versions("z") != nil {
		t.Error("an unknown item is known")
	}
}

func TestCatalogueReadersAndWriter(t *testing.T) {
	cat := NewCatalogue()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprint(k % 300)
				if it := cat.Get(id); it != nil && it.ID != id {
					t.Errorf("%s is %s", id, it.ID)
				}
				if it := cat.At(id, int64(k%3000)); it != nil && it.ID != id {
					t.Errorf("%s is %s", id, it.ID)
				}
			}
		})
	}
	for n := range int64(6000) {
		id := fmt.Sprint(n % 300)
		cat.Put(n, id, item(id))
		if n%50 == 0 {
			cat.Prune(n - 500)
		}
	}
	close(stop)
	wg.Wait()
}

func BenchmarkCatalogue(b *testing.B) {
	cat := NewCatalogue()
	ids := make([]string, 100_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("sku-%06d", i)
		cat.Put(int64(i), ids[i], item(ids[i]))
	}
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			cat.Get(ids[i*7919%len(ids)])
		}
	})
	b.Run("At", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			cat.At(ids[i*7919%len(ids)], 1<<40)
		}
	})
	b.Run("PutPrune", func(b *testing.B) {
		b.ReportAllocs()
		it := item("x")
		for i := 0; b.Loop(); i++ {
			n := int64(100_000 + i)
			cat.Put(n, ids[i*7919%len(ids)], it)
			cat.Prune(n)
		}
	})
}

// BenchmarkCatalogueOfAMillion fills a catalogue with a million items, each with texts of
// its own, as one that starts does. It reports the memory of an item and of a shop's
// recommender that has learned nothing.
func BenchmarkCatalogueOfAMillion(b *testing.B) {
	const items = 1_000_000
	before := heapNow()
	var r *Recommender
	for b.Loop() {
		cat := NewCatalogue()
		r = New(Config{}, cat)
		for i := range items {
			id := fmt.Sprintf("sku-%07d", i)
			cat.Put(int64(i), id, &streams.Item{
				ID: id, GroupID: fmt.Sprint("g", i/3), Name: fmt.Sprintf("Shoe of colour %d and size %d", i%97, i%41),
				URL: "https://shop.example/p/" + id, ImageURL: "https://img.example/" + id + ".jpg", Brand: fmt.Sprint("b", i%900),
				Category: []string{fmt.Sprint("c", i%20), fmt.Sprint("d", i%400)}, Price: float64(i % 1000),
			})
		}
	}
	b.ReportMetric(float64(heapNow()-before)/items, "B/item")
	if r.catalogue.Get("sku-0999999") == nil {
		b.Fatal("the last item is not there")
	}
}

func heapNow() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below
}
