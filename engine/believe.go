package engine

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

const (
	// silence is how long a partition's memory is believed without a tick of its
	// owner's: a process that was paused, or cut off, may have lost it meanwhile.
	silence = 3 * time.Second
	// beliefFor is how long what the store said of a silent partition's owner holds.
	beliefFor = time.Second
)

// belief says whether a partition's memory may be answered from.
type belief struct {
	ticked atomic.Int64 // Unix ms, when the owner's own tick was last read

	mu      sync.Mutex // held while the store is asked
	asked   time.Time  // guarded by mu
	deposed bool       // the store has a newer owner; guarded by mu
}

// tickOf is a tick of the owner with that epoch.
func tickOf(partition int32, epoch, now int64) streams.Record {
	return streams.Record{
		Topic: kafka.TopicEvents, Partition: partition, Time: now,
		Headers: []streams.Header{
			{Key: streams.HeaderClock, Value: clockLive}, {Key: streams.HeaderOwner, Value: strconv.AppendInt(nil, epoch, 10)},
		},
	}
}

// noteTicks notes the owner's own ticks among records of its partition.
func (p *partition) noteTicks(recs []streams.Record) {
	for i := range recs {
		if len(recs[i].Value) > 0 {
			continue
		}
		if epoch, err := strconv.ParseInt(string(recs[i].Header(streams.HeaderOwner)), 10, 64); err == nil && epoch == p.epoch {
			p.belief.ticked.Store(time.Now().UnixMilli())
		}
	}
}

// believes reports whether to answer from a partition's memory: not after three
// seconds without a tick of its own while the store shows a newer owner. A store
// that does not answer shows none.
func (e *Engine) believes(ctx context.Context, p *partition) bool {
	if e.broker != nil || !e.live.Load() || time.Now().UnixMilli()-p.belief.ticked.Load() < silence.Milliseconds() {
		return true
	}
	return !p.belief.ask(ctx, e.store, p)
}

func (b *belief) ask(ctx context.Context, store snapshot.Store, p *partition) (deposed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deposed || time.Since(b.asked) < beliefFor {
		return b.deposed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), copyPatience)
	defer cancel()
	head, err := store.Head(ctx, p.id)
	b.asked, b.deposed = time.Now(), err == nil && head.Epoch > p.epoch
	return b.deposed
}
