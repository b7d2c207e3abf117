package delivery

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// Remembered is how many records of `retry` are told apart: of two copies of a
// message that moved, no further from each other, the second is dropped.
const Remembered = 100_000

// retryInfo is the header HeaderRetry.
type retryInfo struct {
	sink  string    // whose message it is
	first time.Time // when it was first tried; zero: unknown
	turn  int       // how often it has moved before
}

func retryOf(rec *streams.Record) retryInfo {
	fields := strings.Fields(string(rec.Header(streams.HeaderRetry)))
	fields = append(fields, "", "", "")
	info := retryInfo{sink: fields[0]}
	if ms, err := strconv.ParseInt(fields[1], 10, 64); err == nil && ms > 0 {
		info.first = time.UnixMilli(ms)
	}
	if turn, err := strconv.Atoi(fields[2]); err == nil {
		info.turn = turn
	}
	return info
}

func (i retryInfo) String() string {
	return fmt.Sprintf("%s %d %d", i.sink, i.first.UnixMilli(), i.turn)
}

// moved is a message's way to the end of `retry`.
func (q *Queue) moved(it *item, first time.Time) *outcome {
	info := retryInfo{sink: q.d.c.Sink.Name(), first: first}
	if q.again {
		info.turn = retryOf(&it.rec).turn + 1
	}
	rec := &streams.Record{Topic: "retry", Partition: -1, Key: it.rec.Key, Value: it.rec.Value,
		Headers: []streams.Header{{Key: streams.HeaderRetry, Value: []byte(info.String())}}}
	if number := it.rec.Header(streams.HeaderEffect); number != nil {
		rec.Headers = append(rec.Headers, streams.Header{Key: streams.HeaderEffect, Value: number})
	}
	return &outcome{suffix: ".retry", moved: rec}
}

// intend commits that a message moves before it does: whoever has the partition
// next moves it, too, and never sends it from here. Of the two copies that may
// then be in `retry`, the second is dropped there.
func (q *Queue) intend(ctx context.Context, p *partition, it *item) error {
	p.mu.Lock()
	known := p.moving.has(it.rec.Offset)
	if !known {
		p.moving.add(it.rec.Offset)
	}
	p.mu.Unlock()
	if known {
		return nil
	}
	return q.confirm(ctx, p)
}

// moves is which of a sink's moves `retry` has held, and the offset of the first
// copy of each.
type moves struct {
	sink  string
	mu    sync.Mutex
	first map[[16]byte]int64 // guarded by mu
	to    int64              // all records below are in it; guarded by mu
}

// twice notes a record of `retry`, and reports whether an earlier one is its copy.
func (m *moves) twice(rec *streams.Record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.to = max(m.to, rec.Offset+1)
	info := retryOf(rec)
	if info.sink != m.sink {
		return false
	}
	number := rec.Header(streams.HeaderEffect)
	if number == nil {
		number = rec.Value
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", info.turn, number))
	key := [16]byte(sum[:16])
	if first, ok := m.first[key]; ok {
		return first < rec.Offset
	}
	m.first[key] = rec.Offset
	if len(m.first) > 2*Remembered {
		for k, o := range m.first {
			if o < rec.Offset-Remembered {
				delete(m.first, k)
			}
		}
	}
	return false
}

// Unseen is the offset from which on the queue of `retry` has to be shown, by
// Saw, the records below offset, before it is restored there.
func (q *Queue) Unseen(offset int64) int64 {
	q.moves.mu.Lock()
	defer q.moves.mu.Unlock()
	return max(q.moves.to, offset-Remembered)
}

// Saw shows records of `retry` that are not handed over.
func (q *Queue) Saw(recs []streams.Record) {
	for i := range recs {
		q.moves.twice(&recs[i])
	}
}
