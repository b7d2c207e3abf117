package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/delivery"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// receiver is a sink that remembers each body, and may keep a message waiting.
type receiver struct {
	waits   string // id of the message that is never answered
	arrived chan struct{}
	gone    chan struct{} // closed: nothing is answered any more

	mu     sync.Mutex
	bodies map[string][]string // by message id
}

func (*receiver) Name() string { return "webhook" }

func (r *receiver) Send(_ context.Context, m *streams.Message, body []byte) error {
	if m.ID == r.waits {
		<-r.gone
		return errDead
	}
	r.mu.Lock()
	r.bodies[m.ID] = append(r.bodies[m.ID], string(body))
	r.mu.Unlock()
	r.arrived <- struct{}{}
	return nil
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

// dying is a process that dies: from some commit on nothing that it writes
// arrives, that of its end included.
type dying struct {
	*sinkHandler
	commits int
	dead    atomic.Bool
	wake    chan struct{} // gets one when it is dead
}

var errDead = errors.New("the process is dead")

func (d *dying) Commits(commit func(context.Context, map[int32]kafka.Position) error) {
	d.sinkHandler.Commits(func(ctx context.Context, at map[int32]kafka.Position) error {
		if d.commits == 0 {
			d.dead.Store(true)
			select {
			case d.wake <- struct{}{}:
			default:
			}
			return errDead
		}
		d.commits--
		return commit(ctx, at)
	})
}

func (d *dying) Position(int32) (int64, string) { return -1, "" }

// TestDeliveryAfterDeath delivers through a broker, dies between the receiver's
// answers and the commit after them, with one message waiting below all that was
// finished, and goes on in another process: at most what was in flight is sent
// again, each with the same body, and nothing is left out.
func TestDeliveryAfterDeath(t *testing.T) {
	const partitions, messages = 2, 200
	client := startTopics(t, partitions)
	writeMessages(t, client, partitions, messages)

	for _, commits := range []int{1, 2, 4} { // the first says whose the partitions are, before anything is sent
		group := fmt.Sprint("delivery.after.", commits)
		hook := newReceiver(4 * messages)
		hook.waits = "m.3"
		first := &dying{commits: commits, wake: hook.arrived}
		deliverOnce(t, client, group, hook, func(h *sinkHandler) kafka.Handler { first.sinkHandler = h; return first }, func() bool {
			return hook.count() >= 31 && first.dead.Load() // all that may be in flight but the one that waits
		})
		before := hook.count()
		hook.waits, hook.gone = "", make(chan struct{})
		deliverOnce(t, client, group, hook, func(h *sinkHandler) kafka.Handler { return h }, func() bool { return hook.count() == messages })
		repeated := 0
		for id, bodies := range hook.bodies {
			repeated += len(bodies) - 1
			for _, body := range bodies[1:] {
				if body != bodies[0] {
					t.Errorf("%s came again with another body:\n%s\n%s", id, bodies[0], body)
				}
			}
		}
		if repeated > 16*partitions || commits == 1 && repeated != before {
			t.Errorf("%d commits: %d of %d sent again, at most %d may be", commits, repeated, before, 16*partitions)
		}
	}
}

func newReceiver(most int) *receiver {
	return &receiver{arrived: make(chan struct{}, most), gone: make(chan struct{}), bodies: map[string][]string{}}
}

// startTopics starts a broker with all topics.
func startTopics(t *testing.T, partitions int32) kafka.Config {
	t.Helper()
	broker, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Memory: true, Partitions: partitions, Prefix: "d."})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	client := kafka.Config{Brokers: broker.Addrs(), Prefix: "d.", Partitions: partitions, Embedded: broker, Instance: "one", SessionTimeout: embeddedSession}
	if _, err := kafka.EnsureTopics(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	return client
}

func newTestDelivery(t *testing.T, hook *receiver) *delivery.Delivery {
	t.Helper()
	routes, err := delivery.NewRoutes(map[string][]string{"webhook": nil})
	if err != nil {
		t.Fatal(err)
	}
	d, err := delivery.New(delivery.Config{Sink: hook, Routes: routes, Session: embeddedSession,
		Report:     func(context.Context, streams.Record) error { return nil },
		DeadLetter: func(context.Context, streams.DeadLetter) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func writeMessages(t *testing.T, client kafka.Config, partitions, n int) {
	t.Helper()
	producer, err := kafka.NewProducer(client)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	var recs []streams.Record
	for i := range n {
		m := streams.Message{ID: fmt.Sprint("m.", i), Trigger: "m", Channel: "webhook", Profile: fmt.Sprint("user:", i%40)}
		value, err := json.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		p := i % partitions
		number := streams.EffectNumber{Topic: kafka.TopicEvents, Partition: int32(p), Offset: int64(i)}
		rec := streams.Record{Topic: kafka.TopicMessages, Partition: int32(p), Key: []byte(m.Profile), Value: value,
			Headers: []streams.Header{{Key: streams.HeaderEffect, Value: []byte(number.String())}}}
		if number.Offset -= int64(partitions); number.Offset >= 0 {
			rec.Headers = append(rec.Headers, streams.Header{Key: streams.HeaderPrev, Value: []byte(number.String())})
		}
		recs = append(recs, rec)
	}
	if _, err := producer.ProduceSync(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
}

// deliverOnce is one life of a process, until done.
func deliverOnce(t *testing.T, client kafka.Config, group string, hook *receiver, handler func(*sinkHandler) kafka.Handler, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := newSinkHandler(newTestDelivery(t, hook).Messages, slog.New(slog.DiscardHandler))
	over := make(chan error, 1)
	go func() { over <- h.run(ctx, client, group, kafka.TopicMessages, handler(h)) }()
	for !done() {
		select {
		case <-hook.arrived:
		case err := <-over:
			t.Fatal("it ended early: ", err)
		}
	}
	cancel()
	close(hook.gone)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
}
