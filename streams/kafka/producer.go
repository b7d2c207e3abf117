package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rapport-engine/rapport/streams"
)

// Limits of what waits for its acknowledgement; beyond them a produce waits.
const (
	maxBufferedRecords = 100_000
	maxBufferedBytes   = 128 << 20
	linger             = time.Millisecond
)

// Producer writes records, acknowledged by all replicas, without duplicates
// from its own retries. It may be used by several goroutines.
type Producer struct {
	client  *kgo.Client
	cfg     Config
	timeout time.Duration
	names   map[string]string // topics with prefix
	metrics *metrics
}

// NewProducer makes a producer; it connects at the first produce. Close it.
func NewProducer(cfg Config) (*Producer, error) {
	timeout := cfg.produceTimeout()
	opts := []kgo.Opt{
		kgo.RecordPartitioner(partitioner{kgo.StickyKeyPartitioner(nil)}),
		kgo.ProducerLinger(linger),
		kgo.MaxBufferedRecords(maxBufferedRecords),
		kgo.MaxBufferedBytes(maxBufferedBytes),
		kgo.ProduceRequestTimeout(timeout),
		// A record in flight to a broker that is gone fails in time, too (by the
		// deadline of its context: RecordDeliveryTimeout counts from the record's
		// own time, which may be long ago). If it was written after all, it may
		// be written again: receivers tell repeats by messageId and effect number.
		kgo.AllowIdempotentProduceCancellation(),
	}
	if cfg.Embedded != nil {
		opts = append(opts, kgo.ProducerBatchCompression(kgo.NoCompression()))
	}
	client, err := cfg.connect(opts...)
	if err != nil {
		return nil, err
	}
	p := &Producer{client: client, cfg: cfg, timeout: timeout, metrics: newMetrics(cfg.Registerer), names: map[string]string{}}
	for _, t := range []string{TopicEvents, TopicMessages, TopicCatalog, TopicRetry, TopicDeadLetter} {
		p.names[t] = cfg.topic(t)
	}
	return p, nil
}

// Unlimited is the producer for what must be written even when Config.Full
// refuses: effects and ticks, without which nothing moves on that could be
// deleted. It shares the connection, which is closed once.
func (p *Producer) Unlimited() *Producer {
	unlimited := *p
	unlimited.cfg.Full = nil
	return &unlimited
}

// Close drops what is not yet acknowledged; Flush first.
func (p *Producer) Close() { p.client.Close() }

// Flush waits until everything handed over is acknowledged or has failed.
func (p *Producer) Flush(ctx context.Context) error {
	if err := p.client.Flush(ctx); err != nil {
		return fmt.Errorf("cannot flush records: %w", err)
	}
	return nil
}

// Produce hands recs over, those of one goroutine and partition in their
// order, and calls done once, from another goroutine, when all are
// acknowledged or have failed: with the first error, ErrUnavailable after
// ProduceTimeout. It blocks while the buffer is full. recs must not be changed
// until done; where that is called without error, their partitions and offsets
// are set. Once handed over, records are written even if ctx ends: they share
// batches with those of others.
//
// After a failure later records may still be written: whoever needs them in
// order must stop.
func (p *Producer) Produce(ctx context.Context, recs []streams.Record, done func(error)) {
	if err := p.refuse(ctx); err != nil || len(recs) == 0 {
		done(err)
		return
	}
	b := &batch{p: p, recs: recs, done: done, out: make([]kgo.Record, len(recs))}
	ctx, b.cancel = context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
	b.left.Store(int64(len(recs)))
	b.convert()
	promise := b.promise
	for i := range b.out {
		p.client.Produce(ctx, &b.out[i], promise)
	}
}

