package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rapport-engine/rapport/streams"
)

// Where to read from, beside an offset.
const (
	FromStart     int64 = -1 // the first record that the log holds
	FromCommitted int64 = -2 // where the group's commit says; else the first record
)

// Handler folds the partitions of a topic that a group assigns to this process.
// The calls about one partition come from one goroutine, those about several
// partitions from several at once. An error ends RunGroup with it, after the
// other partitions were revoked.
type Handler interface {
	// Assigned prepares for a partition and says where to read from: the
	// offset of the next record, FromStart or FromCommitted.
	Assigned(ctx context.Context, partition int32) (offset int64, err error)
	// Process takes the next records, in order, at most a few thousand. recs
	// and its Headers slices are reused afterwards; keys and values are not.
	// Its ctx ends when the partition is lost, or was asked for back and a
	// Process or Revoked takes too long.
	Process(ctx context.Context, partition int32, recs []streams.Record) error
	// Revoked ends a partition that another process will have, or that this
	// one stops with, while it still belongs to this one.
	Revoked(ctx context.Context, partition int32) error
	// Lost ends a partition that another process may already have, or whose
	// Assigned or Process failed: nothing may be written for it any more.
	Lost(partition int32)
}

// Positioner is implemented by handlers of RunCommitted that commit something
// else than what Process has taken, or metadata with it.
type Positioner interface {
	// Restore tells, before Assigned, what the group's commit of a partition
	// holds: offset -1 and "" where there is none.
	Restore(partition int32, offset int64, metadata string)
	// Position is asked after each Process what to commit.
	Position(partition int32) (offset int64, metadata string)
}

// Position is what is committed of a partition.
type Position struct {
	Offset   int64
	Metadata string
}

// Committer is implemented by Positioners whose records are not done when Process
// returns: they commit themselves, whenever something is, and Position is asked
// when a partition ends.
type Committer interface {
	// Commits gives, before any partition is assigned, and again where the group
	// is joined anew, what writes positions and waits for the answer. It may be
	// called until RunCommitted returns.
	Commits(commit func(ctx context.Context, at map[int32]Position) error)
	// Ending tells that Process need not take the rest of its records: Revoked or
	// Lost will come.
	Ending(partition int32)
}

const (
	pollRecords   = 10_000
	chunkRecords  = 2_048  // given to Process at once
	queuedRecords = 40_000 // polled and not yet processed, in all partitions
	partRecords   = 20_000 // in one, from which on it is paused
	commitEvery   = 5 * time.Second
	drainTimeout  = 15 * time.Second
	rebalanceTime = 60 * time.Second
)

// RunGroup reads topic as a member of group until ctx ends (then it returns nil,
// all partitions revoked) or something fails. Where a partition starts is what
// Assigned says; the group's commits are only for watching lag. Members keep
// their partitions over a restart within the session timeout when they have an
// Instance; a name that another process runs under is an error, once each has taken
// it from the other a few times. An offset that the log does not hold is an
// *OffsetError.
func RunGroup(ctx context.Context, cfg Config, group, topic string, h Handler) error {
	return keepJoined(ctx, cfg, group, topic, h, false)
}

// RunCommitted is RunGroup for handlers whose truth is the group's commit: it
// is written after each Process. Where a commit finds that the group has
// forgotten this process, it loses all partitions and joins anew.
func RunCommitted(ctx context.Context, cfg Config, group, topic string, h Handler) error {
	return keepJoined(ctx, cfg, group, topic, h, true)
}

// group is one membership.
type group struct {
	cfg       *Config
	name      string // with prefix
	topic     string // with prefix
	short     string // without
	handler   Handler
	committed bool
	self      Committer // nil: the group commits after each Process
	client    *kgo.Client
	admin     *kadm.Client
	metrics   *metrics
	fail      context.CancelCauseFunc

	committing sync.Mutex // held while positions are written

	queued atomic.Int64
	room   chan struct{} // has one when queued went down

	mu      sync.Mutex
	workers map[int32]*worker // guarded by mu
	stopped bool              // guarded by mu
}

