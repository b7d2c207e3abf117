//go:build integration

package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
	"github.com/rapport-engine/rapport/streams/kafka/kafkatest"
)

// TestRealKafka runs everything on one node, which takes long to start.
func TestRealKafka(t *testing.T) {
	node := kafkatest.Start(t)
	cfg := node.Config(4)
	cfg.SessionTimeout = 2 * time.Second
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, node *kafkatest.Node, cfg kafka.Config)
	}{
		{"topics", topics},
		{"produce and read", produceAndRead},
		{"group", group},
		{"static member", staticMember},
		{"committed", committed},
		{"deleted offset", deletedOffset},
		{"broker hangs", brokerHangs},
		{"broker killed", brokerKilled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cfg
			c.Prefix = strings.ReplaceAll(tt.name, " ", "-") + "."
			if warnings, err := kafka.EnsureTopics(limit(t), c); err != nil || len(warnings) > 0 {
				t.Fatal(warnings, err)
			}
			tt.run(t, node, c)
		})
	}
}

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func records(partition int32, first, n int) []streams.Record {
	recs := make([]streams.Record, n)
	for i := range recs {
		recs[i] = streams.Record{Topic: kafka.TopicEvents, Partition: partition, Time: 1000, Value: fmt.Appendf(nil, "%d/%d", partition, first+i)}
	}
	return recs
}

