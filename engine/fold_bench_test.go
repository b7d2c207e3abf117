package engine

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

// BenchmarkEvents is an event's way from its record to the published profile,
// without model and broker: visits of four events by customers who have had so many
// before, two thousand records of a partition at a time.
func BenchmarkEvents(b *testing.B) {
	for _, bench := range []struct{ customers, before int }{{20_000, 5}, {20_000, 25}, {2_000, 150}} {
		b.Run(fmt.Sprint(bench.before), func(b *testing.B) {
			cfg := DefaultConfig()
			f := NewFold(cfg, FoldOptions{})
			shop := &benchShop{customers: bench.customers}
			for shop.events < bench.customers*bench.before {
				if err := f.Apply(b.Context(), shop.records(32_000)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for n := b.N; n > 0; n -= 32_000 {
				b.StopTimer()
				recs := shop.records(min(n, 32_000))
				b.StartTimer()
				if err := f.Apply(b.Context(), recs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchShop draws events: of 2,000 customers at a time.
type benchShop struct {
	customers, events int
	random            uint64
	at                int64
}

func (s *benchShop) draw(n int) int {
	s.random = s.random*6364136223846793005 + 1442695040888963407
	return int(s.random >> 33 % uint64(n)) //nolint:gosec // below n
}

func (s *benchShop) records(n int) []streams.Record {
	const start = 1_767_225_600_000
	recs := make([]streams.Record, n)
	for i := range recs {
		visit := s.events / 8000
		customer := (visit*2000 + s.events%2000) * 7919 % s.customers
		item := (customer%97*50 + s.draw(60)) * 7 % 10_000
		name, rest := "Product Viewed", ""
		switch s.draw(30) {
		case 0, 1, 2:
			name = "Product Added"
		case 3:
			name, rest = "Order Completed", `,"order_id":"o`+strconv.Itoa(s.events)+`","total":10`
		}
		value := fmt.Appendf(nil, `{"type":"track","event":%q,"messageId":"%016x","userId":"%d","context":{"channel":"web","locale":"uk-UA","timezone":"Europe/Kyiv"},`+
			`"properties":{"product_id":"p%06d","name":"Product %d of line %d","category":"Department %d/Line %d","brand":"Brand %d","price":%d.5%s}}`,
			name, s.events, 1_000_000+customer, item, item, item%200, item%20, item%200, item*31%500, item%900+1, rest)
		recs[i] = streams.Record{Partition: -1, Key: fmt.Appendf(nil, "user:%d", 1_000_000+customer), Value: value, Time: start + s.at}
		if s.events++; s.events%50 == 0 {
			s.at++
		}
	}
	return recs
}
