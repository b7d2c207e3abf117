package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rapport-engine/rapport/streams"
)

func TestProduceAndRead(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 2})
	cfg.Registerer = prometheus.NewRegistry()
	p := newProducer(t, cfg)
	recs := []streams.Record{
		{Topic: TopicEvents, Partition: 1, Time: 1433222534123, Key: []byte("user:1"), Value: []byte("one"),
			Headers: []streams.Header{{Key: streams.HeaderClock, Value: []byte("live")}, {Key: streams.HeaderKind}}},
		{Topic: TopicEvents, Partition: 1, Time: 5, Value: []byte("two")},
		{Topic: TopicEvents, Partition: 0, Time: 6, Key: []byte{}, Headers: []streams.Header{{Key: "", Value: []byte{0, 255}}}},
	}
	if offsets := produce(t, p, recs); !cmp.Equal(offsets, []int64{0, 1, 0}) {
		t.Errorf("offsets %v", offsets)
	}
	var got []streams.Record
	ends, err := EndOffsets(testContext(t), cfg, TopicEvents)
	if err != nil {
		t.Fatal(err)
	}
	err = ReadRange(testContext(t), cfg, TopicEvents, nil, ends, func(recs []streams.Record) error {
		for _, r := range recs {
			r.Headers = append([]streams.Header(nil), r.Headers...)
			got = append(got, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []streams.Record{recs[2], recs[0], recs[1]}
	want[2].Offset = 1
	if got[0].Partition == 1 {
		want = []streams.Record{want[1], want[2], want[0]}
	}
	equal := cmp.Comparer(func(a, b []byte) bool { return string(a) == string(b) })
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func TestPartitionByKey(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 16})
	p := newProducer(t, cfg)
	var recs []streams.Record
	for i := range 200 {
		recs = append(recs, streams.Record{Topic: TopicEvents, Partition: -1, Key: fmt.Appendf(nil, "user:%d", i)})
	}
	produceAsync(t, p, recs)
	used := map[int32]bool{}
	for _, r := range recs {
		used[r.Partition] = true
		if want := streams.Partition(string(r.Key), 16); r.Partition != want {
			t.Errorf("%s is in partition %d, want %d", r.Key, r.Partition, want)
		}
	}
	if len(used) != 16 {
		t.Errorf("%d of 16 partitions used", len(used))
	}
	if _, err := p.ProduceSync(testContext(t), []streams.Record{{Topic: TopicEvents, Partition: 16}}); err == nil {
		t.Error("written to a partition that does not exist")
	}
}

// produceAsync produces recs and waits for done.
func produceAsync(t testing.TB, p *Producer, recs []streams.Record) {
	t.Helper()
	done := make(chan error, 1)
	p.Produce(testContext(t), recs, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestProduceKeepsOrder(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{Partitions: 2})
	p := newProducer(t, cfg)
	// Errors that heal: the client writes again, without repeats.
	b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 3},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: 2})
	var wait sync.WaitGroup
	for i := range 500 {
		wait.Add(1)
		recs := append(numbered(0, i*4, 4), numbered(1, i*4, 4)...)
		p.Produce(testContext(t), recs, func(err error) {
			if err != nil {
				t.Error(err)
			}
			wait.Done()
		})
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	for part, values := range collect(t, cfg, TopicEvents) {
		if len(values) != 2000 {
			t.Errorf("partition %d: %d records", part, len(values))
		}
		for i, v := range values {
			if v != fmt.Sprintf("%d/%d", part, i) {
				t.Fatalf("partition %d: record %d is %s", part, i, v)
			}
		}
	}
}

func TestProduceErrors(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{})
	p := newProducer(t, cfg)
	_, err := p.ProduceSync(testContext(t), []streams.Record{{Topic: TopicEvents, Value: make([]byte, 2<<20)}})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
	if _, err := p.ProduceSync(testContext(t), nil); err != nil {
		t.Errorf("nothing written: %v", err)
	}
	b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed})
	if _, err := p.ProduceSync(testContext(t), numbered(0, 0, 1)); !errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if _, err := p.ProduceSync(ctx, numbered(0, 0, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
	produce(t, p, numbered(0, 0, 1)) // still works
}

// A broker that is away, or hangs, fails what waits in time.
func TestProduceUnavailable(t *testing.T) {
	for name, breakIt := range map[string]func(t *testing.T, b *Embedded){
		"gone": func(_ *testing.T, b *Embedded) { b.Close() },
		"hanging": func(t *testing.T, b *Embedded) {
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			b.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				b.cluster.KeepControl()
				b.cluster.SleepControl(func() { <-release })
				return nil, errors.New("too late"), true
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, cfg := startBroker(t, EmbeddedConfig{})
			cfg.ProduceTimeout = 500 * time.Millisecond
			p := newProducer(t, cfg)
			produce(t, p, numbered(0, 0, 1))
			breakIt(t, b)
			if _, err := p.ProduceSync(testContext(t), numbered(0, 1, 1)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("error %v, want ErrUnavailable", err)
			}
			done := make(chan error, 1)
			p.Produce(testContext(t), numbered(0, 2, 10), func(err error) { done <- err })
			if err := <-done; !errors.Is(err, ErrUnavailable) {
				t.Errorf("error %v, want ErrUnavailable", err)
			}
		})
	}
	cfg := Config{Brokers: []string{"127.0.0.1:1"}, ProduceTimeout: 300 * time.Millisecond}
	p := newProducer(t, cfg)
	if _, err := p.ProduceSync(testContext(t), numbered(0, 0, 1)); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, cfg := range []Config{{}, {Brokers: []string{"127.0.0.1:1"}, SASL: SASL{Mechanism: "GSSAPI"}}} {
		if _, err := NewProducer(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
	for _, mechanism := range []string{"plain", "SCRAM-SHA-256", "scram-sha-512"} {
		cfg := Config{Brokers: []string{"127.0.0.1:1"}, TLS: true, SASL: SASL{mechanism, "u", "p"}}
		newProducer(t, cfg)
	}
}