func runGroup(ctx context.Context, cfg Config, name, topic string, h Handler, committed bool) error {
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	g := &group{
		cfg: &cfg, name: cfg.Prefix + name, topic: cfg.topic(topic), short: topic, handler: h, committed: committed,
		metrics: newMetrics(cfg.Registerer), fail: fail, room: make(chan struct{}, 1), workers: map[int32]*worker{},
	}
	g.mu.Lock() // the client's callbacks, which may come at once, wait for what is set here
	client, err := cfg.connect(g.options()...)
	if err != nil {
		g.mu.Unlock()
		return err
	}
	g.client, g.admin = client, kadm.NewClient(client)
	if c, ok := h.(Committer); ok && committed {
		g.self = c
		c.Commits(g.commitAt)
	}
	g.mu.Unlock()
	g.poll(running)
	err = g.stop(outOfGroup(context.Cause(running)))
	client.CloseAllowingRebalance()
	if ctx.Err() == nil { // not asked to stop
		return context.Cause(running)
	}
	return err
}

func (g *group) options() []kgo.Opt {
	session := g.cfg.sessionTimeout()
	opts := []kgo.Opt{
		kgo.ConsumerGroup(g.name),
		kgo.ConsumeTopics(g.topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(min(session/3, 3*time.Second)),
		kgo.RebalanceTimeout(rebalanceTime),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.OnPartitionsAssigned(g.onAssigned),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { g.end(parts[g.topic], false) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { g.end(parts[g.topic], true) }),
		kgo.AdjustFetchOffsetsFn(g.adjust),
	}
	if g.cfg.Instance != "" {
		opts = append(opts, kgo.InstanceID(g.cfg.Instance))
	}
	return append(opts, fetchOptions()...)
}

// fetchOptions bound what a client holds that was fetched but not yet polled.
func fetchOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.FetchMaxBytes(16 << 20),
		kgo.FetchMaxPartitionBytes(2 << 20),
		kgo.FetchMaxWait(500 * time.Millisecond),
	}
}

// poll hands records to the workers until ctx ends.
func (g *group) poll(ctx context.Context) {
	lastCommit := time.Now()
	for ctx.Err() == nil {
		fetches := g.client.PollRecords(ctx, pollRecords)
		fetches.EachError(func(_ string, partition int32, err error) { g.fetchError(ctx, partition, err) })
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) > 0 {
				g.enqueue(&p)
			}
		})
		g.client.AllowRebalance()
		if !g.committed && time.Since(lastCommit) > commitEvery {
			lastCommit = time.Now()
			g.commitProgress(ctx)
		}
		for ctx.Err() == nil && g.queued.Load() > queuedRecords {
			select {
			case <-ctx.Done():
			case <-g.room:
			}
		}
	}
}

// fetchError ends the group on what does not heal by itself.
func (g *group) fetchError(ctx context.Context, partition int32, err error) {
	var session *kgo.ErrGroupSession
	switch {
	case ctx.Err() != nil, errors.Is(err, kgo.ErrClientClosed):
		return
	case errors.Is(err, kerr.OffsetOutOfRange):
		err = g.outOfRange(ctx, partition, err)
	case errors.Is(err, kerr.FencedInstanceID):
		err = fmt.Errorf("group %q gave this process's name to another: %w", g.name, err)
	case errors.As(err, &session) && (kerr.IsRetriable(err) || !fatal(err)), kerr.IsRetriable(err), unreachable(err):
		if g.cfg.Logger != nil {
			g.cfg.Logger.Warn("reading is interrupted", "topic", g.topic, "group", g.name, "error", err)
		}
		return
	default:
		err = fmt.Errorf("cannot read partition %d of %q: %w", partition, g.topic, err)
	}
	g.fail(err)
}

