package engine

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goccy/go-json"
	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

var (
	histories    = flag.Int("histories", 300, "how many random small histories the identity test folds")
	firstHistory = flag.Uint64("first-history", 0, "seed of the first one")
)

// past is one event of a random history; a nil item or order is none.
type past struct {
	id         string // messageId
	at         int64
	identified []string // strongest first
	name       string
	item       string
	quantity   int // 0: not said
	order      string
	total      float64 // 0: not said
	products   []string
	channel    string
	locale     string
	traits     map[string]any
	consents   map[string]bool
	logged     int64 // when it is written, relative order only
}

// person is somebody with at most one identifier of each type, but several
// browsers.
func person(r *rand.Rand, n int) []string {
	ids := []string{fmt.Sprint("anonymous:a", n)}
	for _, id := range []string{"user:u", "card:c", "email:e@x.y", "anonymous:b"} {
		if r.IntN(3) > 0 {
			ids = append(ids, fmt.Sprint(id, n))
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		if identifier(a).Stronger(identifier(b)) {
			return -1
		}
		return 1
	})
	return ids
}

// carried are some of a person's identifiers, never two of a type.
func carried(r *rand.Rand, ids []string) []string {
	var list []string
	n := 1
	if r.IntN(3) == 0 {
		n = 2 + r.IntN(2)
	}
	for _, i := range r.Perm(len(ids)) {
		same := slices.ContainsFunc(list, func(id string) bool { return identifier(id).Type == identifier(ids[i]).Type })
		if len(list) < n && !same {
			list = append(list, ids[i])
		}
	}
	slices.SortFunc(list, func(a, b string) int { return slices.Index(ids, a) - slices.Index(ids, b) })
	return list
}

// smallHistory is what a few people do, each event at a time of its own up to 20
// minutes after the one before it, or slow times that; some are written late and
// some twice.
func smallHistory(r *rand.Rand, slow int64) []past {
	people := make([][]string, 1+r.IntN(3))
	for n := range people {
		people[n] = person(r, n)
	}
	names := []string{"Product Viewed", "Product Viewed", "Product Added", "Product Added", "Product Removed", "Cart Viewed",
		"Order Completed", "Order Completed", "Order Refunded", "Order Cancelled", "Order Shipped", "identify", "identify", "Subscribed", "Unsubscribed", "page"}
	all := make([]past, 0, 60)
	now := int64(1_770_000_000_000)
	for i := range 3 + r.IntN(45) {
		now += 1 + slow*int64(r.IntN(1_200_000))
		who := r.IntN(len(people))
		e := past{id: fmt.Sprint("m", i), at: now, logged: now, name: names[r.IntN(len(names))],
			identified: carried(r, people[who]), channel: []string{"web", "app", "pos"}[r.IntN(3)]}
		e.fill(r, who, i)
		if r.IntN(6) == 0 {
			e.logged += slow * int64(r.IntN(3_600_000))
		}
		all = append(all, e)
		if slow == 1 && r.IntN(15) == 0 { // repeats count by the partition's clock, which moves in jumps in a slow history
			e.logged += int64(r.IntN(3_600_000))
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b past) int { return int(min(max(a.logged-b.logged, -1), 1)) })
	return all
}

// fill says what an event of a name is about.
func (e *past) fill(r *rand.Rand, who, i int) {
	e.item = fmt.Sprint("p", r.IntN(4))
	switch e.name {
	case "Product Added":
		e.quantity = 1 + r.IntN(3)
	case "Product Removed":
		e.quantity = r.IntN(2)
	case "Cart Viewed":
		e.item, e.products = "", []string{"p0", "p1", "p2", "p3"}[:r.IntN(4)]
	case "Order Completed":
		n := r.IntN(4)
		e.order, e.item, e.products = fmt.Sprint("o", who, n), "", []string{fmt.Sprint("p", n)}
		e.total = float64(n+1) * 10.1
	case "Order Refunded":
		e.order, e.item, e.total = fmt.Sprint("o", who, r.IntN(4)), "", float64(r.IntN(3))*2.3
	case "Order Cancelled", "Order Shipped":
		e.order, e.item = fmt.Sprint("o", who, r.IntN(4)), ""
	case "identify":
		e.item, e.traits = "", map[string]any{[]string{"a", "b", "c"}[r.IntN(3)]: i}
		if r.IntN(4) == 0 {
			e.traits["b"] = nil
		}
		if r.IntN(2) == 0 {
			e.consents = map[string]bool{[]string{"sms", "email"}[r.IntN(2)]: r.IntN(2) == 0}
		}
	case "Subscribed", "Unsubscribed":
		e.item, e.consents = "", map[string]bool{"sms": e.name == "Subscribed"}
	}
	if r.IntN(5) == 0 {
		e.locale = fmt.Sprint("l", r.IntN(3))
	}
}

