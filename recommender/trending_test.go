package recommender

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTrendingIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := small()
		cfg.Top = 5
		te := newTeacher(cfg)
		sums := map[string]float64{}
		at := start
		for range rapid.IntRange(1, 100).Draw(t, "events") {
			at += rapid.SampledFrom([]int64{0, second, hour, day, 200 * day}).Draw(t, "pause")
			id := fmt.Sprint("i", rapid.IntRange(0, 11).Draw(t, "item"))
			who := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "who"))
			late := rapid.SampledFrom([]int64{0, 0, 0, hour}).Draw(t, "late")
			if rapid.Bool().Draw(t, "add") {
				te.add(who, at-late, id)
				logAdd(sums, id, at-late, trendAdd)
			} else {
				te.view(who, at-late, id)
				logAdd(sums, id, at-late, trendView)
			}
		}
		st := te.r.models.Load().trends.state.Load()
		var got []string
		for k := range st.n.Load() {
			got = append(got, te.r.catalogue.items.at(st.top[k].Load()).id)
		}
		for k, id := range got {
			if k > 0 && sums[id] > sums[got[k-1]]+1e-6 {
				t.Fatalf("%s (%v) is behind %s (%v)", id, sums[id], got[k-1], sums[got[k-1]])
			}
		}
		for id, sum := range sums {
			if !slices.Contains(got, id) && len(got) == 5 && sum > sums[got[4]]+1e-6 {
				t.Fatalf("%s (%v) is not in the top: %v", id, sum, strings.Join(got, " "))
			}
		}
	})
}

// logAdd adds an event's weight to a sum that is kept as a logarithm to base 2.
func logAdd(sums map[string]float64, id string, at int64, w float64) {
	x := math.Log2(w) + float64(at-start)/float64(day)
	old, ok := sums[id]
	if !ok {
		sums[id] = x
		return
	}
	hi, lo := max(old, x), min(old, x)
	sums[id] = hi + math.Log2(1+math.Exp2(lo-hi))
}

func TestTrendsFade(t *testing.T) {
	te := newTeacher(small())
	for range 4 {
		te.view("a", start, "old")
	}
	te.view("b", start+3*day, "new")
	a := ask(t, te.r, Request{Placement: "trending", Now: start + 4*day})
	if got := fmt.Sprint(idsOf(a)); got != "[new old]" || a.Items[0].Score != 0.5 || a.Items[1].Score != 0.25 {
		t.Errorf("got %+v", a.Items)
	}
}

func TestOrderCountsOnce(t *testing.T) {
	te := newTeacher(small())
	for range 3 {
		te.order("a", start, "o1", "tea", "cup")
	}
	te.order("a", start, "o1", "cup", "jam", "")
	te.order("b", start, "o1", "tea") // another customer's order of the same number
	a := ask(t, te.r, Request{Placement: "trending", Now: start})
	if got := fmt.Sprint(idsOf(a)); got != "[tea cup jam]" || a.Items[0].Score != 10 || a.Items[1].Score != 5 {
		t.Errorf("got %+v", a.Items)
	}
}
