// Package replay feeds recorded events through an engine by their own event
// time, as fast as it goes: each record carries history's clock, so timers fire
// where they would have fired then.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/streams"
)

// tickEvery is how often, in event time, every partition is told the time, so
// that quiet ones' clocks move too; the HTTP API does the same. Milliseconds.
const tickEvery = 10 * 60 * 1000

// batchEvents is how many events go to the engine at once, inFlight how many
// batches may wait for the broker: enough to keep it busy, few enough that none
// waits for long on a busy machine.
const (
	batchEvents = 1000
	inFlight    = 16
)

// Enqueuer takes records for the log in their order; done is called once, when
// the broker has all of them or refused. It blocks while too much is on its way.
// After done without an error the records and what they point to are used again.
type Enqueuer interface {
	Enqueue(ctx context.Context, records []streams.Record, done func(error))
}

// Options say what to feed.
type Options struct {
	Partitions int32 // of the log
	// From and To bound the events by their time in Unix ms: at or after From,
	// before To; 0 is no bound. Events without a time of their own have that of
	// the latest before them.
	From, To int64
	// Progress is told now and then how many events were fed; nil: nobody.
	Progress func(events int64)
}

// Fed is what a replay read and wrote to the log.
type Fed struct {
	Events  int64    // written to the log
	Outside int64    // not between From and To
	Invalid int64    // rows that are no event
	Samples []string // of what is wrong with the first invalid rows
	First   int64    // time of the first event, Unix ms
	Last    int64    // the clock at the end, Unix ms
}

// maxSamples is how many invalid rows are quoted.
const maxSamples = 5

// Feed writes all events of r to the log with history's clock, ends with a tick
// at the last event's time to every partition, and returns when the broker has
// everything.
func Feed(ctx context.Context, r datasets.Reader, to Enqueuer, opts Options) (Fed, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &feeder{to: to, opts: opts, cancel: cancel, slots: make(chan struct{}, inFlight), free: make(chan batch, inFlight), limit: time.Now().UnixMilli() + streams.MaxAhead}
	var ev datasets.Event
	for ctx.Err() == nil {
		err := r.Next(&ev)
		var row *datasets.RowError
		switch {
		case errors.Is(err, io.EOF):
			return f.fed, f.finish(ctx)
		case errors.As(err, &row):
			f.invalid(row)
		case err != nil:
			f.pending.Wait()
			return f.fed, fmt.Errorf("cannot read data set: %w", err)
		default:
			f.event(ctx, &ev)
		}
	}
	f.pending.Wait()
	return f.fed, context.Cause(ctx)
}

// feeder makes records of events.
type feeder struct {
	to      Enqueuer
	opts    Options
	cancel  context.CancelCauseFunc
	pending sync.WaitGroup // batches on their way
	slots   chan struct{}  // one for each of them
	free    chan batch     // memory of those that arrived
	limit   int64          // later times would stop the clock for good
	fed     Fed

	latest, ticked int64 // the clock, and the last tick to every partition
	batch          batch
}

// batch is what goes to the engine at once. It is the engine's until the broker
// has it; then its memory is used again.
type batch struct {
	records []streams.Record
	headers []streams.Header
	bytes   []byte
	events  int
	now     int64 // when the broker gets it: retention goes by that, not by history
}

// newBatch is an empty batch, in the memory of an earlier one if one is free.
func (f *feeder) newBatch() batch {
	var b batch
	select {
	case b = <-f.free:
	default:
		b = batch{
			records: make([]streams.Record, 0, batchEvents+256),
			headers: make([]streams.Header, 0, batchEvents+256),
			bytes:   make([]byte, 0, batchEvents*640),
		}
	}
	b.now = time.Now().UnixMilli()
	return b
}

// release lets the memory of a batch be used again.
func (f *feeder) release(b batch) {
	select {
	case f.free <- batch{records: b.records[:0], headers: b.headers[:0], bytes: b.bytes[:0]}:
	default:
	}
}

func (f *feeder) invalid(row *datasets.RowError) {
	if f.fed.Invalid++; len(f.fed.Samples) < maxSamples {
		f.fed.Samples = append(f.fed.Samples, row.Error())
	}
}

