package recommender

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// slowIndex is what sessionIndex does, with lists that are searched from the end.
type slowIndex struct {
	sessions []slowSession // in the order of their numbers
	posts    []slowPost
}

type slowSession struct {
	items []uint32
	at    int64
}

type slowPost struct {
	item    uint32
	session int
}

func (x *slowIndex) open(items []uint32, at int64) int {
	x.sessions = append(x.sessions, slowSession{slices.Clone(items), at})
	for _, i := range items {
		x.posts = append(x.posts, slowPost{i, len(x.sessions) - 1})
	}
	return len(x.sessions) - 1
}

func (x *slowIndex) learn(number int, size int, others []uint32, item uint32, at int64) int {
	if number < 0 || number < len(x.sessions)-size {
		if len(others) == 0 {
			return -1
		}
		return x.open(append(slices.Clone(others), item), at)
	}
	s := &x.sessions[number]
	if k := slices.Index(s.items, item); k >= 0 {
		s.items = append(slices.Delete(s.items, k, k+1), item)
	} else if len(s.items) == slotItems {
		return x.open(append(slices.Clone(s.items[slotItems-carriedItems:]), item), at)
	} else {
		s.items = append(s.items, item)
		x.posts = append(x.posts, slowPost{item, number})
	}
	s.at = max(s.at, at)
	return number
}

// score is the formula of SessionParams, word by word.
func (x *slowIndex) score(p SessionParams, size, depth int, context []uint32, now int64) map[uint32]float64 {
	order := []int{}
	norm := 0.0
	for k, item := range context {
		norm += math.Exp(-2 * float64(k) / p.Recency)
		n := 0
		for j := len(x.posts) - 1; j >= 0 && n < depth; j-- {
			post := x.posts[j]
			if post.item != item {
				continue
			}
			n++
			newer := slices.ContainsFunc(x.sessions[post.session].items, func(i uint32) bool { return slices.Contains(context[:k], i) })
			if post.session >= len(x.sessions)-size && len(order) < p.Candidates && !newer {
				order = append(order, post.session)
			}
		}
	}
	scores := map[uint32]float64{}
	support := 0.0
	for _, number := range order {
		s := x.sessions[number]
		place, newest, weight := -1, len(context), 0.0
		for k, i := range s.items {
			if c := slices.Index(context, i); c >= 0 {
				place, newest = k, min(newest, c)
				weight += math.Exp(-float64(c) / p.Recency)
			}
		}
		steps := math.Floor(float64(now-s.at) / math.Floor(p.Age*24*3600*1000/ageSteps))
		sim := weight / math.Sqrt(norm*float64(len(s.items))) * math.Exp(-max(0, min(steps, ages))/ageSteps)
		support += sim
		for k, i := range s.items {
			w := math.Exp(-math.Abs(float64(k-place)) / p.Distance)
			if k < place {
				w *= p.Before
			}
			scores[i] += sim * w * math.Exp(-float64(newest)/p.Shared)
		}
	}
	for i := range scores {
		scores[i] /= support + 1
	}
	return scores
}

// The index and its scores are those of the slow one, whatever is learned.
func TestSessionsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{PastSessions: 8, Sessions: 1 << 10, Session: SessionParams{
			Depth: 4, Candidates: rapid.IntRange(1, 12).Draw(t, "candidates"), BackOff: 1e-300, Before: 0.5,
		}}.withDefaults()
		m := newModels(&cfg, newTable())
		s := newScratch()
		s.r, s.m = &Recommender{cfg: cfg}, m
		slow, fastOf, slowOf, have := &slowIndex{}, map[int]uint32{}, map[int]int{}, map[int][]uint32{}
		at := start
		for range rapid.IntRange(1, 120).Draw(t, "clicks") {
			who := rapid.IntRange(0, 5).Draw(t, "who")
			item := m.ids.intern(fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "item")), 0)
			at += rapid.SampledFrom([]int64{0, second, 9 * day}).Draw(t, "pause")
			others := slices.DeleteFunc(slices.Clone(have[who]), func(i uint32) bool { return i == item })
			if _, ok := slowOf[who]; !ok {
				slowOf[who] = -1
			}
			fastOf[who] = m.index.learn(fastOf[who], others, item, at)
			slowOf[who] = slow.learn(slowOf[who], 8, others, item, at)
			have[who] = append(others, item)
			if len(have[who]) > 9 || rapid.IntRange(0, 9).Draw(t, "ends") == 0 {
				delete(have, who)
				delete(fastOf, who)
				delete(slowOf, who)
			}
		}
		m.newest.Store(at)
		items := rapid.Uint32Range(0, uint32(m.ids.len()-1))
		s.context = append(s.context, rapid.SliceOfNDistinct(items, 1, min(5, m.ids.len()), rapid.ID).Draw(t, "context")...)
		w := m.weights
		s.scores.reset(w.Candidates * slotItems)
		s.req = &Request{Repeats: true}
		s.backOff(w, s.scoreSessions(w))
		want := slow.score(cfg.Session, 8, 4, s.context, at)
		if len(want) != len(s.scores.list) {
			t.Fatalf("%d items scored, want %d", len(s.scores.list), len(want))
		}
		for _, got := range s.scores.list {
			if math.Abs(got.score-want[got.item]) > 1e-9 {
				t.Errorf("item %d: %v, want %v", got.item, got.score, want[got.item])
			}
		}
	})
}

