package recommender

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// exact is what the pair models approximate: all sums in maps, each event's
// weight kept with its time, nothing forgotten but by the rules of sessions and
// orders.
type exact struct {
	halfLife float64
	counts   map[string]float64
	pairs    map[[2]string]float64
	at       int64 // time that the sums stand for
}

func newExact(halfLife int64) *exact {
	return &exact{halfLife: float64(halfLife), counts: map[string]float64{}, pairs: map[[2]string]float64{}, at: start}
}

// weight is that of an event as of start, the fixed point of this model.
func (x *exact) weight(at int64) float64 { return math.Exp2(float64(at-x.at) / x.halfLife) }

func (x *exact) join(a, b string, w float64) {
	x.pairs[[2]string{a, b}] += w
	x.pairs[[2]string{b, a}] += w
}

func (x *exact) similarity(a, b string) float64 {
	return x.pairs[[2]string{a, b}] / math.Sqrt(x.counts[a]*x.counts[b])
}

// shopper is the slow model of a session.
type shopper struct {
	items []string
	last  int64
}

func (x *exact) view(s *shopper, at int64, id string) {
	if at-s.last > 30*minute {
		s.items = nil
	}
	s.last = at
	for k, other := range s.items {
		if other == id {
			s.items = append(append(append([]string{}, s.items[:k]...), s.items[k+1:]...), id)
			return
		}
	}
	x.counts[id] += x.weight(at)
	for _, other := range s.items {
		x.join(id, other, x.weight(at))
	}
	s.items = append(s.items, id)
	if len(s.items) > sessionItems {
		s.items = s.items[1:]
	}
}

// compare checks the model's every similarity against the exact one. Where
// neighbours were displaced or refused a sum less its error may be too small, never too
// large.
func (x *exact) compare(t *rapid.T, r *Recommender, p *pairs) {
	st := p.state.Load()
	ids := r.catalogue.items
	seen := 0
	for i := range uint32(ids.len()) {
		it := st.items.get(i)
		if it == nil || it.row.Load() == nil {
			continue
		}
		a := ids.at(i).id
		it.row.Load().each(func(j uint32, sum, err float32) {
			seen++
			b := ids.at(j).id
			own := math.Sqrt(float64(st.sum(i)) * float64(st.sum(j)))
			low, high, want := float64(sum-err)/own, float64(sum)/own, x.similarity(a, b)
			if low > want*1.001 || p.slots >= 64 && high < want*0.999 {
				t.Fatalf("%s with %s: %v to %v, want %v", a, b, low, high, want)
			}
		})
	}
	moved := st.landmark > start+20*day // then what weighs next to nothing was dropped
	if p.slots >= 64 && !moved && seen != len(x.pairs) {
		t.Fatalf("%d pairs, want %d", seen, len(x.pairs))
	}
}

func TestViewedTogetherIsExact(t *testing.T) {
	for _, slots := range []int{64, 3} {
		t.Run(fmt.Sprint(slots, " slots"), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				cfg := small()
				cfg.Neighbors = slots
				te, x := newTeacher(cfg), newExact(14*day)
				shoppers := map[string]*shopper{}
				at := start
				for range rapid.IntRange(1, 120).Draw(t, "events") {
					who := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "who")
					id := fmt.Sprint("i", rapid.IntRange(0, 14).Draw(t, "item"))
					at += rapid.SampledFrom([]int64{second, 10 * minute, 40 * minute, 20 * day}).Draw(t, "pause")
					if shoppers[who] == nil {
						shoppers[who] = &shopper{}
					}
					te.view(who, at, id)
					x.view(shoppers[who], at, id)
				}
				x.compare(t, te.r, te.r.models.Load().viewed)
			})
		})
	}
}

// customer is the slow model of a customer's orders.
type customer struct {
	lines []boughtLine
	known map[string]bool
}

type boughtLine struct {
	id, order string
	at        int64
}

func (x *exact) order(c *customer, at int64, order string, ids []string) {
	for _, id := range ids {
		if c.known[order+"/"+id] {
			continue
		}
		best := map[string]float64{}
		for _, l := range c.lines {
			w, near := 0.5, max(at-l.at, l.at-at) <= 30*day
			if l.order == order {
				w, near = 1, near || slices.Contains(ids, l.id)
			}
			if near && w > best[l.id] {
				best[l.id] = w
			}
		}
		x.counts[id] += x.weight(at)
		for other, w := range best {
			if other != id {
				x.join(id, other, w*x.weight(at))
			}
		}
		c.known[order+"/"+id] = true
		c.lines = append(c.lines, boughtLine{id, order, at})
	}
}

func TestBoughtTogetherIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		te, x := newTeacher(small()), newExact(60*day)
		customers := map[string]*customer{}
		at := start
		for range rapid.IntRange(1, 12).Draw(t, "orders") {
			who := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "who")
			c := customers[who]
			if c == nil {
				c = &customer{known: map[string]bool{}}
				customers[who] = c
			}
			n := min(4, boughtItems-len(c.lines)) // more than that is forgotten
			if n == 0 {
				continue
			}
			ids := rapid.SliceOfN(rapid.StringMatching("[a-h]"), 1, n).Draw(t, "items")
			order := rapid.SampledFrom([]string{"o1", "o2", "o3"}).Draw(t, "order")
			at += rapid.SampledFrom([]int64{second, day, 20 * day}).Draw(t, "pause")
			te.order(who, at, order, ids...)
			x.order(c, at, order, ids)
		}
		x.compare(t, te.r, te.r.models.Load().bought)
	})
}

func TestLandmarkMoves(t *testing.T) {
	cfg := small()
	cfg.Neighbors = 2
	te := newTeacher(cfg)
	for k, id := range []string{"a", "b", "c", "d"} {
		te.view("x", start+int64(k), id)
	}
	at := start + 59*14*day
	te.view("y", at, "a")
	te.view("y", at, "b")
	at += 3 * 14 * day // 62 half-lives after the landmark
	te.view("z", at, "b")
	te.view("z", at, "c")
	m := te.r.models.Load()
	if st := m.viewed.state.Load(); st.landmark != at {
		t.Fatalf("landmark %d, want %d", st.landmark, at)
	}
	a := ask(t, te.r, Request{Placement: "together", Items: []string{"b"}, Limit: 2, Now: at})
	if got := fmt.Sprint(idsOf(a)); got != "[c a]" || a.Items[1].Reason != ViewedTogether {
		t.Errorf("got %s: %+v", got, a.Items)
	}
	if s := a.Items[0].Score; math.Abs(s-1/math.Sqrt((1.125+shrinkage)*(1+shrinkage))) > 1e-6 {
		t.Errorf("score %v", s)
	}
	te.view("w", start-100*14*day, "e") // so old that it weighs nothing
	te.view("w", start+1_000_000*day, "f")
	te.view("w", start+1_000_000*day, "g")
	a = ask(t, te.r, Request{Placement: "product", Items: []string{"f"}, Limit: 1})
	if got := fmt.Sprint(idsOf(a)); got != "[g]" {
		t.Errorf("after 2,700 years: %s", got)
	}
}
