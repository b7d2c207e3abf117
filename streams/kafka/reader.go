package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rapport-engine/rapport/streams"
)

// ReadFrom reads partitions of a topic, without a group, from the given offsets
// (FromStart allowed; a nil map reads all partitions from their start) until
// ctx ends, then it returns nil, or fn fails. fn gets records of one partition
// at a time, in its order, from one goroutine; the slice is reused afterwards.
func ReadFrom(ctx context.Context, cfg Config, topic string, from map[int32]int64, fn func([]streams.Record) error) error {
	r, err := openReader(ctx, cfg, topic, from)
	if err != nil {
		return err
	}
	defer r.client.Close()
	for {
		if err := r.poll(ctx, fn); err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// ReadRange is ReadFrom up to, without, the offsets in to, which EndOffsets may
// have said; partitions not in to are not read. It returns nil when all is
// read, and ctx's error when that ends first.
func ReadRange(ctx context.Context, cfg Config, topic string, from, to map[int32]int64, fn func([]streams.Record) error) error {
	starts, err := StartOffsets(ctx, cfg, topic)
	if err != nil {
		return err
	}
	open, offsets := map[int32]int64{}, map[int32]int64{}
	for p, end := range to {
		offset, ok := from[p]
		if !ok || offset < 0 {
			offset = starts[p]
		}
		if offset < end {
			open[p], offsets[p] = end, offset
		}
	}
	if len(open) == 0 {
		return nil
	}
	r, err := openReader(ctx, cfg, topic, offsets)
	if err != nil {
		return err
	}
	defer r.client.Close()
	for len(open) > 0 {
		err := r.poll(ctx, func(recs []streams.Record) error { return upTo(open, recs, fn) })
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// upTo passes on the records before the partition's end, and closes it there.
func upTo(open map[int32]int64, recs []streams.Record, fn func([]streams.Record) error) error {
	end, ok := open[recs[0].Partition]
	if !ok {
		return nil
	}
	n := len(recs)
	for n > 0 && recs[n-1].Offset >= end {
		n--
	}
	if recs[len(recs)-1].Offset >= end-1 {
		delete(open, recs[0].Partition)
	}
	if n == 0 {
		return nil
	}
	return fn(recs[:n])
}

type reader struct {
	client  *kgo.Client
	name    string
	short   string
	next    map[int32]int64
	metrics *metrics
	cfg     *Config
	records []streams.Record
	headers []streams.Header
}

func openReader(ctx context.Context, cfg Config, topic string, from map[int32]int64) (*reader, error) {
	r := &reader{name: cfg.topic(topic), short: topic, next: maps.Clone(from), metrics: newMetrics(cfg.Registerer), cfg: &cfg}
	opts := fetchOptions()
	opts = append(opts, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if from == nil {
		r.next = map[int32]int64{}
		opts = append(opts, kgo.ConsumeTopics(r.name), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	} else {
		partitions := map[int32]kgo.Offset{}
		for p, offset := range from {
			partitions[p] = kgo.NewOffset().AtStart()
			if offset >= 0 {
				partitions[p] = kgo.NewOffset().At(offset)
			}
		}
		opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.name: partitions}))
	}
	client, err := cfg.connect(opts...)
	if err != nil {
		return nil, err
	}
	r.client = client
	if err := checkOffsets(ctx, kadm.NewClient(client), r.name, from); err != nil {
		client.Close()
		return nil, err
	}
	return r, nil
}

// poll waits for records and passes them on; nil when ctx ends.
func (r *reader) poll(ctx context.Context, fn func([]streams.Record) error) error {
	fetches := r.client.PollRecords(ctx, pollRecords)
	var failure error
	fetches.EachError(func(_ string, partition int32, err error) {
		if failure == nil {
			failure = r.fetchError(ctx, partition, err)
		}
	})
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		for recs := p.Records; len(recs) > 0 && failure == nil; {
			chunk := recs[:min(chunkRecords, len(recs))]
			recs = recs[len(chunk):]
			r.records, r.headers = convert(r.records[:0], r.headers[:0], chunk, r.short)
			next := chunk[len(chunk)-1].Offset + 1
			if failure = r.cfg.durable(ctx, r.short, p.Partition, next); failure == nil {
				failure = fn(r.records)
			} else if ctx.Err() != nil {
				failure = nil
				return
			}
			r.next[p.Partition] = next
			r.metrics.consumed.WithLabelValues(r.short).Add(float64(len(chunk)))
		}
	})
	return failure
}

// fetchError is nil for what heals by itself.
func (r *reader) fetchError(ctx context.Context, partition int32, err error) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, kerr.OffsetOutOfRange):
		wanted := map[int32]int64{partition: r.next[partition]}
		if checked := checkOffsets(ctx, kadm.NewClient(r.client), r.name, wanted); checked != nil {
			return checked
		}
	case kerr.IsRetriable(err), unreachable(err):
		if r.cfg.Logger != nil {
			r.cfg.Logger.Warn("reading is interrupted", "topic", r.name, "partition", partition, "error", err)
		}
		return nil
	}
	return fmt.Errorf("cannot read partition %d of %q: %w", partition, r.name, err)
}