func producer(t *testing.T, cfg kafka.Config) *kafka.Producer {
	t.Helper()
	p, err := kafka.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func write(t *testing.T, p *kafka.Producer, recs []streams.Record) []int64 {
	t.Helper()
	offsets, err := p.ProduceSync(limit(t), recs)
	if err != nil {
		t.Fatal(err)
	}
	return offsets
}

func topics(t *testing.T, _ *kafkatest.Node, cfg kafka.Config) {
	info, err := kafka.Describe(limit(t), cfg, kafka.TopicEvents)
	if err != nil || info.Partitions != 4 || info.ID == "" {
		t.Errorf("%+v, %v", info, err)
	}
	if catalog, err := kafka.Describe(limit(t), cfg, kafka.TopicCatalog); err != nil || catalog.Partitions != 1 {
		t.Errorf("%+v, %v", catalog, err)
	}
	cfg.Partitions = 8
	if _, err := kafka.EnsureTopics(limit(t), cfg); err == nil || !strings.Contains(err.Error(), "set partitions: 4") {
		t.Errorf("another number of partitions: %v", err)
	}
}

// The broker's clock, not the producer's, times the records of `events`.
func produceAndRead(t *testing.T, _ *kafkatest.Node, cfg kafka.Config) {
	p := producer(t, cfg)
	before := time.Now().Add(-time.Minute).UnixMilli()
	recs := records(2, 0, 100)
	recs[0].Key, recs[0].Headers = []byte("user:1"), []streams.Header{{Key: streams.HeaderClock, Value: []byte("live")}}
	if offsets := write(t, p, recs); offsets[99] != 99 {
		t.Errorf("offsets %v", offsets)
	}
	message := records(0, 0, 1)
	message[0].Topic = kafka.TopicMessages
	write(t, p, message)
	byKey := []streams.Record{{Topic: kafka.TopicEvents, Partition: -1, Key: []byte("user:42"), Value: []byte("x")}}
	write(t, p, byKey)
	home := streams.Partition("user:42", 4)

	ends, err := kafka.EndOffsets(limit(t), cfg, kafka.TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	n, found := 0, false
	err = kafka.ReadRange(limit(t), cfg, kafka.TopicEvents, nil, ends, func(got []streams.Record) error {
		for _, r := range got {
			n++
			found = found || r.Partition == home && string(r.Key) == "user:42"
			if r.Time < before {
				return fmt.Errorf("record %d/%d has the producer's time %d", r.Partition, r.Offset, r.Time)
			}
			if r.Partition == 2 && r.Offset == 0 && (string(r.Header(streams.HeaderClock)) != "live" || string(r.Key) != "user:1") {
				return fmt.Errorf("read %+v", r)
			}
			if r.LeaderEpoch < 0 {
				return fmt.Errorf("record %d/%d has no leader epoch", r.Partition, r.Offset)
			}
		}
		return nil
	})
	if err != nil || n != 101 || !found {
		t.Errorf("%d records, found by key: %v, %v", n, found, err)
	}
	err = kafka.ReadRange(limit(t), cfg, kafka.TopicMessages, nil, map[int32]int64{0: 1}, func(got []streams.Record) error {
		if got[0].Time != 1000 {
			t.Errorf("a message has time %d, want the producer's", got[0].Time)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// fold is a handler that keeps what it got; several may share a store.
type fold struct {
	*store
	owned map[int32]bool // guarded by store.mu
}

type store struct {
	mu      sync.Mutex
	values  map[int32][]string
	next    map[int32]int64
	start   int64
	changed chan struct{}
}

func newStore() *store {
	return &store{values: map[int32][]string{}, next: map[int32]int64{}, changed: make(chan struct{}), start: kafka.FromStart}
}

func (s *store) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *store) wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx := limit(t)
	for {
		s.mu.Lock()
		ok, changed := cond(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s; next %v", what, s.next)
		}
	}
}

func (s *store) count() (n int) {
	for _, v := range s.values {
		n += len(v)
	}
	return n
}

func (s *store) check(t *testing.T, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, values := range s.values {
		if len(values) != n {
			t.Errorf("partition %d: %d records, want %d", p, len(values), n)
		}
		for i, v := range values {
			if v != fmt.Sprintf("%d/%d", p, i) {
				t.Fatalf("partition %d: record %d is %s", p, i, v)
			}
		}
	}
}

func newFold(s *store) *fold { return &fold{s, map[int32]bool{}} }

func (f *fold) Assigned(_ context.Context, p int32) (offset int64, err error) {
	f.update(func() {
		f.owned[p] = true
		var ok bool
		if offset, ok = f.next[p]; !ok || f.start == kafka.FromCommitted {
			offset = f.start
		}
	})
	return offset, nil
}

func (f *fold) Process(_ context.Context, p int32, recs []streams.Record) error {
	f.update(func() {
		for _, r := range recs {
			f.values[p], f.next[p] = append(f.values[p], string(r.Value)), r.Offset+1
		}
	})
	return nil
}

func (f *fold) Revoked(_ context.Context, p int32) error {
	f.update(func() { delete(f.owned, p) })
	return nil
}

func (f *fold) Lost(p int32) { f.update(func() { delete(f.owned, p) }) }

// run runs a member until stop.
func run(t *testing.T, cfg kafka.Config, h kafka.Handler, group func(context.Context, kafka.Config, string, string, kafka.Handler) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- group(ctx, cfg, "engine", kafka.TopicEvents, h) }()
	stop = sync.OnceValue(func() error { cancel(); return <-result })
	t.Cleanup(func() { _ = stop() })
	return stop
}

func group(t *testing.T, _ *kafkatest.Node, cfg kafka.Config) {
	p := producer(t, cfg)
	s := newStore()
	a, b := newFold(s), newFold(s)
	first, second := cfg, cfg
	first.Instance, second.Instance = "a", "b"
	stopA := run(t, first, a, kafka.RunGroup)
	written := 0
	more := func() {
		for part := range cfg.Partitions {
			write(t, p, records(part, written, 500))
		}
		written += 500
		s.wait(t, "all records", func() bool { return s.count() == 4*written })
	}
	more()
	stopB := run(t, second, b, kafka.RunGroup)
	s.wait(t, "both to have half", func() bool { return len(a.owned) == 2 && len(b.owned) == 2 })
	more()
	if err := stopB(); err != nil {
		t.Error(err)
	}
	s.wait(t, "the first to have all again", func() bool { return len(a.owned) == 4 })
	more()
	if err := stopA(); err != nil {
		t.Error(err)
	}
	s.check(t, written)
}

func staticMember(t *testing.T, _ *kafkatest.Node, cfg kafka.Config) {
	cfg.SessionTimeout = 6 * time.Second
	p := producer(t, cfg)
	s := newStore()
	a, b := newFold(s), newFold(s)
	first, second := cfg, cfg
	first.Instance, second.Instance = "a", "b"
	stop := run(t, first, a, kafka.RunGroup)
	run(t, second, b, kafka.RunGroup)
	s.wait(t, "both to have half", func() bool { return len(a.owned) == 2 && len(b.owned) == 2 })
	for part := range cfg.Partitions {
		write(t, p, records(part, 0, 10))
	}
	s.wait(t, "all records", func() bool { return s.count() == 40 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for part := range cfg.Partitions {
		write(t, p, records(part, 10, 10))
	}
	run(t, first, a, kafka.RunGroup)
	s.wait(t, "the rest", func() bool { return s.count() == 80 })
	s.check(t, 20)
	if len(b.owned) != 2 {
		t.Errorf("the other member has %d partitions", len(b.owned))
	}
	// Somebody else under the same name: the one before ends and says why.
	third := newFold(newStore())
	ctx, cancel := context.WithCancel(limit(t))
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- kafka.RunGroup(ctx, second, "engine", kafka.TopicEvents, third) }()
	third.wait(t, "the other to take over", func() bool { return len(third.owned) == 2 })
	s.wait(t, "the former to lose its partitions", func() bool { return len(b.owned) == 0 })
	cancel()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func committed(t *testing.T, _ *kafkatest.Node, cfg kafka.Config) {
	cfg.Instance = "a"
	p := producer(t, cfg)
	s := newStore()
	s.start = kafka.FromCommitted
	for round := range 3 {
		write(t, p, records(1, round*10, 10))
		stop := run(t, cfg, newFold(s), kafka.RunCommitted)
		s.wait(t, "the round's records", func() bool { return s.count() == (round+1)*10 })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	s.check(t, 30)
}

func deletedOffset(t *testing.T, _ *kafkatest.Node, cfg kafka.Config) {
	write(t, producer(t, cfg), records(1, 0, 10))
	s := newStore()
	s.next = map[int32]int64{1: 11}
	err := kafka.RunGroup(limit(t), cfg, "engine", kafka.TopicEvents, newFold(s))
	var gone *kafka.OffsetError
	if !errors.As(err, &gone) || gone.Partition != 1 || gone.Wanted != 11 || gone.End != 10 {
		t.Errorf("error %v, want an OffsetError", err)
	}
}

func brokerHangs(t *testing.T, node *kafkatest.Node, cfg kafka.Config) {
	cfg.ProduceTimeout = time.Second
	p := producer(t, cfg)
	write(t, p, records(0, 0, 1))
	node.Pause()
	_, err := p.ProduceSync(limit(t), records(0, 1, 1))
	node.Resume()
	if !errors.Is(err, kafka.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
	for err != nil && limit(t).Err() == nil { // until it is back
		_, err = p.ProduceSync(limit(t), records(0, 2, 1))
	}
}

// A broker that is killed and comes back: what was acknowledged is read, once
// and in order.
func brokerKilled(t *testing.T, node *kafkatest.Node, cfg kafka.Config) {
	s := newStore()
	f := newFold(s)
	p := producer(t, cfg)
	stop := run(t, cfg, f, kafka.RunGroup)
	write(t, p, records(0, 0, 100))
	s.wait(t, "records before", func() bool { return s.count() == 100 })
	node.Kill()
	if _, err := p.ProduceSync(limit(t), records(3, 0, 1)); !errors.Is(err, kafka.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
	node.Run()
	for err := kafka.ErrUnavailable; err != nil; {
		if _, err = p.ProduceSync(limit(t), records(0, 100, 1)); err != nil && !errors.Is(err, kafka.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	s.wait(t, "records after", func() bool { return len(s.values[0]) >= 101 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	for i, v := range s.values[0][:101] {
		if v != fmt.Sprintf("0/%d", i) {
			t.Fatalf("record %d is %s", i, v)
		}
	}
}
