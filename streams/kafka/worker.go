package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rapport-engine/rapport/streams"
)

// worker is the goroutine of one partition that a group has assigned.
type worker struct {
	g         *group
	partition int32
	member    string          // whom the group gave it to
	ctx       context.Context // of the handler's calls
	cancel    context.CancelFunc
	stop      chan struct{} // closed: end after the chunk in hand
	done      chan struct{} // closed at the end
	wake      chan struct{} // has one when the queue got something

	ready  chan struct{} // closed when offset and err are those of Assigned
	offset int64
	err    error // of the handler; readable after ready or done

	lost     atomic.Bool
	expected atomic.Int64 // next offset to process; below 0 unknown
	fetched  atomic.Int64 // next offset to fetch; below 0 unknown

	mu     sync.Mutex
	queue  [][]*kgo.Record // guarded by mu
	length int             // of all in queue; guarded by mu
	paused bool            // guarded by mu
	ended  bool            // stop is closed; guarded by mu

	records []streams.Record // reused by process
	headers []streams.Header
}

func startWorker(g *group, partition int32, member string) *worker {
	ctx, cancel := context.WithCancel(context.Background())
	w := &worker{
		g: g, partition: partition, member: member, ctx: ctx, cancel: cancel,
		stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
		ready: make(chan struct{}),
	}
	w.expected.Store(-1)
	w.fetched.Store(-1)
	go w.run()
	return w
}

// run is the life of a partition in this process.
func (w *worker) run() {
	defer close(w.done)
	defer w.cancel()
	defer w.discard()
	h := w.g.handler
	if err := w.assign(); err != nil {
		h.Lost(w.partition)
		return
	}
	err := w.work()
	if err != nil && w.ctx.Err() == nil {
		w.failed("process", err)
	}
	if err != nil || w.lost.Load() {
		h.Lost(w.partition)
		return
	}
	if err := h.Revoked(w.ctx, w.partition); err != nil {
		w.failed("release", err)
	}
}

// failed ends the whole group with the handler's error.
func (w *worker) failed(what string, err error) {
	w.err = fmt.Errorf("cannot %s partition %d of %q: %w", what, w.partition, w.g.topic, err)
	w.g.fail(w.err)
}

// assign lets the handler prepare and tells adjust what it said.
func (w *worker) assign() error {
	defer close(w.ready)
	if p, ok := w.g.handler.(Positioner); ok && w.g.committed {
		offset, metadata, err := w.commitOf()
		if err != nil {
			return w.assignFailed(err)
		}
		p.Restore(w.partition, offset, metadata)
	}
	offset, err := w.g.handler.Assigned(w.ctx, w.partition)
	if err != nil {
		return w.assignFailed(err)
	}
	w.offset = offset
	w.expected.Store(offset)
	w.fetched.Store(offset)
	return nil
}

func (w *worker) assignFailed(err error) error {
	w.err = err
	if w.ctx.Err() == nil {
		w.failed("take over", err)
	}
	return err
}

// commitOf reads the group's commit of the partition.
func (w *worker) commitOf() (offset int64, metadata string, err error) {
	fetched, err := w.g.admin.FetchOffsetsForTopics(w.ctx, w.g.name, w.g.topic)
	if err != nil {
		return -1, "", fmt.Errorf("cannot read the commit: %w", reached(err))
	}
	o, ok := fetched.Lookup(w.g.topic, w.partition)
	if !ok || o.At < 0 {
		return -1, "", o.Err
	}
	return o.At, o.Metadata, o.Err
}

// restored waits for Assigned and returns where to read from, given the group's
// commit (below 0 = none).
func (w *worker) restored(ctx context.Context, committed int64) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-w.ready:
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case w.offset == FromCommitted && committed >= 0:
		return committed, nil
	case w.offset < 0:
		return FromStart, nil
	}
	return w.offset, nil
}