// fatal reports whether a group's error needs somebody to change something.
func fatal(err error) bool {
	for _, e := range []error{
		kerr.GroupAuthorizationFailed, kerr.TopicAuthorizationFailed, kerr.SaslAuthenticationFailed, kerr.ClusterAuthorizationFailed,
		kerr.InconsistentGroupProtocol, kerr.InvalidSessionTimeout, kerr.InvalidGroupID, kerr.GroupMaxSizeReached,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// outOfRange is the OffsetError of what a worker wanted to read.
func (g *group) outOfRange(ctx context.Context, partition int32, err error) error {
	wanted := int64(-1)
	if w := g.worker(partition); w != nil {
		wanted = w.fetched.Load()
	}
	if checked := checkOffsets(ctx, g.admin, g.topic, map[int32]int64{partition: wanted}); checked != nil {
		return checked
	}
	return fmt.Errorf("cannot read partition %d of %q from offset %d: %w", partition, g.topic, wanted, err)
}

func (g *group) worker(partition int32) *worker {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.workers[partition]
}

func (g *group) onAssigned(_ context.Context, client *kgo.Client, parts map[string][]int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	member, _ := client.GroupMetadata()
	for _, p := range parts[g.topic] {
		if g.workers[p] == nil && !g.stopped {
			g.workers[p] = startWorker(g, p, member)
		}
	}
}

// adjust tells the client where to read from, once the handler is ready.
func (g *group) adjust(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	wanted := map[int32]int64{}
	for p, committed := range offsets[g.topic] {
		w := g.worker(p)
		if w == nil {
			return nil, fmt.Errorf("partition %d is no longer ours", p)
		}
		offset, err := w.restored(ctx, committed.EpochOffset().Offset)
		if err != nil {
			return nil, err
		}
		wanted[p] = offset
		if offset == FromStart {
			offsets[g.topic][p] = kgo.NewOffset().AtStart()
		} else {
			offsets[g.topic][p] = kgo.NewOffset().At(offset).WithEpoch(-1)
		}
	}
	if err := checkOffsets(ctx, g.admin, g.topic, wanted); err != nil {
		var gone *OffsetError
		if errors.As(err, &gone) {
			g.fail(err)
		}
		return nil, err
	}
	return offsets, nil
}

func (g *group) enqueue(p *kgo.FetchTopicPartition) {
	w := g.worker(p.Partition)
	if w == nil {
		return
	}
	g.metrics.lag.WithLabelValues(g.name, g.short, strconv.Itoa(int(p.Partition))).
		Set(float64(p.HighWatermark - p.Records[len(p.Records)-1].Offset - 1))
	w.enqueue(p.Records)
}

// end takes partitions away, each once its worker has finished.
func (g *group) end(partitions []int32, lost bool) {
	g.mu.Lock()
	var ending []*worker
	for _, p := range partitions {
		if w := g.workers[p]; w != nil {
			delete(g.workers, p)
			ending = append(ending, w)
		}
	}
	g.mu.Unlock()
	finish(ending, lost)
	if !lost {
		g.commit(ending)
	}
}

// stop revokes everything, or loses it, and returns the first error of a Revoked.
func (g *group) stop(lost bool) error {
	g.mu.Lock()
	g.stopped = true
	ending := make([]*worker, 0, len(g.workers))
	for p, w := range g.workers {
		delete(g.workers, p)
		ending = append(ending, w)
	}
	g.mu.Unlock()
	finish(ending, lost)
	if !lost {
		g.commit(ending)
	}
	for _, w := range ending {
		if w.err != nil {
			return w.err
		}
	}
	return nil
}

// finish asks all workers to end and waits for them.
func finish(ending []*worker, lost bool) {
	for _, w := range ending {
		w.quit(lost)
	}
	timeout := time.AfterFunc(drainTimeout, func() {
		for _, w := range ending {
			w.cancel()
		}
	})
	defer timeout.Stop()
	for _, w := range ending {
		<-w.done
	}
}
