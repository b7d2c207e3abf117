package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// crowd is how many customers a partition has: a million in four.
const crowd = 250_000

const crowdItems = 100_000

// crowdRules start by prices; a segment flips by time for everybody at once.
const crowdRules = `
segments:
  lapsed: {if: "profile.orders.count > 0 && now - profile.orders.last_at > days(60)"}
triggers:
  cheaper:
    start: {item: price_drop, min: 0.05, from: catalog}
    steps: [{send: {template: c, channels: [webhook], items: run}}]
  gone:
    start: {segment: lapsed, when: enter}
    steps: [{wait: 1d}, {send: {template: g, channels: [webhook]}}]
`

// freshRules are crowdRules, a segment and a trigger more.
var freshRules = strings.Replace(crowdRules, "segments:", "segments:\n  quiet: {if: \"now - profile.last_at > days(30)\"}", 1) + `
  lapsing:
    start: {segment: quiet, when: enter}
    steps: [{send: {template: q, channels: [webhook]}}]
`

const crowdStart = int64(1_767_225_600_000)

// newCrowd is a worker with many customers, each of whom has ordered at the same
// time and looked at 20 items.
func newCrowd(b *testing.B) *worker {
	b.Helper()
	set, err := rules.Parse(map[string][]byte{"a.yaml": []byte(crowdRules)})
	if err != nil {
		b.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Partitions = 1
	f := NewFold(cfg, FoldOptions{Rules: set})
	w := f.workers[0]
	w.state.Live, w.state.Fed, w.state.Now = true, true, crowdStart
	w.state.Work = gradual{Created: crowd, On: true, Due: crowdStart, Profile: rules.LastProfile, Told: crowdItems}
	for i := range crowdItems {
		w.catalogue.Put(int64(i+1), fmt.Sprintf("i%d", i), &streams.Item{ID: fmt.Sprintf("i%d", i), Price: 100})
	}
	w.state.Catalog = crowdItems
	for i := range crowd {
		id := fmt.Sprintf("user:%d", i)
		p := &profiles.Profile{Id: id, Events: 21, FirstAt: crowdStart, LastAt: crowdStart}
		p.Identifiers = []string{id}
		p.Orders = &profiles.Orders{Count: 1, Revenue: 10, FirstAt: crowdStart, LastAt: crowdStart,
			Recent: []*profiles.Order{{Id: "o", At: crowdStart, Total: 10}}}
		for j := range 20 {
			p.Viewed = append(p.Viewed, &profiles.Interest{Id: fmt.Sprintf("i%d", (i*7919+j*104729)%crowdItems), At: crowdStart, FirstAt: crowdStart, Times: 1, Price: 100})
		}
		w.store.Keep(id, profiles.Encode(p))
	}
	w.setTimers()
	b.Logf("%d profiles, %d timers, %d interested in i5", w.store.Len(), w.timers.Len(), len(w.interests.Find("i5")))
	return w
}

// longest folds records one by one and tells the longest time that one took.
func longest(b *testing.B, w *worker, recs []streams.Record) {
	b.Helper()
	var effects []streams.Record
	w.produce = func(_ context.Context, out []streams.Record, done func(error)) {
		for _, rec := range out {
			if rec.Topic == "events" {
				effects = append(effects, rec)
			}
		}
		done(nil)
	}
	var took []time.Duration
	all := time.Duration(0)
	for len(recs) > 0 {
		effects = nil
		for i := range recs {
			recs[i].Offset = w.state.Offset
			began := time.Now()
			if err := w.process(b.Context(), recs[i:i+1]); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
			all += took[len(took)-1]
		}
		recs = effects
	}
	slices.Sort(took)
	n := len(took)
	b.ReportMetric(float64(took[n-1].Microseconds())/1e3, "ms/longest")
	b.ReportMetric(float64(took[n*99/100].Microseconds())/1e3, "ms/p99")
	b.ReportMetric(float64(all.Milliseconds()), "ms/all")
	b.ReportMetric(float64(n), "steps")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStall is how long a partition of 250,000 customers, a quarter of a
// million, is held by one record when much is to be done at once.
func BenchmarkStall(b *testing.B) {
	b.Run("feed", func(b *testing.B) {
		w := newCrowd(b)
		var changes []streams.CatalogChange
		for i := range crowdItems {
			id := fmt.Sprintf("i%d", i)
			changes = append(changes, streams.CatalogChange{Number: int64(crowdItems + i + 1), ID: id,
				Old: &streams.Item{ID: id, Price: 100}, New: &streams.Item{ID: id, Price: 80}})
		}
		var recs []streams.Record
		for len(changes) > 0 {
			out, n, err := catalogEffects(changes, 1)
			if err != nil {
				b.Fatal(err)
			}
			recs, changes = append(recs, out...), changes[n:]
		}
		b.Logf("%d records", len(recs))
		for b.Loop() {
			longest(b, w, recs)
		}
	})
	b.Run("flip", func(b *testing.B) {
		w := newCrowd(b)
		tick := streams.Record{Time: crowdStart + 60*24*3600*1000 + 1, Headers: []streams.Header{{Key: streams.HeaderClock, Value: clockLive}}}
		for b.Loop() {
			longest(b, w, []streams.Record{tick})
		}
	})
	b.Run("rules", func(b *testing.B) {
		w := newCrowd(b)
		text := `{"number":1,"files":{"a.yaml":` + strconv.Quote(freshRules) + `}}`
		for b.Loop() {
			longest(b, w, []streams.Record{{Value: []byte(text), Headers: []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindRules)}}}})
		}
	})
}
