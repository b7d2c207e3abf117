package kafka

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

// counter counts records and closes done at the n-th.
type counter struct {
	n    int64
	seen atomic.Int64
	done chan struct{}
}

func (c *counter) Assigned(context.Context, int32) (int64, error) { return FromStart, nil }
func (c *counter) Revoked(context.Context, int32) error           { return nil }
func (c *counter) Lost(int32)                                     {}
func (c *counter) Process(_ context.Context, _ int32, recs []streams.Record) error {
	if before := c.seen.Add(int64(len(recs))) - int64(len(recs)); before < c.n && before+int64(len(recs)) >= c.n {
		close(c.done)
	}
	return nil
}

const benchBatch = 1000

func benchRecords(partitions int32) [][]streams.Record {
	value := make([]byte, 300)
	batches := make([][]streams.Record, partitions)
	for p := range batches {
		batches[p] = make([]streams.Record, benchBatch)
		for i := range batches[p] {
			batches[p][i] = streams.Record{Topic: TopicEvents, Partition: int32(p), Key: []byte("user:42"), Value: value}
		}
	}
	return batches
}

// BenchmarkProduce writes records of 300 bytes to the embedded broker, in
// batches of 1,000 without waiting for each.
func BenchmarkProduce(b *testing.B) {
	_, cfg := startBroker(b, EmbeddedConfig{Dir: b.TempDir(), SyncWrites: true, Partitions: 8, DataLimit: -1})
	p := newProducer(b, cfg)
	batches := benchRecords(cfg.Partitions)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += benchBatch {
		recs := append([]streams.Record(nil), batches[n/benchBatch%len(batches)]...)
		p.Produce(context.Background(), recs, func(err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := p.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkConsume reads them back as a group.
func BenchmarkConsume(b *testing.B) {
	_, cfg := startBroker(b, EmbeddedConfig{Dir: b.TempDir(), Partitions: 8, DataLimit: -1})
	p := newProducer(b, cfg)
	batches := benchRecords(cfg.Partitions)
	for n := 0; n < b.N; n += benchBatch {
		recs := append([]streams.Record(nil), batches[n/benchBatch%len(batches)]...)
		p.Produce(context.Background(), recs, func(error) {})
	}
	if err := p.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	c := &counter{n: int64(b.N), done: make(chan struct{})}
	b.ReportAllocs()
	b.ResetTimer()
	join(b, cfg, c, RunGroup)
	<-c.done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkThrough does both at once.
func BenchmarkThrough(b *testing.B) {
	_, cfg := startBroker(b, EmbeddedConfig{Dir: b.TempDir(), SyncWrites: true, Partitions: 8, DataLimit: -1})
	p := newProducer(b, cfg)
	c := &counter{n: int64(b.N), done: make(chan struct{})}
	join(b, cfg, c, RunGroup)
	batches := benchRecords(cfg.Partitions)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += benchBatch {
		recs := append([]streams.Record(nil), batches[n/benchBatch%len(batches)]...)
		p.Produce(context.Background(), recs, func(err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	<-c.done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
