package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-json"
	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// gradualRules are rules in three versions: with segments that flip by time, starts
// by items, and triggers that come and go.
func gradualRules(version int) string {
	text := `
segments:
  lapsed: {if: "profile.orders.count > 0 && now - profile.orders.last_at > hours(5)"}
  keen: {if: "profile.count('Product Viewed', hours(%d)) >= 2"}
triggers:
  again:
    start: {event: Product Viewed}
    restart: true
    exit: [{event: Order Completed}]
    steps: [{wait: 2h}, {send: {template: a, channels: [webhook]}}, {wait: {idle: 30m}}, {send: {template: b, channels: [webhook]}}]
    reentry: 1h
  left:
    start: {segment: lapsed, when: enter}
    steps: [{wait: 1h}, {send: {template: l, channels: [webhook]}}]
    reentry: 1m
  birthday:
    start: {date: birthday, at: "10:00"}
    steps: [{send: {template: birthday, channels: [webhook]}}]
`
	if version != 1 {
		text += `
  cheaper:
    start: {item: price_drop, min: 0.01, interest: [cart, viewed]}
    steps: [{send: {template: c, channels: [webhook], items: run}}]
    reentry: 1m
`
	}
	if version == 2 {
		text += `
  idle:
    start: {inactive: Product Viewed, for: 3h}
    existing: {rate: 100/h}
    steps: [{wait: 1h}, {send: {template: i, channels: [webhook]}}]
    reentry: 1m
`
	}
	return fmt.Sprintf(text, 3+version)
}

func gradualRecord(number int64, version int) []byte {
	value, err := json.Marshal(rulesRecord{Number: number, Files: map[string]string{"rules.yaml": gradualRules(version)}})
	if err != nil {
		panic(err)
	}
	return value
}

// gradualLogs are live logs of customers, prices and rules, with all that they
// caused where work is done in small steps.
func gradualLogs(t *testing.T, seed uint64) [][]streams.Record {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 30))
	s := newSimulation(t, 2, inSteps(1+int(seed%3)))
	s.lag = r
	now, change, number := int64(1_770_000_000_000), int64(0), int64(0)
	prices := map[string]*streams.Item{}
	all := func(rec streams.Record) {
		for p := range s.logs {
			s.append(int32(p), rec)
		}
	}
	for i := range 250 {
		now += int64(r.IntN(1_800_000))
		all(streams.Record{Time: now, Headers: []streams.Header{{Key: streams.HeaderClock, Value: clockLive}}})
		switch n := r.IntN(12); {
		case n == 0 && i > 20:
			number++
			all(streams.Record{Time: now, Value: gradualRecord(number, r.IntN(3)), Headers: []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindRules)}}})
		case n < 3:
			var changes []streams.CatalogChange
			for range 1 + r.IntN(4) {
				change++
				id := fmt.Sprint("p", r.IntN(4))
				item := &streams.Item{ID: id, Price: float64(1 + r.IntN(100))}
				changes = append(changes, streams.CatalogChange{Number: change, ID: id, Old: prices[id], New: item})
				prices[id] = item
			}
			recs, _, err := catalogEffects(changes, 2)
			if err != nil {
				t.Fatal(err)
			}
			for p := range recs {
				s.append(int32(p), recs[p])
			}
		default:
			s.append(gradualEvent(r, i, now))
		}
		for range 4 {
			s.some(t, r, true)
		}
	}
	s.run(t, r, true)
	return s.logs
}

