package engine

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// outbox numbers the effects of a partition's records and hands them to the
// producer, in order. An effect names the one before it to the same
// destination, so that a receiver can tell a gap from a repeat.
type outbox struct {
	source  streams.EffectNumber // of the record in hand; Index is the next effect's
	prev    map[string]string    // destination → the last effect's number
	pending []streams.Record

	batches int64 // handed to the producer; the worker's own
	acks    acks
	failed  atomic.Pointer[error]
}

// acks tells up to which batch, without a gap, the broker has acknowledged.
type acks struct {
	mu   sync.Mutex
	all  int64          // every batch up to this one is acknowledged; guarded by mu
	more map[int64]bool // those beyond it; guarded by mu
}

func (a *acks) add(batch int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.more == nil {
		a.more = map[int64]bool{}
	}
	a.more[batch] = true
	for a.more[a.all+1] {
		a.all++
		delete(a.more, a.all)
	}
}

func (a *acks) upTo() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all
}

// begin starts numbering the effects of rec.
func (o *outbox) begin(rec *streams.Record) {
	o.source.Offset, o.source.Index = rec.Offset, 0
}

// event adds a record for partition p of `events`.
func (o *outbox) event(p int32, key string, value []byte, headers []streams.Header) {
	o.add(streams.Record{Topic: kafka.TopicEvents, Partition: p, Key: []byte(key), Value: value, Headers: headers})
}

// message adds a message; `messages` is aligned with `events`.
func (o *outbox) message(m *streams.Message) {
	value, err := json.Marshal(m)
	if err != nil {
		panic("BUG: cannot encode a message: " + err.Error())
	}
	o.add(streams.Record{Topic: kafka.TopicMessages, Partition: o.source.Partition, Key: []byte(m.Profile), Value: value})
}

// deadLetter adds what could not be applied.
func (o *outbox) deadLetter(l streams.DeadLetter) {
	value, err := json.Marshal(l)
	if err != nil {
		panic("BUG: cannot encode a dead letter: " + err.Error())
	}
	o.add(streams.Record{Topic: kafka.TopicDeadLetter, Partition: -1, Key: []byte(l.Number), Value: value})
}

func (o *outbox) add(rec streams.Record) {
	number := o.source.String()
	o.source.Index++
	rec.Headers = append(rec.Headers, streams.Header{Key: streams.HeaderEffect, Value: []byte(number)})
	if rec.Topic != kafka.TopicDeadLetter { // counted by number, never applied
		dest := destination(&rec)
		if prev := o.prev[dest]; prev != "" {
			rec.Headers = append(rec.Headers, streams.Header{Key: streams.HeaderPrev, Value: []byte(prev)})
		}
		o.prev[dest] = number
	}
	o.pending = append(o.pending, rec)
}

// flush hands what has collected to the producer; err is that of an earlier
// produce that failed, after which nothing more may be produced.
func (o *outbox) flush(ctx context.Context, produce func(context.Context, []streams.Record, func(error))) error {
	if err := o.failed.Load(); err != nil {
		return *err
	}
	if len(o.pending) == 0 {
		return nil
	}
	batch := o.pending
	o.pending = make([]streams.Record, 0, len(batch))
	o.batches++
	number := o.batches
	produce(context.WithoutCancel(ctx), batch, func(err error) {
		if err != nil {
			o.failed.CompareAndSwap(nil, &err)
			return
		}
		o.acks.add(number)
	})
	return nil
}

func destination(rec *streams.Record) string {
	return rec.Topic + "/" + strconv.Itoa(int(rec.Partition))
}
