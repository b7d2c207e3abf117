package engine

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/delivery"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// deliverFrom delivers a topic for one sink until ctx ends or something fails.
func (e *Engine) deliverFrom(ctx context.Context, group, topic string, q *delivery.Queue) error {
	info, err := kafka.Describe(ctx, e.client, topic)
	if err != nil {
		return err
	}
	h := newSinkHandler(q, e.log)
	h.takeUp = (&takeUp{e, q, group, topic, info.ID}).position
	copier := &positionCopies{store: e.store, group: group, topicID: info.ID, at: h.committed, done: map[int32]kafka.Position{}}
	var copying sync.WaitGroup
	defer copying.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	copying.Go(func() { copier.run(ctx, max(e.cfg.SnapshotInterval, copyInterval), e.log) })
	return h.run(ctx, e.client, group, topic, h)
}

// run reads with a handler that is h, or holds it.
func (h *sinkHandler) run(ctx context.Context, client kafka.Config, group, topic string, handler kafka.Handler) error {
	committing, stop := context.WithCancel(context.WithoutCancel(ctx)) // what is under way when ctx ends is committed, too
	var done sync.WaitGroup
	done.Go(func() { h.commitAsFinished(committing) })
	err := kafka.RunCommitted(ctx, client, group, topic, handler)
	stop()
	done.Wait()
	return err
}

// sinkHandler reads a topic for one sink. It commits as messages are finished:
// the offset of the oldest that is not, with the effect numbers below it and what
// is finished above it as metadata.
type sinkHandler struct {
	q   *delivery.Queue
	log *slog.Logger
	// takeUp says where to go on, given the last commit: offset -1 where there
	// is none.
	takeUp func(ctx context.Context, partition int32, last kafka.Position) (kafka.Position, error)

	mu       sync.Mutex
	commit   func(ctx context.Context, at map[int32]kafka.Position) error // guarded by mu
	restored map[int32]kafka.Position                                     // the last commit; guarded by mu
	assigned map[int32]kafka.Position                                     // with what was committed last; guarded by mu
}

func newSinkHandler(q *delivery.Queue, log *slog.Logger) *sinkHandler {
	return &sinkHandler{q: q, log: log, restored: map[int32]kafka.Position{}, assigned: map[int32]kafka.Position{},
		takeUp: func(_ context.Context, _ int32, last kafka.Position) (kafka.Position, error) { return last, nil }}
}

// Commits gives commitAsFinished what it commits with.
func (h *sinkHandler) Commits(commit func(ctx context.Context, at map[int32]kafka.Position) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commit = commit
}

// commitPause is how long a commit that failed is not tried again.
const commitPause = 100 * time.Millisecond

// commitAsFinished commits whenever something is finished.
func (h *sinkHandler) commitAsFinished(ctx context.Context) {
	for {
		select {
		case <-h.q.Dirty():
		case <-ctx.Done():
			return
		}
		for h.commitAll(ctx) != nil {
			select {
			case <-time.After(commitPause):
			case <-ctx.Done():
				return
			}
		}
	}
}

// commitAll commits what has changed, each partition by itself where one cannot
// be committed: it may have been given up.
func (h *sinkHandler) commitAll(ctx context.Context) error {
	at := map[int32]delivery.Position{}
	h.mu.Lock()
	for p, last := range h.assigned {
		next := h.q.Position(p)
		if next.Offset >= 0 && (next.Due || next.Offset != last.Offset || next.Metadata != last.Metadata) {
			at[p] = next
		}
	}
	h.mu.Unlock()
	if len(at) == 0 {
		return nil
	}
	if h.commitThese(ctx, at) == nil {
		return nil
	}
	var errs []error
	for p, position := range at {
		if h.owns(p) {
			errs = append(errs, h.commitThese(ctx, map[int32]delivery.Position{p: position}))
		}
	}
	err := errors.Join(errs...)
	if err != nil {
		h.log.Debug("cannot commit what was delivered", "error", err)
	}
	return err
}

func (h *sinkHandler) commitThese(ctx context.Context, positions map[int32]delivery.Position) error {
	at := make(map[int32]kafka.Position, len(positions))
	for p, position := range positions {
		at[p] = kafka.Position{Offset: position.Offset, Metadata: position.Metadata}
	}
	h.mu.Lock()
	commit := h.commit
	h.mu.Unlock()
	if err := commit(ctx, at); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, position := range positions {
		if _, ok := h.assigned[p]; ok {
			h.assigned[p] = at[p]
			h.q.Committed(p, position)
		}
	}
	return nil
}

// committed is what was committed last of the partitions that are this process's.
func (h *sinkHandler) committed() map[int32]kafka.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.assigned)
}

func (h *sinkHandler) owns(partition int32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.assigned[partition]
	return ok
}

// Restore notes the last commit.
func (h *sinkHandler) Restore(partition int32, offset int64, metadata string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.restored[partition] = kafka.Position{Offset: offset, Metadata: metadata}
}

// Assigned takes up what was committed last.
func (h *sinkHandler) Assigned(ctx context.Context, partition int32) (int64, error) {
	h.mu.Lock()
	last := h.restored[partition]
	h.mu.Unlock()
	at, err := h.takeUp(ctx, partition, last)
	if err != nil {
		return 0, err
	}
	h.q.Restore(partition, at.Offset, at.Metadata)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.assigned[partition] = last
	if at.Offset < 0 {
		return kafka.FromCommitted, nil
	}
	return at.Offset, nil
}

// Process hands a batch over.
func (h *sinkHandler) Process(ctx context.Context, partition int32, recs []streams.Record) error {
	return h.q.Handle(ctx, partition, recs)
}

// Position is what to commit at a partition's end.
func (h *sinkHandler) Position(partition int32) (offset int64, metadata string) {
	at := h.q.Position(partition)
	return at.Offset, at.Metadata
}

// Ending lets Process return.
func (h *sinkHandler) Ending(partition int32) { h.q.Stop(partition) }

// Revoked waits for what is being sent.
func (h *sinkHandler) Revoked(_ context.Context, partition int32) error {
	h.Lost(partition)
	return nil
}

// Lost likewise; what is finished by then is known if the partition comes back.
func (h *sinkHandler) Lost(partition int32) {
	h.q.Drain(partition)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.assigned, partition)
}