func TestNewItemIsInSessionsAtOnce(t *testing.T) {
	te := newTeacher(small())
	te.view("a", start, "tea")
	te.view("a", start, "brand new")
	a := ask(t, te.r, Request{Placement: "session", Items: []string{"tea"}, Limit: 1})
	if len(a.Items) != 1 || a.Items[0].ID != "brand new" || a.Strategy != Session {
		t.Errorf("got %+v", a)
	}
}

func TestRepeats(t *testing.T) {
	te := newTeacher(small())
	for _, who := range []string{"a", "b"} {
		te.view(who, start, "tea")
		te.view(who, start, "cup")
	}
	for repeats, want := range map[bool]string{true: "[tea cup]", false: "[cup]"} {
		req := Request{Placement: "session", Customer: Customer{Session: []string{"tea"}}, Limit: 2, Repeats: repeats}
		if got := fmt.Sprint(idsOf(ask(t, te.r, req))); got != want && got != "[cup tea]" {
			t.Errorf("repeats %v: got %s", repeats, got)
		}
	}
}

func TestNumbersOfSessionsBeginAgain(t *testing.T) {
	x := newSessionIndex(8, 4)
	x.next = ^uint32(0) - 3
	for n := range uint32(20) {
		x.learn(0, []uint32{n}, n+1, start+int64(n))
		numbers, last, count := x.of(n + 1)
		var items [slotItems]uint32
		if size, at := x.read(numbers[last].Load(), &items); count != 1 || size != 2 || items[1] != n+1 || at != start+int64(n) {
			t.Errorf("session %d: %d sessions, the newest has %v", n, count, items[:size])
		}
	}
	if got := x.numbered(0); x.next != 17 || got != 9 {
		t.Errorf("next %d, oldest %d", x.next, got)
	}
}

func TestOddSizes(t *testing.T) {
	for n, want := range map[int]uint32{-1: 4, 0: 4, 4: 4, 5: 8, 1 << 20: 1 << 20, 1 << 40: 1 << 30} {
		if got := powerOfTwo(n, 1<<30); got != want {
			t.Errorf("%d: got %d, want %d", n, got, want)
		}
	}
	p := SessionParams{Items: 99, Age: math.NaN(), Distance: math.Inf(-1)}.withDefaults()
	if p.Items != contextItems || p.Age != 100 || p.Distance != 0.5 {
		t.Errorf("got %+v", p)
	}
}

func TestNewestItems(t *testing.T) {
	cfg := small()
	cfg.Placements = []Placement{{Name: "home", Strategies: []string{Newest}}}
	r := New(cfg, NewCatalogue())
	for n, id := range []string{"a", "b", "c"} {
		r.catalogue.Put(int64(n+1), id, item(id))
	}
	r.catalogue.Put(9, "a", item("a")) // changed, not new
	a := ask(t, r, Request{Limit: 2})
	if got := fmt.Sprint(idsOf(a)); got != "[c b]" || a.Strategy != Newest || a.Items[0].Score != 1 || a.Items[1].Reason != Newest {
		t.Errorf("got %+v", a)
	}
}

func TestSharesOfViewsThatGoBack(t *testing.T) {
	te := newTeacher(small())
	for n, id := range []string{"tea", "tea", "cup", "jam", "tea", "tea", "jam"} {
		te.view("a", start+int64(n), id)
	}
	r := &te.r.models.Load().returns
	if all, back := r.away.all.Load(), r.away.of.Load(); all != 4 || back != 2 {
		t.Errorf("%d moves, %d back", all, back)
	}
	for step, want := range [steps][2]uint64{stepFirst: {1, 1}, stepOn: {2, 0}, stepBack: {1, 1}, stepAgain: {2, 0}} {
		if all, same := r.stay[step].all.Load(), r.stay[step].of.Load(); all != want[0] || same != want[1] {
			t.Errorf("step %d: %d of %d stay, want %v", step, same, all, want)
		}
	}
}
