package engine

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/engine/snapshot/pebble"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/delivery"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// noting is a handler that notes what was committed.
type noting struct {
	*sinkHandler
	wake chan struct{} // gets one at each commit

	mu sync.Mutex
	at map[int32]kafka.Position // guarded by mu
}

func (n *noting) Commits(commit func(context.Context, map[int32]kafka.Position) error) {
	n.sinkHandler.Commits(func(ctx context.Context, at map[int32]kafka.Position) error {
		err := commit(ctx, at)
		n.mu.Lock()
		defer n.mu.Unlock()
		if err == nil {
			maps.Copy(n.at, at)
			n.wake <- struct{}{}
		}
		return err
	})
}

func (n *noting) committed() map[int32]kafka.Position {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.at)
}

// TestCopiesOfPositions delivers all that there is. A broker that then knows of no
// commit has nothing sent again, as the snapshot store has a copy; one of another
// topic of that name is none.
func TestCopiesOfPositions(t *testing.T) {
	const partitions, messages = 2, 60
	ctx := t.Context()
	client := startTopics(t, partitions)
	writeMessages(t, client, partitions, messages)
	store, err := pebble.Open("", pebble.Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	info, err := kafka.Describe(ctx, client, kafka.TopicMessages)
	if err != nil {
		t.Fatal(err)
	}

	hook := newReceiver(10 * messages)
	first := &noting{wake: hook.arrived, at: map[int32]kafka.Position{}}
	deliverOnce(t, client, "first", hook, func(h *sinkHandler) kafka.Handler { first.sinkHandler = h; return first }, func() bool {
		sum := int64(0)
		for _, at := range first.committed() {
			sum += at.Offset
		}
		return sum == messages
	})
	copies := &positionCopies{store: store, group: "first", topicID: info.ID, at: first.committed, done: map[int32]kafka.Position{}}
	if err := copies.copy(ctx); err != nil {
		t.Fatal(err)
	}

	more := func(topicID, group string, want int) {
		t.Helper()
		hook := newReceiver(10 * messages)
		writeMessages(t, client, partitions, messages) // again: the numbers are known
		n := &noting{wake: hook.arrived, at: map[int32]kafka.Position{}}
		deliverOnce(t, client, group, hook, func(h *sinkHandler) kafka.Handler {
			e := &Engine{client: client, store: store, log: slog.New(slog.DiscardHandler)}
			h.takeUp = (&takeUp{e, h.q, "first", kafka.TopicMessages, topicID}).position
			n.sinkHandler = h
			return n
		}, func() bool {
			sum := int64(0)
			for _, at := range n.committed() {
				sum += at.Offset
			}
			ends, err := kafka.EndOffsets(ctx, client, kafka.TopicMessages)
			return err == nil && sum == ends[0]+ends[1]
		})
		if hook.count() != want {
			t.Errorf("topic %s: %d messages were sent, want %d", topicID, hook.count(), want)
		}
	}
	more(info.ID, "second", 0)
	more("another", "third", messages)
}

// away is a store that cannot be reached.
type away struct{ snapshot.Store }

func (away) GetObject(context.Context, string) ([]byte, error) { return nil, snapshot.ErrUnavailable }

// TestPositionWithoutTheStore: the group's commit will do; where there is none,
// nothing is guessed.
func TestPositionWithoutTheStore(t *testing.T) {
	at := takeUp{e: &Engine{store: away{}, log: slog.New(slog.DiscardHandler)}, group: "g"}
	if got, err := at.further(t.Context(), 0, kafka.Position{Offset: 7, Metadata: "m"}); err != nil || got.Offset != 7 || got.Metadata != "m" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := at.further(t.Context(), 0, kafka.Position{Offset: -1}); !passing(err) {
		t.Errorf("error %v, want one that passes", err)
	}
}

// TestRetryIsShownWhatItHeld: a copy of a message that moved is dropped by a
// process that did not read the first one.
func TestRetryIsShownWhatItHeld(t *testing.T) {
	client := startTopics(t, 1)
	producer, err := kafka.NewProducer(client)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	var recs []streams.Record
	for i, n := range []int{0, 1, 0, 2} {
		recs = append(recs, streams.Record{Topic: kafka.TopicRetry, Partition: 0, Value: fmt.Appendf(nil, `{"id":"m%d","channel":"webhook","profile":"user:1"}`, n),
			Headers: []streams.Header{{Key: streams.HeaderRetry, Value: fmt.Appendf(nil, "webhook %d 0", 1000+i)},
				{Key: streams.HeaderEffect, Value: fmt.Appendf(nil, "events/0/0/%d/0", n)}}})
	}
	if _, err := producer.ProduceSync(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	hook := newReceiver(10)
	d := newTestDelivery(t, hook)
	h := newSinkHandler(d.Retries, slog.New(slog.DiscardHandler))
	e := &Engine{client: client, store: away{}, log: h.log}
	h.takeUp = (&takeUp{e, d.Retries, "g", kafka.TopicRetry, "id"}).position
	h.Commits(func(context.Context, map[int32]kafka.Position) error { return nil })
	var committing sync.WaitGroup
	defer committing.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	committing.Go(func() { h.commitAsFinished(ctx) })
	h.Restore(0, 1, "")
	if from, err := h.Assigned(t.Context(), 0); err != nil || from != 1 {
		t.Fatal(from, err)
	}
	for i := range recs {
		recs[i].Offset = int64(i)
	}
	if err := h.Process(t.Context(), 0, recs[1:]); err != nil {
		t.Fatal(err)
	}
	<-hook.arrived
	<-hook.arrived
	h.Lost(0)
	if at := d.Retries.Position(0); at.Offset != 4 || len(hook.bodies["m0"]) != 0 || hook.count() != 2 {
		t.Errorf("at %d, sent %v", at.Offset, hook.bodies)
	}
}

// TestUndeliveredIsShown: the detail of /readyz says which sink stands still, and
// why.
func TestUndeliveredIsShown(t *testing.T) {
	d := newTestDelivery(t, newReceiver(10))
	e := &Engine{deliveries: map[string]*delivery.Delivery{"webhook": d}}
	recs := []streams.Record{}
	for i, numbers := range [][2]int{{1, 0}, {3, 2}} {
		recs = append(recs, streams.Record{Topic: kafka.TopicMessages, Offset: int64(i), Value: []byte(`{"id":"m","channel":"sms"}`),
			Headers: []streams.Header{{Key: streams.HeaderEffect, Value: fmt.Appendf(nil, "events/0/0/%d/0", numbers[0])},
				{Key: streams.HeaderPrev, Value: fmt.Appendf(nil, "events/0/0/%d/0", numbers[1])}}})
	}
	if err := d.Messages.Handle(t.Context(), 0, recs); err != nil {
		t.Fatal(err)
	}
	stopped, failing, _ := e.deliveryStatus()
	want := "webhook partition 0: effect events/0/0/3/0 follows events/0/0/2/0, which is missing: the last one delivered is events/0/0/1/0"
	if len(stopped) != 1 || stopped[0] != want || len(failing) != 0 {
		t.Errorf("stopped %q, failing %q", stopped, failing)
	}
	d.Messages.Drain(0)
	if stopped, _, _ = e.deliveryStatus(); len(stopped) != 0 {
		t.Errorf("stopped %q in a partition that another process has", stopped)
	}
}
