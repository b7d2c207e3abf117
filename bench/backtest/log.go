package backtest

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// Log reads what producers wrote to the log, and the changes of the catalogue, of
// all partitions in the order of time: a datasets.Reader. Events have the time at
// which they were logged. What Rapport wrote itself is left out: the replay makes
// it anew. Items that did not change while the log lasts are known from its
// beginning.
type Log struct {
	cancel  context.CancelFunc
	readers sync.WaitGroup
	heads   heads
	seeds   [][]byte // changes of the catalogue before the log
	current *logPart // whose first record Next has returned
}

// logged is a record of the log, copied.
type logged struct {
	key, value, trust []byte
	kind              string
	at                int64
	offset            int64
}

// logPart reads one partition ahead.
type logPart struct {
	partition int32
	batches   chan []logged
	failed    error // set before batches is closed
	batch     []logged
}

// maxSeeds is how many items are told of at once.
const maxSeeds = 500

// OpenLog begins to read the log, up to where it ends now. Close ends it.
func OpenLog(ctx context.Context, cfg kafka.Config) (*Log, error) {
	ends, err := kafka.EndOffsets(ctx, cfg, kafka.TopicEvents)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Log{cancel: cancel}
	if l.seeds, err = readSeeds(ctx, cfg, ends[0]); err != nil {
		cancel()
		return nil, err
	}
	var parts []*logPart
	for p, end := range ends { // map order: each by itself
		part := &logPart{partition: p, batches: make(chan []logged, 2)}
		parts = append(parts, part)
		l.readers.Go(func() { part.read(ctx, cfg, end) })
	}
	for _, p := range parts {
		more, err := p.next()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if more {
			l.heads = append(l.heads, p)
		}
	}
	heap.Init(&l.heads)
	return l, nil
}

// Close ends the reading.
func (l *Log) Close() error {
	l.cancel()
	l.readers.Wait()
	return nil
}

// Next implements datasets.Reader.
func (l *Log) Next(ev *datasets.Event) error {
	if l.current != nil {
		more, err := l.current.next()
		switch {
		case err != nil:
			return err
		case more:
			heap.Fix(&l.heads, 0)
		default:
			heap.Pop(&l.heads)
		}
		l.current = nil
	}
	if len(l.heads) == 0 {
		return io.EOF
	}
	first := &l.heads[0].batch[0]
	if len(l.seeds) > 0 {
		*ev = datasets.Event{JSON: l.seeds[0], Kind: streams.KindCatalog, At: first.at}
		l.seeds = l.seeds[1:]
		return nil
	}
	l.current = l.heads[0]
	*ev = datasets.Event{JSON: first.value, Key: first.key, Trust: first.trust, Kind: first.kind, At: first.at, Line: int(first.offset) + 1}
	return nil
}

// read reads the partition up to an offset.
func (p *logPart) read(ctx context.Context, cfg kafka.Config, end int64) {
	defer close(p.batches)
	p.failed = kafka.ReadRange(ctx, cfg, kafka.TopicEvents, nil, map[int32]int64{p.partition: end}, func(recs []streams.Record) error {
		batch := make([]logged, 0, len(recs))
		for i := range recs {
			if r, ok := p.keep(&recs[i]); ok {
				batch = append(batch, r)
			}
		}
		if len(batch) == 0 {
			return nil
		}
		select {
		case p.batches <- batch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// keep copies what is to be replayed: events where they were first logged, and of
// one partition the changes of the catalogue, which are in all.
func (p *logPart) keep(rec *streams.Record) (r logged, ok bool) {
	kind := string(rec.Header(streams.HeaderKind))
	if len(rec.Value) == 0 || kind != "" && (kind != streams.KindCatalog || p.partition != 0) {
		return r, false
	}
	at := rec.Time
	if t, history := streams.ParseHistory(rec.Header(streams.HeaderClock)); history {
		at = t
	}
	return logged{key: slices.Clone(rec.Key), value: slices.Clone(rec.Value), trust: slices.Clone(rec.Header(streams.HeaderTrust)),
		kind: kind, at: at, offset: rec.Offset}, true
}

// next goes on to the next record; false at the end.
func (p *logPart) next() (bool, error) {
	if len(p.batch) > 1 {
		p.batch = p.batch[1:]
		return true, nil
	}
	batch, ok := <-p.batches
	if p.batch = batch; ok {
		return true, nil
	}
	if p.failed != nil {
		return false, fmt.Errorf("cannot read the log: %w", p.failed)
	}
	return false, nil
}

// errFound ends a look for the first change of the catalogue.
var errFound = errors.New("found")

// readSeeds makes changes of the items that have not changed since the log begins,
// end being where its partition 0 ends.
func readSeeds(ctx context.Context, cfg kafka.Config, end int64) (seeds [][]byte, err error) {
	first := int64(-1)
	err = kafka.ReadRange(ctx, cfg, kafka.TopicEvents, nil, map[int32]int64{0: end}, func(recs []streams.Record) error {
		for i := range recs {
			var c streams.CatalogChanges
			if string(recs[i].Header(streams.HeaderKind)) == streams.KindCatalog && json.Unmarshal(recs[i].Value, &c) == nil && len(c.Changes) > 0 {
				first = c.Changes[0].Number
				return errFound
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	ends, err := kafka.EndOffsets(ctx, cfg, kafka.TopicCatalog)
	if err != nil {
		return nil, err
	}
	latest := map[string]streams.CatalogChange{}
	err = kafka.ReadRange(ctx, cfg, kafka.TopicCatalog, nil, ends, func(recs []streams.Record) error {
		for i := range recs {
			c := streams.CatalogChange{Number: recs[i].Offset + 1, ID: string(recs[i].Key)}
			if len(recs[i].Value) > 0 && json.Unmarshal(recs[i].Value, &c.New) != nil {
				continue
			}
			latest[c.ID] = c
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return encodeSeeds(latest, first)
}

// encodeSeeds encodes those before a change, in their order.
func encodeSeeds(latest map[string]streams.CatalogChange, before int64) (seeds [][]byte, err error) {
	var all []streams.CatalogChange
	for _, c := range latest {
		if c.New != nil && (before < 0 || c.Number < before) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b streams.CatalogChange) int { return int(a.Number - b.Number) })
	for some := range slices.Chunk(all, maxSeeds) {
		seed, err := json.Marshal(streams.CatalogChanges{Changes: some})
		if err != nil {
			return nil, fmt.Errorf("cannot encode the catalogue: %w", err)
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}

// heads are the partitions by the time of their next record.
type heads []*logPart

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (h heads) Len() int { return len(h) }
func (h heads) Less(i, j int) bool {
	a, b := h[i].batch[0].at, h[j].batch[0].at
	return a < b || a == b && h[i].partition < h[j].partition
}
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(x any)   { *h = append(*h, x.(*logPart)) }
func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
