package run

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// patience is how long an event may be on its way.
const patience = 10 * time.Second

// messageID is the id of the message that a trigger's first step sends for an
// event (DESIGN.md section 3, ids).
func messageID(trigger, profile string, event uint64) string {
	sum := sha256.Sum256([]byte(profile + "\x000\x00" + string(load.AppendID(nil, event))))
	return trigger + ".0." + hex.EncodeToString(sum[:8])
}

// inbox notes when messages can be read from their topic.
type inbox struct {
	mu   sync.Mutex
	at   map[string]time.Time // by message id; guarded by mu
	more chan struct{}        // has a value when there is more
}

// open reads from the end of the topic on, until stop.
func (b *inbox) open(ctx context.Context, s *server) (stop func() error, err error) {
	client, err := s.Kafka()
	if err != nil {
		return nil, err
	}
	client.Instance, client.Registerer = "", nil // neither the engine's membership nor its metrics
	ends, err := kafka.EndOffsets(ctx, client, kafka.TopicMessages)
	if err != nil {
		return nil, err
	}
	b.at, b.more = map[string]time.Time{}, make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- kafka.ReadFrom(ctx, client, kafka.TopicMessages, ends, b.take) }()
	return func() error {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("cannot read messages: %w", err)
		}
		return nil
	}, nil
}

func (b *inbox) take(recs []streams.Record) error {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range recs {
		if rest, ok := bytes.CutPrefix(recs[i].Value, []byte(`{"id":"`)); ok {
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			b.at[string(id)] = now
		}
	}
	select {
	case b.more <- struct{}{}:
	default:
	}
	return nil
}

// seen is when a message could be read.
func (b *inbox) seen(id string) (at time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok = b.at[id]
	return at, ok
}

// wait returns when all messages were read, or ctx ended.
func (b *inbox) wait(ctx context.Context, expected map[string]int) {
	for id := range expected {
		for _, ok := b.seen(id); !ok; _, ok = b.seen(id) {
			select {
			case <-ctx.Done():
				return
			case <-b.more:
			}
		}
	}
}

// watch looks at the profiles of some customers until they show their event.
type watch struct {
	engine    *engine.Engine
	customers []int
	events    []int       // numbers, in the order of sending
	wants     []uint64    // events of the profile, when it shows its event
	seen      []time.Time // zero: not yet; run's own until all is closed or run has returned
	all       chan struct{}
}

// watched is how many events of a round are watched at most, and inView how
// many of them at a time.
const watched, inView = 5000, 16

func newWatch(ctx context.Context, e *engine.Engine, plan []planned) *watch {
	w := &watch{engine: e, all: make(chan struct{})}
	for n := 0; n < len(plan); n += 1 + len(plan)/watched {
		c := plan[n].customer
		w.customers, w.events, w.wants = append(w.customers, c), append(w.events, n), append(w.wants, w.shows(ctx, c)+1)
	}
	w.seen = make([]time.Time, len(w.events))
	return w
}

// shows is how many events a customer's profile shows; 0 without a profile.
func (w *watch) shows(ctx context.Context, customer int) uint64 {
	p, err := w.engine.Profile(ctx, streams.Identifier{Type: "user", Value: userID(customer)})
	if err != nil {
		return 0
	}
	return p.Events
}

// run looks once a millisecond until all has been seen or ctx ends.
func (w *watch) run(ctx context.Context) {
	defer close(w.all)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for first := 0; first < len(w.seen); {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		looked := 0
		for i := first; i < len(w.seen) && looked < inView; i++ {
			if !w.seen[i].IsZero() {
				continue
			}
			looked++
			if w.shows(ctx, w.customers[i]) >= w.wants[i] {
				w.seen[i] = time.Now()
			}
		}
		for first < len(w.seen) && !w.seen[first].IsZero() {
			first++
		}
	}
}

// wait returns when all has been seen, or ctx ended.
func (w *watch) wait(ctx context.Context) {
	select {
	case <-w.all:
	case <-ctx.Done():
	}
}
