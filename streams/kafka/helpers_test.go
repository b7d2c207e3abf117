package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rapport-engine/rapport/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is only for tests that would hang otherwise.
const deadline = 60 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// startBroker starts an embedded broker with all topics.
func startBroker(t testing.TB, ec EmbeddedConfig) (*Embedded, Config) {
	t.Helper()
	ec.Prefix = "test."
	if ec.Partitions == 0 {
		ec.Partitions = 4
	}
	ec.Memory = ec.Dir == ""
	b, err := StartEmbedded(testContext(t), ec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	cfg := Config{Brokers: b.Addrs(), Prefix: ec.Prefix, Partitions: ec.Partitions, Embedded: b, SessionTimeout: 3 * time.Second}
	if warnings, err := EnsureTopics(testContext(t), cfg); err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	return b, cfg
}

func newProducer(t testing.TB, cfg Config) *Producer {
	t.Helper()
	p, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// numbered makes n records for a partition with values "<partition>/<i>", i
// from first on.
func numbered(partition int32, first, n int) []streams.Record {
	recs := make([]streams.Record, n)
	for i := range recs {
		recs[i] = streams.Record{Topic: TopicEvents, Partition: partition, Value: fmt.Appendf(nil, "%d/%d", partition, first+i)}
	}
	return recs
}

func produce(t testing.TB, p *Producer, recs []streams.Record) []int64 {
	t.Helper()
	offsets, err := p.ProduceSync(testContext(t), recs)
	if err != nil {
		t.Fatal(err)
	}
	return offsets
}

// folder is a Handler that keeps what it got and the offset after it, as if in
// a store that outlives it.
type folder struct {
	mu       sync.Mutex
	values   map[int32][]string
	next     map[int32]int64
	log      []string // Assigned, Revoked, Lost
	owned    map[int32]bool
	changed  chan struct{} // closed and replaced at every change
	start    int64         // where to begin without an offset
	process  func(ctx context.Context, partition int32, recs []streams.Record) error
	assigned func(ctx context.Context, partition int32) error
}

func newFolder() *folder {
	return &folder{values: map[int32][]string{}, next: map[int32]int64{}, owned: map[int32]bool{}, changed: make(chan struct{}), start: FromStart}
}

func (f *folder) update(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *folder) Assigned(ctx context.Context, p int32) (offset int64, err error) {
	if f.assigned != nil {
		err = f.assigned(ctx, p)
	}
	f.update(func() {
		f.log = append(f.log, fmt.Sprint("assigned ", p))
		f.owned[p] = err == nil
		var ok bool
		if offset, ok = f.next[p]; !ok {
			offset = f.start
		}
	})
	return offset, err
}

func (f *folder) Process(ctx context.Context, p int32, recs []streams.Record) error {
	if f.process != nil {
		if err := f.process(ctx, p, recs); err != nil {
			return err
		}
	}
	f.update(func() {
		for i := range recs {
			f.values[p] = append(f.values[p], string(recs[i].Value))
			f.next[p] = recs[i].Offset + 1
		}
	})
	return nil
}

func (f *folder) Revoked(_ context.Context, p int32) error {
	f.update(func() {
		f.log = append(f.log, fmt.Sprint("revoked ", p))
		f.owned[p] = false
	})
	return nil
}

func (f *folder) Lost(p int32) {
	f.update(func() {
		f.log = append(f.log, fmt.Sprint("lost ", p))
		f.owned[p] = false
	})
}

// wait waits until cond holds, called under the lock.
func (f *folder) wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	expired := time.After(deadline)
	for {
		f.mu.Lock()
		ok, changed := cond(), f.changed
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-expired:
			f.mu.Lock()
			defer f.mu.Unlock()
			t.Fatalf("waited in vain for %s; log %v, next %v", what, f.log, f.next)
		}
	}
}

func (f *folder) count() (n int) {
	for _, v := range f.values {
		n += len(v)
	}
	return n
}

func (f *folder) owns() (n int) {
	for _, owned := range f.owned {
		if owned {
			n++
		}
	}
	return n
}

// checkOrder verifies that each partition got 0..n-1, once and in order.
func (f *folder) checkOrder(t testing.TB, n int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, values := range f.values {
		if len(values) != n {
			t.Errorf("partition %d: %d records, want %d", p, len(values), n)
		}
		for i, v := range values {
			if want := fmt.Sprintf("%d/%d", p, i); v != want {
				t.Fatalf("partition %d: record %d is %s", p, i, v)
			}
		}
	}
}

// member runs a group in the background until stop, which returns its error.
type member struct {
	cancel context.CancelFunc
	result chan error
	once   sync.Once
	err    error
}

func join(t testing.TB, cfg Config, h Handler, run func(context.Context, Config, string, string, Handler) error) *member {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{cancel: cancel, result: make(chan error, 1)}
	go func() { m.result <- run(ctx, cfg, "engine", TopicEvents, h) }()
	t.Cleanup(func() { _ = m.stop() })
	return m
}

func (m *member) stop() error {
	m.cancel()
	return m.end()
}

// end waits for the group to end by itself.
func (m *member) end() error {
	m.once.Do(func() {
		select {
		case m.err = <-m.result:
		case <-time.After(deadline):
			m.err = errors.New("the group did not end")
		}
	})
	return m.err
}