// enqueue adds polled records, pausing a partition that has too many.
func (w *worker) enqueue(recs []*kgo.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.queue = append(w.queue, recs)
	w.fetched.Store(recs[len(recs)-1].Offset + 1)
	w.length += len(recs)
	w.g.queued.Add(int64(len(recs)))
	if w.length > partRecords && !w.paused {
		w.paused = true
		w.g.client.PauseFetchPartitions(map[string][]int32{w.g.topic: {w.partition}})
	}
	notify(w.wake)
}

func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// next returns records to process, nil at the end.
func (w *worker) next() []*kgo.Record {
	for {
		w.mu.Lock()
		if !w.ended && len(w.queue) > 0 {
			recs := w.queue[0]
			if len(recs) > chunkRecords {
				w.queue[0] = recs[chunkRecords:]
				recs = recs[:chunkRecords]
			} else {
				w.queue = w.queue[1:]
			}
			w.length -= len(recs)
			if w.paused && w.length < partRecords/2 {
				w.resume()
			}
			w.mu.Unlock()
			return recs
		}
		w.mu.Unlock()
		select {
		case <-w.stop:
			return nil
		case <-w.wake:
		}
	}
}

// resume is called with mu held.
func (w *worker) resume() {
	w.paused = false
	w.g.client.ResumeFetchPartitions(map[string][]int32{w.g.topic: {w.partition}})
}

// work processes the queue until the partition is taken away.
func (w *worker) work() error {
	for {
		recs := w.next()
		if recs == nil {
			return nil
		}
		w.records, w.headers = convert(w.records[:0], w.headers[:0], recs, w.g.short)
		err := w.g.cfg.durable(w.ctx, w.g.short, w.partition, recs[len(recs)-1].Offset+1)
		if err == nil {
			err = w.g.handler.Process(w.ctx, w.partition, w.records)
		}
		w.g.queued.Add(-int64(len(recs)))
		notify(w.g.room)
		if err != nil {
			return err
		}
		w.expected.Store(recs[len(recs)-1].Offset + 1)
		w.g.metrics.consumed.WithLabelValues(w.g.short).Add(float64(len(recs)))
		if w.g.committed && w.g.self == nil && !w.lost.Load() {
			w.g.commit([]*worker{w})
		}
	}
}

// quit asks the worker to end; it does not wait.
func (w *worker) quit(lost bool) {
	w.mu.Lock()
	ended := w.ended
	w.ended = true
	w.mu.Unlock()
	if lost {
		w.lost.Store(true)
	}
	if !ended {
		close(w.stop)
		if w.g.self != nil {
			w.g.self.Ending(w.partition)
		}
	}
	restoring := false
	select {
	case <-w.ready:
	default:
		restoring = true
	}
	if lost || restoring { // nothing to drain
		w.cancel()
	}
}

// discard forgets what is queued and will be read by the next owner.
func (w *worker) discard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.g.queued.Add(-int64(w.length))
	w.queue, w.length, w.ended = nil, 0, true
	if w.paused {
		w.resume()
	}
	notify(w.g.room)
}

// commitProgress commits what was processed, for watching lag, without waiting.
func (g *group) commitProgress(ctx context.Context) {
	g.mu.Lock()
	workers := make([]*worker, 0, len(g.workers))
	for _, w := range g.workers {
		workers = append(workers, w)
	}
	g.mu.Unlock()
	if offsets, _ := g.positions(workers); len(offsets) > 0 {
		g.client.CommitOffsets(ctx, map[string]map[int32]kgo.EpochOffset{g.topic: offsets}, nil)
	}
}

// positions returns what to commit of workers, with metadata where there is any.
func (g *group) positions(workers []*worker) (map[int32]kgo.EpochOffset, map[int32]string) {
	offsets, metadata := map[int32]kgo.EpochOffset{}, map[int32]string{}
	for _, w := range workers {
		offset := w.expected.Load()
		if p, ok := g.handler.(Positioner); ok && g.committed {
			var text string
			if offset, text = p.Position(w.partition); text != "" {
				metadata[w.partition] = text
			}
		}
		if offset >= 0 && !w.lost.Load() {
			offsets[w.partition] = kgo.EpochOffset{Epoch: -1, Offset: offset}
		}
	}
	return offsets, metadata
}

