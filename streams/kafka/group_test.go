package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rapport-engine/rapport/streams"
)

func TestGroupReadsInOrder(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{})
	p := newProducer(t, cfg)
	f := newFolder()
	m := join(t, cfg, f, RunGroup)
	const n = 5000
	for first := 0; first < n; first += 1000 {
		for part := range cfg.Partitions {
			produce(t, p, numbered(part, first, 1000))
		}
	}
	f.wait(t, "all records", func() bool { return f.count() == n*4 })
	f.checkOrder(t, n)
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	f.wait(t, "revoked", func() bool { return f.owns() == 0 })
	if slices.Contains(f.log, "lost 0") {
		t.Errorf("lost at a clean stop: %v", f.log)
	}
}

func TestGroupContinuesAtTheHandlersOffset(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{})
	cfg.Instance = "a"
	p := newProducer(t, cfg)
	f := newFolder()
	for round := range 4 {
		for part := range cfg.Partitions {
			produce(t, p, numbered(part, round*100, 100))
		}
		m := join(t, cfg, f, RunGroup)
		f.wait(t, "the round's records", func() bool { return f.count() == (round+1)*400 })
		if err := m.stop(); err != nil {
			t.Fatal(err)
		}
	}
	f.checkOrder(t, 400)
	// The handler's offset wins over what the group committed.
	f.update(func() { f.next[2], f.values[2] = 50, f.values[2][:50] })
	join(t, cfg, f, RunGroup)
	f.wait(t, "what is read again", func() bool { return f.count() == 1600 })
	f.checkOrder(t, 400)
}

func TestGroupHandsPartitionsOver(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 8})
	p := newProducer(t, cfg)
	f := newFolder() // shared: as both would share a store
	first, second := cfg, cfg
	first.Instance, second.Instance = "a", "b"
	a, b := newFolder(), newFolder()
	share(a, f)
	share(b, f)
	join(t, first, a, RunGroup)
	a.wait(t, "the first member to have all", func() bool { return a.owns() == 8 })
	written := 0
	more := func() {
		for part := range cfg.Partitions {
			produce(t, p, numbered(part, written, 50))
		}
		written += 50
	}
	more()
	m := join(t, second, b, RunGroup)
	b.wait(t, "the second member to have half", func() bool { return b.owns() == 4 })
	a.wait(t, "the first member to keep half", func() bool { return a.owns() == 4 })
	more()
	f.wait(t, "all records", func() bool { return f.count() == 8*written })
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	more() // a static member that stopped comes back or times out
	f.wait(t, "the rest", func() bool { return f.count() == 8*written })
	f.checkOrder(t, written)
}

// share makes f keep values and offsets in to.
func share(f, to *folder) {
	f.assigned = func(_ context.Context, p int32) error {
		f.update(func() {
			to.mu.Lock()
			defer to.mu.Unlock()
			if next, ok := to.next[p]; ok {
				f.next[p] = next
			}
		})
		return nil
	}
	f.process = to.Process
}

