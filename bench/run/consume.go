package run

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// consumed is what a consume-and-decode loop did.
type consumed struct {
	events, bytes int64
	took          time.Duration // from the first record to the last
}

// consumeAndDecode reads the events between the offsets with the client that
// the engine uses, a goroutine for each partition, and only decodes them.
func consumeAndDecode(ctx context.Context, cfg kafka.Config, group string, from, to map[int32]int64) (consumed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &floorConsumer{from: from, to: to, finish: func() { cancel(errAllRead) }}
	for p := range to {
		if from[p] < to[p] {
			f.open.Add(1)
		}
	}
	if f.open.Load() == 0 {
		return consumed{}, errors.New("cannot measure consume-and-decode: no event was sent")
	}
	cfg.Instance, cfg.Registerer = "", nil // neither the engine's membership nor its metrics
	err := kafka.RunGroup(ctx, cfg, group, kafka.TopicEvents, f)
	if err == nil && !errors.Is(context.Cause(ctx), errAllRead) {
		err = context.Cause(ctx)
	}
	if err != nil {
		return consumed{}, fmt.Errorf("cannot measure consume-and-decode: %w", err)
	}
	took := time.Duration(f.last.Load() - f.first.Load())
	return consumed{events: f.events.Load(), bytes: f.bytes.Load(), took: max(took, time.Microsecond)}, nil
}

// errAllRead ends the loop.
var errAllRead = errors.New("all is read")

// floorConsumer is a kafka.Handler.
type floorConsumer struct {
	from, to map[int32]int64
	finish   func()
	decoder  streams.Decoder

	open          atomic.Int64 // partitions not yet read to the end
	first, last   atomic.Int64 // when, in ns
	events, bytes atomic.Int64
}

// Assigned says where to begin.
func (f *floorConsumer) Assigned(_ context.Context, p int32) (int64, error) { return f.from[p], nil }

// Process decodes a batch.
func (f *floorConsumer) Process(_ context.Context, p int32, recs []streams.Record) error {
	f.first.CompareAndSwap(0, time.Now().UnixNano())
	end := f.to[p]
	if recs[0].Offset >= end {
		return nil
	}
	var e streams.Event
	var events, bytes int64
	for i := range recs {
		rec := &recs[i]
		if rec.Offset >= end || len(rec.Value) == 0 || rec.Header(streams.HeaderKind) != nil {
			continue
		}
		if err := f.decoder.Decode(rec, &e); err != nil {
			return fmt.Errorf("cannot decode what was sent: %w", err)
		}
		events, bytes = events+1, bytes+int64(len(rec.Value))
	}
	f.events.Add(events)
	f.bytes.Add(bytes)
	if recs[len(recs)-1].Offset >= end-1 && f.open.Add(-1) == 0 {
		f.last.Store(time.Now().UnixNano())
		f.finish()
	}
	return nil
}

// Revoked has nothing to write.
func (f *floorConsumer) Revoked(context.Context, int32) error { return nil }

// Lost has nothing to drop.
func (f *floorConsumer) Lost(int32) {}