// call is the event as a producer would write it.
func (e *past) call() []byte {
	properties := map[string]any{}
	set := func(key string, value any, said bool) {
		if said {
			properties[key] = value
		}
	}
	set("product_id", e.item, e.item != "")
	set("quantity", e.quantity, e.quantity > 0)
	set("order_id", e.order, e.order != "")
	set("total", e.total, e.total > 0)
	if e.products != nil || e.name == "Cart Viewed" {
		lines := []any{}
		for _, id := range e.products {
			lines = append(lines, map[string]any{"product_id": id, "price": 1})
		}
		properties["products"] = lines
	}
	context := map[string]any{"channel": e.channel}
	if e.locale != "" {
		context["locale"] = e.locale
	}
	external := []any{}
	for _, id := range e.identified {
		external = append(external, map[string]any{"type": identifier(id).Type, "id": identifier(id).Value})
	}
	context["externalIds"] = external
	call := map[string]any{"type": "track", "event": e.name, "messageId": e.id, "timestamp": e.at, "context": context, "properties": properties}
	switch e.name {
	case "identify":
		traits := map[string]any{}
		for k, v := range e.traits {
			traits[k] = v
		}
		if e.consents != nil {
			traits["consents"] = e.consents
		}
		call["type"], call["traits"] = "identify", traits
	case "Subscribed", "Unsubscribed":
		properties["channel"] = "sms"
	}
	value, err := json.Marshal(call)
	if err != nil {
		panic(err)
	}
	return value
}

// TestMergedProfilesAreThoseOfOneStream folds random small histories of people
// with several identifiers in any interleaving of the partitions, with restarts
// from random snapshots, and compares each profile with what a plain model makes
// of the events sorted by time.
func TestMergedProfilesAreThoseOfOneStream(t *testing.T) {
	for n := range uint64(*histories) {
		seed := *firstHistory + n
		t.Run(fmt.Sprint("history", seed), func(t *testing.T) { foldHistory(t, seed) })
	}
}

func foldHistory(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	together, chaos, slow := r.IntN(4), r.IntN(4) > 0, int64(1)
	if together == 3 && r.IntN(2) == 0 {
		slow = 60 // weeks, in which the partitions' clocks stay close, as they do when they tick
	}
	history := smallHistory(r, slow)
	s := newSimulation(t, 1+r.IntN(5))
	if chaos {
		s.lag = r
	}
	clock := int64(0)
	for i := range history {
		e := &history[i]
		clock = max(clock, e.logged)
		key, p := e.identified[0], int32(r.IntN(len(s.logs)))
		if r.IntN(8) > 0 {
			p = streams.Partition(key, int32(len(s.logs)))
		}
		s.append(p, streams.Record{Key: []byte(key), Value: e.call(),
			Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(clock)}}})
		if together == 1 || together == 2 && r.IntN(4) == 0 {
			s.some(t, r, chaos)
		} else if together == 3 {
			s.run(t, r, chaos)
		}
	}
	s.run(t, r, chaos)
	for p := range s.logs {
		s.append(int32(p), streams.Record{Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(clock + 100_000_000)}}})
	}
	s.run(t, r, chaos)
	s.compareWith(t, newModel(history))
}

// some folds a little of one partition.
func (s *simulation) some(t *testing.T, r *rand.Rand, chaos bool) {
	t.Helper()
	p := r.IntN(len(s.workers))
	w := s.workers[p]
	from := int(w.applied.Load())
	if to := min(len(s.logs[p]), from+1+r.IntN(5)); to > from {
		if err := w.process(t.Context(), slices.Clone(s.logs[p][from:to])); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.held[p]) > 0 && r.IntN(2) == 0 {
		s.release(p)
	}
	s.disturb(t, r, p, chaos)
}

// disturb snapshots or restarts a worker now and then.
func (s *simulation) disturb(t *testing.T, r *rand.Rand, p int, chaos bool) {
	t.Helper()
	if chaos && r.IntN(4) == 0 {
		s.snapshot(t, p)
	}
	if chaos && r.IntN(6) == 0 {
		s.restart(t, p)
	}
}

// find follows an identifier to its profile.
func (s *simulation) find(t *testing.T, id string) *profiles.Profile {
	t.Helper()
	for range 20 {
		p, ok := s.workers[streams.Partition(id, int32(len(s.workers)))].store.Read(id)
		if !ok {
			t.Fatalf("%s is not known", id)
		}
		if p.AliasOf == "" {
			return p
		}
		id = p.AliasOf
	}
	t.Fatalf("%s leads in circles", id)
	return nil
}

func (s *simulation) compareWith(t *testing.T, m *model) {
	t.Helper()
	for _, id := range m.identifiers() {
		want := m.customer(id)
		p := s.find(t, id)
		if p.Id != want.ids[0] {
			t.Errorf("%s leads to %s, want %s", id, p.Id, want.ids[0])
			continue
		}
		if id != p.Id {
			continue
		}
		expected, got := want.summary(), summaryOf(p)
		for name, unsure := range want.unsure {
			if unsure {
				delete(expected.Cart, name)
				delete(got.Cart, name)
				delete(expected.Traits, name)
				delete(got.Traits, name)
			}
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("%s (-model +profile):\n%s", id, diff)
		}
	}
}