// commit writes the workers' positions and waits for the answer. A commit that
// fails is made up for by the next one; until then a restart repeats more.
func (g *group) commit(workers []*worker) {
	g.committing.Lock()
	defer g.committing.Unlock()
	offsets, metadata := g.positions(workers)
	if err := g.write(context.Background(), workers, offsets, metadata); err != nil && g.cfg.Logger != nil {
		g.cfg.Logger.Debug("cannot commit offsets", "group", g.name, "topic", g.topic, "error", err)
	}
}

// commitAt writes positions of the partitions that are still this process's.
func (g *group) commitAt(ctx context.Context, at map[int32]Position) error {
	g.committing.Lock() // the last one of a partition is that of its end
	defer g.committing.Unlock()
	offsets, metadata := map[int32]kgo.EpochOffset{}, map[int32]string{}
	workers := make([]*worker, 0, len(at))
	for p, position := range at {
		w := g.worker(p)
		if w == nil {
			return fmt.Errorf("cannot commit partition %d of %q: %w", p, g.topic, errNotOurs)
		}
		workers = append(workers, w)
		offsets[p], metadata[p] = kgo.EpochOffset{Epoch: -1, Offset: position.Offset}, position.Metadata
	}
	return g.write(ctx, workers, offsets, metadata)
}

var (
	// errNotOurs is returned for the commit of a partition that was given up.
	errNotOurs = errors.New("it is no longer ours")
	// errForgotten ends a membership whose partitions others may have had: the
	// session ran out, be it that the client has joined anew since.
	errForgotten = errors.New("the group no longer knows this process: it was silent for longer than its session")
)

// write commits and waits for the answer. The group takes a commit of whatever
// partition from whoever is a member; so each is checked to have been given to
// the member that the request names, before which nobody can have had it.
func (g *group) write(ctx context.Context, workers []*worker, offsets map[int32]kgo.EpochOffset, metadata map[int32]string) error {
	if len(offsets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for _, w := range workers {
			switch {
			case w.lost.Load():
				return fmt.Errorf("cannot commit partition %d of %q: %w", w.partition, g.topic, errNotOurs)
			case w.member != req.MemberID:
				return fmt.Errorf("cannot commit partition %d of %q: %w", w.partition, g.topic, errForgotten)
			}
		}
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				if text, ok := metadata[req.Topics[i].Partitions[j].Partition]; ok {
					req.Topics[i].Partitions[j].Metadata = &text
				}
			}
		}
		return nil
	})
	var failure error
	g.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{g.topic: offsets}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, res *kmsg.OffsetCommitResponse, err error) {
		if failure = err; err == nil {
			failure = refusedCommit(res)
		}
	})
	switch {
	case failure == nil && g.committed:
		failure = g.cfg.durableCommits(ctx)
	case g.committed && (errors.Is(failure, errForgotten) || errors.Is(failure, kerr.UnknownMemberID)):
		g.fail(errForgotten)
	case g.committed && errors.Is(failure, kerr.FencedInstanceID):
		g.fail(failure)
	}
	return failure
}

// refusedCommit is the first error in the answer to a commit.
func refusedCommit(res *kmsg.OffsetCommitResponse) error {
	if res == nil {
		return nil
	}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("cannot commit partition %d: %w", p.Partition, err)
			}
		}
	}
	return nil
}

// convert appends recs to dst, their headers to headers.
func convert(dst []streams.Record, headers []streams.Header, recs []*kgo.Record, topic string) ([]streams.Record, []streams.Header) {
	for _, r := range recs {
		rec := streams.Record{
			Topic: topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UnixMilli(),
			Key: r.Key, Value: r.Value, LeaderEpoch: r.LeaderEpoch,
		}
		if len(r.Headers) > 0 {
			first := len(headers)
			for _, h := range r.Headers {
				headers = append(headers, streams.Header(h))
			}
			rec.Headers = headers[first:len(headers):len(headers)]
		}
		dst = append(dst, rec)
	}
	return dst, headers
}
