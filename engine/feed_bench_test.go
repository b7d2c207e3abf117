package engine

import (
	"fmt"
	"testing"

	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// BenchmarkFeed is a feed that makes 1,000 items cheaper, as one partition with
// 20,000 customers takes it, each of whom has looked at five of 10,000 items.
func BenchmarkFeed(b *testing.B) {
	set, err := rules.Parse(map[string][]byte{"feed.yaml": []byte(`
triggers:
  cheaper:
    start: {item: price_drop, min: 0.01}
    steps: [{send: {template: c, channels: [webhook], items: run}}]
    reentry: 1s
`)})
	if err != nil {
		b.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Partitions = 1
	f := NewFold(cfg, FoldOptions{Rules: set})
	const start = 1_767_225_600_000
	items := func(from, n int, price float64) []*streams.Item {
		list := make([]*streams.Item, n)
		for i := range list {
			list[i] = &streams.Item{ID: fmt.Sprintf("i%d", from+i), Price: price}
		}
		return list
	}
	if err := f.PutItems(b.Context(), items(0, 10_000, 1e6)); err != nil {
		b.Fatal(err)
	}
	for i := range 100_000 {
		value := fmt.Sprintf(`{"type":"track","event":"Product Viewed","messageId":"m%d","userId":"%d","properties":{"product_id":"i%d"}}`, i, i%20_000, i*7919%10_000)
		rec := streams.Record{Time: start, Key: []byte("user:x"), Value: []byte(value), Headers: []streams.Header{{Key: streams.HeaderClock, Value: streams.HistoryClock(start)}}}
		if err := f.Apply(b.Context(), []streams.Record{rec}); err != nil {
			b.Fatal(err)
		}
	}
	price, from := 1e6, 0
	for b.Loop() {
		if from %= 10_000; from == 0 {
			price *= 0.9
		}
		if err := f.PutItems(b.Context(), items(from, 1000, price)); err != nil {
			b.Fatal(err)
		}
		from += 1000
	}
}
