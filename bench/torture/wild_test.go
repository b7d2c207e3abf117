//go:build integration

package torture_test

import (
	"context"
	"time"

	"github.com/rapport-engine/rapport/bench/torture"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// wildWriter writes straight to Kafka.
type wildWriter struct {
	c    *cluster
	wild *torture.Wild
}

func newWildWriter(c *cluster) *wildWriter {
	return &wildWriter{c, torture.NewWild(c.seed)}
}

// start writes until stop is called.
func (w *wildWriter) start() (stop func()) {
	producer, err := kafka.NewProducer(kafka.Config{Brokers: []string{w.c.node.Addr()}, Prefix: "rapport.", Partitions: 4})
	if err != nil {
		w.c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.c.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer producer.Close()
		for ctx.Err() == nil {
			w.write(producer)
			wait(400*time.Millisecond, ctx.Done())
		}
	}()
	return func() { cancel(); <-done }
}

// write writes some records; where it fails, they may be in the log or not.
func (w *wildWriter) write(producer *kafka.Producer) {
	records, events := w.wild.Records()
	w.c.load.Record(events, false)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := producer.ProduceSync(ctx, records); err == nil {
		w.c.load.Record(events, true)
	}
}