func TestGroupRestartedUnderTheSameNameKeepsItsPartitions(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{})
	first, second := cfg, cfg
	first.Instance, second.Instance = "a", "b"
	a, b := newFolder(), newFolder()
	ma := join(t, first, a, RunGroup)
	join(t, second, b, RunGroup)
	a.wait(t, "half", func() bool { return a.owns() == 2 })
	b.wait(t, "the other half", func() bool { return b.owns() == 2 })
	before := slices.Clone(b.log)
	if err := ma.stop(); err != nil {
		t.Fatal(err)
	}
	join(t, first, a, RunGroup)
	a.wait(t, "half again", func() bool { return a.owns() == 2 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(before, b.log) {
		t.Errorf("the other member was disturbed: %v, before %v", b.log, before)
	}
}

func TestGroupHandlerErrors(t *testing.T) {
	failure := errors.New("out of order")
	_, cfg := startBroker(t, EmbeddedConfig{})
	p := newProducer(t, cfg)
	f := newFolder()
	f.process = func(_ context.Context, part int32, _ []streams.Record) error {
		if part == 2 {
			return failure
		}
		return nil
	}
	m := join(t, cfg, f, RunGroup)
	f.wait(t, "all partitions", func() bool { return f.owns() == 4 })
	produce(t, p, numbered(2, 0, 1))
	if err := m.end(); !errors.Is(err, failure) {
		t.Errorf("error %v, want %v", err, failure)
	}
	f.wait(t, "all to be given back", func() bool { return f.owns() == 0 })
	for _, want := range []string{"lost 2", "revoked 0", "revoked 1", "revoked 3"} {
		if !slices.Contains(f.log, want) {
			t.Errorf("no %q in %v", want, f.log)
		}
	}
	f = newFolder()
	f.assigned = func(context.Context, int32) error { return failure }
	if err := join(t, cfg, f, RunGroup).end(); !errors.Is(err, failure) {
		t.Errorf("error %v, want %v", err, failure)
	}
}

func TestGroupOffsetThatTheLogDoesNotHold(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{})
	p := newProducer(t, cfg)
	produce(t, p, numbered(1, 0, 100))
	if err := b.cluster.DeleteRecords(cfg.topic(TopicEvents), 1, 60); err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []int64{59, 101} {
		f := newFolder()
		f.next = map[int32]int64{0: 0, 1: wanted, 2: 0, 3: 0}
		err := join(t, cfg, f, RunGroup).end()
		var gone *OffsetError
		if !errors.As(err, &gone) {
			t.Fatalf("error %v, want an OffsetError", err)
		}
		if want := (OffsetError{Topic: "test.events", Partition: 1, Wanted: wanted, Start: 60, End: 100}); *gone != want {
			t.Errorf("error %+v, want %+v", *gone, want)
		}
	}
	for _, fine := range []int64{60, 100, FromStart, FromCommitted} {
		f := newFolder()
		f.start, f.next = 0, map[int32]int64{1: fine}
		m := join(t, cfg, f, RunGroup)
		produce(t, p, numbered(0, 0, 1))
		f.wait(t, "a record", func() bool { return len(f.values[0]) > 0 })
		if err := m.stop(); err != nil {
			t.Errorf("from %d: %v", fine, err)
		}
	}
}