func gradualEvent(r *rand.Rand, i int, now int64) (int32, streams.Record) {
	names := []string{"Product Viewed", "Product Viewed", "Product Added", "Order Completed", "page", "identify"}
	name, who := names[r.IntN(len(names))], r.IntN(12)
	call := map[string]any{"type": "track", "event": name, "messageId": fmt.Sprint("m", i), "anonymousId": fmt.Sprint("a", who), "timestamp": now - int64(r.IntN(2)*r.IntN(600_000)),
		"properties": map[string]any{"product_id": fmt.Sprint("p", r.IntN(4)), "price": 50, "order_id": fmt.Sprint("o", i)}}
	key := fmt.Sprint("anonymous:a", who)
	switch name {
	case "page":
		call["type"] = "page"
	case "identify":
		call["type"], call["traits"] = "identify", map[string]any{"birthday": fmt.Sprintf("1990-02-%02d", 2+who)}
		if r.IntN(3) == 0 {
			call["userId"], key = fmt.Sprint("u", who), fmt.Sprint("user:u", who)
		}
	}
	value, err := json.Marshal(call)
	if err != nil {
		panic(err)
	}
	return streams.Partition(key, 2), streams.Record{Key: []byte(key), Value: value, Time: now}
}

// inSteps makes work be done in steps of so many customers, however few there are.
func inSteps(n int) func(*simulation) {
	return func(s *simulation) {
		s.e.settings.Crowd, s.e.settings.Step = 0, n
		s.rules = func(name string) []byte { return ruleObject(s.logs, name) }
	}
}

// ruleObject is the record of rules that the store has under a name.
func ruleObject(logs [][]streams.Record, name string) []byte {
	for i := range logs[0] {
		rec := &logs[0][i]
		var r rulesRecord
		if string(rec.Header(streams.HeaderKind)) == streams.KindRules && json.Unmarshal(rec.Value, &r) == nil && rulesObject(r.Number) == name {
			return rec.Value
		}
	}
	return nil
}

// TestStepsGiveOneState folds live logs whose work is done in steps again and
// again, in other batches, with other restarts and other profiles in memory:
// whatever the worker had in memory, each fold comes to the same.
func TestStepsGiveOneState(t *testing.T) {
	var readBack atomic.Int64
	steps, messages := 0, map[string]int{}
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			logs := gradualLogs(t, seed)
			steps += countKind(logs, streams.KindStep)
			setup := func(s *simulation) {
				inSteps(1 + int(seed%3))(s)
				s.rules = func(name string) []byte { return ruleObject(logs, name) }
			}
			first := refold(t, logs, seed, 0, &readBack, setup)
			for _, f := range first {
				for _, e := range f.Effects {
					if strings.HasPrefix(e, "messages/") {
						_, trigger, _ := strings.Cut(e, `"trigger":"`)
						trigger, _, _ = strings.Cut(trigger, `"`)
						messages[trigger]++
					}
				}
			}
			for again := range uint64(3) {
				for p, other := range refold(t, logs, seed, again+1, &readBack, setup) {
					if diff := cmp.Diff(first[p], other); diff != "" {
						t.Fatalf("partition %d, fold %d:\n%.3000s", p, again, diff)
					}
				}
			}
		})
	}
	for _, trigger := range []string{"again", "left", "birthday", "cheaper", "idle"} {
		if messages[trigger] == 0 {
			t.Errorf("%s sent nothing: %v", trigger, messages)
		}
	}
	if steps < 1000 || readBack.Load() < 100 {
		t.Errorf("%d steps, %d profiles read back", steps, readBack.Load())
	}
}

func countKind(logs [][]streams.Record, kind string) (n int) {
	for _, log := range logs {
		for i := range log {
			if string(log[i].Header(streams.HeaderKind)) == kind {
				n++
			}
		}
	}
	return n
}

// Slots are of about equal size, and a range of them is all profiles of its slots.
func TestSlots(t *testing.T) {
	s := profiles.NewStore()
	for i := range 5000 {
		id := fmt.Sprint("user:", i)
		s.Keep(id, profiles.Encode(&profiles.Profile{Id: id, Events: 1}))
	}
	seen := map[string]int{}
	for from := 0; from < profiles.Slots; from += 100 {
		n := 0
		s.RangeSlots(from, min(from+100, profiles.Slots), func(id string, _ *profiles.Profile) bool {
			seen[id]++
			n++
			return true
		})
		if from+100 <= profiles.Slots && (n < 300 || n > 700) {
			t.Errorf("%d profiles in 100 slots from %d", n, from)
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if len(seen) != 5000 {
		t.Errorf("%d of 5000 profiles", len(seen))
	}
}