// ProduceSync writes recs and returns their offsets once all are acknowledged,
// or an error: Produce's, or that of ctx.
// After an error the bytes of recs may still be in use for a moment: do not
// write to them.
func (p *Producer) ProduceSync(ctx context.Context, recs []streams.Record) ([]int64, error) {
	// The client looks at deadlines only between requests: after twice the
	// time it is given, a broker that hangs is not waited for.
	ctx, cancel := context.WithTimeoutCause(ctx, 2*p.timeout, ErrUnavailable)
	defer cancel()
	own := slices.Clone(recs)
	result := make(chan error, 1)
	go p.Produce(ctx, own, func(err error) { result <- err })
	var err error
	select {
	case err = <-result:
	case <-ctx.Done():
		err = classify(ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	offsets := make([]int64, len(own))
	for i := range own {
		offsets[i] = own[i].Offset
	}
	return offsets, nil
}

func (p *Producer) refuse(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return classify(err)
	}
	if p.cfg.Full == nil {
		return nil
	}
	if err := p.cfg.Full(); err != nil {
		return fmt.Errorf("cannot write records: %w", err)
	}
	return nil
}

// batch is what one Produce hands over.
type batch struct {
	p      *Producer
	recs   []streams.Record
	out    []kgo.Record
	done   func(error)
	cancel context.CancelFunc
	left   atomic.Int64

	mu  sync.Mutex
	err error // the first one
}

func (b *batch) convert() {
	headers := 0
	for i := range b.recs {
		headers += len(b.recs[i].Headers)
	}
	all := make([]kgo.RecordHeader, 0, headers)
	for i := range b.recs {
		from, to := &b.recs[i], &b.out[i]
		name, ok := b.p.names[from.Topic]
		if !ok {
			name = b.p.cfg.topic(from.Topic)
		}
		to.Topic, to.Partition, to.Key, to.Value = name, from.Partition, from.Key, from.Value
		if from.Time != 0 {
			to.Timestamp = time.UnixMilli(from.Time)
		}
		if len(from.Headers) > 0 {
			first := len(all)
			for _, h := range from.Headers {
				all = append(all, kgo.RecordHeader(h))
			}
			to.Headers = all[first:len(all):len(all)]
		}
	}
}

func (b *batch) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
}

// promise is called once for each record.
func (b *batch) promise(_ *kgo.Record, err error) {
	if err != nil {
		b.failed(err)
	}
	if b.left.Add(-1) > 0 {
		return
	}
	b.cancel()
	for i := range b.recs {
		b.recs[i].Partition, b.recs[i].Offset = b.out[i].Partition, b.out[i].Offset
		b.recs[i].LeaderEpoch = -1
	}
	if b.err != nil || !b.p.cfg.syncs() {
		b.finish(b.err)
		return
	}
	b.sync()
}

// sync finishes when all partitions that were written to are on disk.
func (b *batch) sync() {
	ends := map[logKey]int64{}
	for i := range b.out {
		r := &b.out[i]
		key := logKey{r.Topic, r.Partition}
		ends[key] = max(ends[key], r.Offset+1)
	}
	b.left.Store(int64(len(ends)))
	done := func(err error) {
		if err != nil {
			b.failed(err)
		}
		if b.left.Add(-1) == 0 {
			b.finish(b.err)
		}
	}
	for key, end := range ends {
		b.p.cfg.Embedded.syncer.sync(key.topic, key.partition, end, done)
	}
}

// finish tells the caller; err is nil or why not all is written.
func (b *batch) finish(err error) {
	if err != nil {
		err = classify(err)
		b.p.metrics.produceError(err)
	} else {
		b.p.metrics.produced.Add(float64(len(b.recs)))
	}
	b.done(err)
}

// classify says which of the errors above a failed produce is.
func classify(err error) error {
	kind := error(nil)
	switch {
	case errors.Is(err, context.Canceled):
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		kind = ErrTooLarge
	case errors.Is(err, kerr.UnknownServerError), // what kfake answers when the disk is full
		errors.Is(err, kgo.ErrRecordRetries), errors.Is(err, kgo.ErrMaxBuffered),
		errors.Is(err, kgo.ErrClientClosed), errors.Is(err, io.EOF), errors.Is(err, ErrUnavailable), unreachable(err), kerr.IsRetriable(err):
		kind = ErrUnavailable
	}
	if kind == nil {
		return fmt.Errorf("cannot write records: %w", err)
	}
	return fmt.Errorf("cannot write records: %w: %w", kind, err)
}

// partitioner takes a record's partition where it is set and lets Kafka's own
// hash (murmur2) of the key decide where it is -1.
type partitioner struct{ byKey kgo.Partitioner }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.byKey.ForTopic(topic)}
}

type topicPartitioner struct{ byKey kgo.TopicPartitioner }

func (t topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || t.byKey.RequiresConsistency(r)
}

func (t topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return t.byKey.Partition(r, n)
}