// Records deleted under a reader that is behind are an error, not a jump.
func TestGroupLogDeletedUnderIt(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{Partitions: 1})
	p := newProducer(t, cfg)
	block := make(chan struct{})
	f := newFolder()
	f.process = func(ctx context.Context, _ int32, _ []streams.Record) error {
		select {
		case <-block:
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	m := join(t, cfg, f, RunGroup)
	value := make([]byte, 1000)
	last := int64(0)
	for range 60 { // far more than is fetched ahead of a partition that does not move
		recs := make([]streams.Record, 1000)
		for i := range recs {
			recs[i] = streams.Record{Topic: TopicEvents, Partition: 0, Value: value}
		}
		offsets := produce(t, p, recs)
		last = offsets[len(offsets)-1]
	}
	if err := b.cluster.DeleteRecords(cfg.topic(TopicEvents), 0, last); err != nil {
		t.Fatal(err)
	}
	close(block)
	var gone *OffsetError
	if err := m.end(); !errors.As(err, &gone) {
		t.Fatalf("error %v, want an OffsetError", err)
	}
	if gone.Start != last || gone.Wanted >= last || gone.Wanted < f.next[0] {
		t.Errorf("error %+v after reading up to %d", gone, f.next[0])
	}
}

// A partition whose handler waits does not hold up the others.
func TestGroupSlowPartition(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 2})
	p := newProducer(t, cfg)
	block := make(chan struct{})
	f := newFolder()
	f.process = func(ctx context.Context, part int32, _ []streams.Record) error {
		if part == 0 {
			select {
			case <-block:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	m := join(t, cfg, f, RunGroup)
	const n = 60_000
	for first := 0; first < n; first += 5000 {
		produce(t, p, numbered(0, first, 5000))
		produce(t, p, numbered(1, first, 5000))
	}
	f.wait(t, "the other partition", func() bool { return len(f.values[1]) == n })
	close(block)
	f.wait(t, "the slow partition", func() bool { return len(f.values[0]) == n })
	f.checkOrder(t, n)
	if err := m.stop(); err != nil {
		t.Error(err)
	}
}

// committer is a folder whose truth is the group's commit.
type committer struct {
	*folder
	restored map[int32]string
	hold     int64 // commits so many records less
}

func (c *committer) Assigned(ctx context.Context, p int32) (int64, error) {
	if _, err := c.folder.Assigned(ctx, p); err != nil {
		return 0, err
	}
	return FromCommitted, nil
}

func (c *committer) Restore(p int32, offset int64, metadata string) {
	c.update(func() { c.restored[p] = fmt.Sprint(offset, metadata) })
}

func (c *committer) Position(p int32) (int64, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, ok := c.next[p]
	if !ok {
		return -1, ""
	}
	return max(next-c.hold, 0), fmt.Sprint(" held ", c.hold)
}

func TestGroupCommitted(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 2})
	cfg.Instance = "a"
	p := newProducer(t, cfg)
	produce(t, p, numbered(0, 0, 10))
	run := func(f *committer, n int) {
		t.Helper()
		m := join(t, cfg, f, RunCommitted)
		f.wait(t, "records", func() bool { return len(f.values[0]) == n })
		if err := m.stop(); err != nil {
			t.Fatal(err)
		}
	}
	first := &committer{newFolder(), map[int32]string{}, 3}
	run(first, 10)
	if first.restored[0] != "-1" {
		t.Errorf("restored %q from nothing", first.restored[0])
	}
	produce(t, p, numbered(0, 10, 5))
	second := &committer{newFolder(), map[int32]string{}, 0}
	run(second, 8)
	if second.restored[0] != "7 held 3" || second.values[0][0] != "0/7" {
		t.Errorf("restored %q, went on with %s", second.restored[0], second.values[0][0])
	}
	// Without a Positioner, what was processed is what is committed.
	third := newFolder()
	third.start = FromCommitted
	produce(t, p, numbered(0, 15, 1))
	m := join(t, cfg, third, RunCommitted)
	third.wait(t, "the new record", func() bool { return len(third.values[0]) == 1 })
	if third.values[0][0] != "0/15" {
		t.Errorf("went on with %s", third.values[0][0])
	}
	if err := m.stop(); err != nil {
		t.Error(err)
	}
}

// selfish is a committer that is done with a record when it says so, and commits
// then.
type selfish struct {
	*committer
	commit func(context.Context, map[int32]Position) error
	ended  chan struct{}
}

func (s *selfish) Commits(commit func(context.Context, map[int32]Position) error) { s.commit = commit }
func (s *selfish) Ending(int32)                                                   { close(s.ended) }
func (s *selfish) Position(int32) (int64, string)                                 { return 4, " at the end" }