func (f *feeder) event(ctx context.Context, ev *datasets.Event) {
	at := ev.At
	switch {
	case at == 0 && f.latest == 0:
		f.invalid(&datasets.RowError{Line: ev.Line, Text: "has no time, nor has an event before it"})
		return
	case at > f.limit:
		f.invalid(&datasets.RowError{Line: ev.Line, Text: "happens in the future"})
		return
	case at == 0:
		at = f.latest
	}
	if ev.Kind == "" && at < f.opts.From || f.opts.To != 0 && at >= f.opts.To {
		f.fed.Outside++
		return
	}
	if f.fed.First == 0 && ev.Kind == "" {
		f.fed.First = at
	}
	if f.batch.records == nil {
		f.batch = f.newBatch()
	}
	f.latest = max(f.latest, at)
	if boundary := f.latest - f.latest%tickEvery; boundary > f.ticked {
		f.tickAll(boundary)
	}
	if ev.Kind != "" {
		for p := range f.opts.Partitions {
			f.batch.add(p, nil, ev.JSON, at, streams.Header{Key: streams.HeaderKind, Value: []byte(ev.Kind)})
		}
		return
	}
	if ev.Trust != nil {
		f.batch.add(-1, ev.Key, ev.JSON, at, streams.Header{Key: streams.HeaderTrust, Value: f.batch.keep(ev.Trust)})
	} else {
		f.batch.add(-1, ev.Key, ev.JSON, at)
	}
	f.fed.Events++
	if f.batch.events++; f.batch.events == batchEvents {
		f.send(ctx)
	}
}

// tickAll tells every partition the time.
func (f *feeder) tickAll(t int64) {
	f.ticked = t
	for p := range f.opts.Partitions {
		f.batch.add(p, nil, nil, t)
	}
}

// add appends a record with a tick at t riding in it.
func (b *batch) add(partition int32, key, value []byte, t int64, more ...streams.Header) {
	first := len(b.headers)
	b.headers = append(b.headers, streams.Header{Key: streams.HeaderClock, Value: b.clock(t)})
	b.headers = append(b.headers, more...)
	n := len(b.headers)
	b.records = append(b.records, streams.Record{
		Topic: "events", Partition: partition, Key: b.keep(key), Value: b.keep(value), LeaderEpoch: -1,
		Time: b.now, Headers: b.headers[first:n:n],
	})
}

// clock is the header's value at t.
func (b *batch) clock(t int64) []byte {
	start := len(b.bytes)
	b.bytes = strconv.AppendInt(append(b.bytes, "history:"...), t, 10)
	return b.bytes[start:len(b.bytes):len(b.bytes)]
}

// keep copies data to the batch's memory; where that grows, what was kept
// before stays where it was.
func (b *batch) keep(data []byte) []byte {
	if data == nil {
		return nil
	}
	start := len(b.bytes)
	b.bytes = append(b.bytes, data...)
	return b.bytes[start:len(b.bytes):len(b.bytes)]
}

// send hands the batch over. The first refusal ends the replay.
func (f *feeder) send(ctx context.Context) {
	sent := f.batch
	f.batch = batch{}
	if len(sent.records) == 0 {
		return
	}
	select {
	case f.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	f.pending.Add(1)
	f.to.Enqueue(ctx, sent.records, func(err error) {
		<-f.slots
		if err != nil {
			f.cancel(fmt.Errorf("cannot write to the log: %w", err))
		} else {
			f.release(sent)
		}
		f.pending.Done()
	})
	if f.opts.Progress != nil {
		f.opts.Progress(f.fed.Events)
	}
}

// finish ends history at the last event's time and waits for the broker.
func (f *feeder) finish(ctx context.Context) error {
	f.fed.Last = f.latest
	if f.latest > 0 {
		if f.batch.records == nil {
			f.batch = f.newBatch()
		}
		f.tickAll(f.latest)
	}
	f.send(ctx)
	f.pending.Wait()
	return context.Cause(ctx)
}