// TestGroupCommitsItself: nothing is committed by itself after Process, what the
// handler commits is, and the last commit is that of the end.
func TestGroupCommitsItself(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 1})
	cfg.Instance = "a"
	produce(t, newProducer(t, cfg), numbered(0, 0, 10))
	run := func(ctx context.Context, h Handler) chan error {
		done := make(chan error, 1)
		go func() { done <- RunCommitted(ctx, cfg, "itself", "events", h) }()
		return done
	}
	first := &selfish{committer: &committer{newFolder(), map[int32]string{}, 0}, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := run(ctx, first)
	first.wait(t, "all", func() bool { return len(first.values[0]) == 10 })
	if err := first.commit(ctx, map[int32]Position{0: {Offset: 2, Metadata: "some"}}); err != nil {
		t.Error(err)
	}
	if err := first.commit(ctx, map[int32]Position{7: {}}); err == nil {
		t.Error("committed a partition that is not ours")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-first.ended
	if err := first.commit(t.Context(), map[int32]Position{0: {Offset: 1}}); err == nil {
		t.Error("committed a partition that was given up")
	}
	second := &committer{newFolder(), map[int32]string{}, 0}
	ctx, cancel = context.WithCancel(t.Context())
	done = run(ctx, second)
	second.wait(t, "the rest", func() bool { return len(second.values[0]) == 6 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if second.restored[0] != "4 at the end" {
		t.Errorf("restored %q, want what was committed at the end", second.restored[0])
	}
}

// TestGroupForgotten: a process that the group has dropped while it worked learns
// so from its commit, which does not count. It loses its partitions, though the
// client would go on with them as a new member, and goes on where the commit
// says.
func TestGroupForgotten(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 1})
	cfg.Instance = "a"
	p := newProducer(t, cfg)
	produce(t, p, numbered(0, 0, 4))
	f := &committer{newFolder(), map[int32]string{}, 0}
	var restored []string
	times := 0
	f.process = func(ctx context.Context, _ int32, _ []streams.Record) error {
		f.mu.Lock()
		restored = append(restored, f.restored[0])
		f.mu.Unlock()
		if times++; times > 1 {
			return nil
		}
		admin, err := cfg.admin()
		if err != nil {
			return err
		}
		defer admin.Close()
		left, err := admin.LeaveGroup(ctx, kadm.LeaveGroup(cfg.Prefix+"engine").InstanceIDs("a"))
		if err != nil {
			return err
		}
		return left.Error()
	}
	m := join(t, cfg, f, RunCommitted)
	f.wait(t, "all records again", func() bool { return len(f.values[0]) == 8 })
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(restored, []string{"-1", "-1"}) || !slices.Equal(f.log[:3], []string{"assigned 0", "lost 0", "assigned 0"}) {
		t.Errorf("restored %q, %v", restored, f.log)
	}
}

// TestGroupCommitOfAnotherMember: the client may find when it joins again that it
// is forgotten, and keep its partitions as a new member. What it was given before
// is not committed under the new name: others may have had it meanwhile.
func TestGroupCommitOfAnotherMember(t *testing.T) {
	broker, cfg := startBroker(t, EmbeddedConfig{Partitions: 1})
	cfg.Instance = "a"
	produce(t, newProducer(t, cfg), numbered(0, 0, 4))
	synced := make(chan struct{}, 10)
	f := &committer{newFolder(), map[int32]string{}, 0}
	times := 0
	f.process = func(ctx context.Context, _ int32, _ []streams.Record) error {
		if times++; times > 1 {
			return nil
		}
		broker.cluster.ControlKey(int16(kmsg.SyncGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
			synced <- struct{}{}
			return nil, nil, false
		})
		broker.cluster.ControlKey(int16(kmsg.JoinGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
			resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
			resp.ErrorCode = kerr.UnknownMemberID.Code
			return resp, nil, true
		})
		broker.cluster.ControlKey(int16(kmsg.Heartbeat), func(req kmsg.Request) (kmsg.Response, error, bool) {
			resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
			resp.ErrorCode = kerr.RebalanceInProgress.Code
			return resp, nil, true
		})
		select {
		case <-synced:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m := join(t, cfg, f, RunCommitted)
	f.wait(t, "all records again", func() bool { return len(f.values[0]) == 8 })
	if err := m.stop(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(f.log[:3], []string{"assigned 0", "lost 0", "assigned 0"}) || f.restored[0] != "-1" {
		t.Errorf("restored %q, %v", f.restored[0], f.log)
	}
}
