package engine

import (
	"context"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/delivery"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// deliver takes messages to the sinks: each sink is a consumer group of its
// own, so that a slow one delays no other.
func (e *Engine) deliver(ctx context.Context) error {
	if e.deliveries == nil {
		var err error
		if e.deliveries, err = e.newDeliveries(); err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for name, d := range e.deliveries {
		h := &sinkHandler{d: d, answers: name != delivery.LogName, offsets: map[int32]int64{}}
		g.Go(func() error { return kafka.RunCommitted(ctx, e.client, deliveryGroup+name, kafka.TopicMessages, h) })
	}
	return g.Wait()
}

// newDeliveries makes a delivery for each sink, by the sink's name. They
// outlive a fold that starts again: what they have sent is not sent again.
func (e *Engine) newDeliveries() (map[string]*delivery.Delivery, error) {
	sinks, routes, err := e.sinks()
	if err != nil {
		return nil, err
	}
	all := map[string]*delivery.Delivery{}
	for _, sink := range sinks {
		all[sink.Name()], err = delivery.New(delivery.Config{
			Sink: sink, Routes: routes, Check: e.checkMessage, Report: e.report,
			DeadLetter: func(ctx context.Context, l streams.DeadLetter) error {
				return e.DeadLetter(ctx, []streams.DeadLetter{l})
			},
			Logger: e.opts.Logger, Registerer: e.opts.Registerer,
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// deliveryGroup begins the names of the sinks' consumer groups.
const deliveryGroup = "delivery."

// report appends what became of a message to the customer's events.
func (e *Engine) report(ctx context.Context, rec streams.Record) error {
	return e.writeOwn(ctx, []streams.Record{rec})
}

// checkMessage says why a message must not be sent any more, "" when it may.
// History runs faster than messages are delivered: in it none expires.
func (e *Engine) checkMessage(ctx context.Context, m *streams.Message) string {
	switch {
	case e.Live() && !m.Expires.IsZero() && m.Expires.UnixMilli() <= e.Now():
		return "expired"
	case e.outdated(m):
		return "unavailable"
	}
	var p profiles.Profile
	if _, err := e.readProfile(ctx, m.Profile, &p); err == nil {
		for _, s := range p.Suppressed {
			if s.Channel == m.Channel {
				return "suppressed"
			}
		}
	}
	return ""
}

func (e *Engine) anyAvailable(items []streams.MessageItem) bool {
	for i := range items {
		if e.catalogue.Get(items[i].ID).IsAvailable() {
			return true
		}
	}
	return false
}

// sinkHandler reads `messages` for one sink; what it commits is how far it
// got, with the effect watermarks as metadata.
type sinkHandler struct {
	d *delivery.Delivery
	// answers says that there is a receiver, who shall get as little as possible
	// twice: each message is committed before the next one is sent.
	answers bool

	mu      sync.Mutex
	offsets map[int32]int64 // next to deliver; guarded by mu
}

// Restore takes up the last commit: its offset, so that a commit before the
// first message does not go back, and its watermarks.
func (h *sinkHandler) Restore(partition int32, offset int64, metadata string) {
	h.mu.Lock()
	h.offsets[partition] = offset
	h.mu.Unlock()
	var marks []streams.EffectNumber
	for _, s := range strings.Fields(metadata) {
		if n, err := streams.ParseEffect(s); err == nil {
			marks = append(marks, n)
		}
	}
	h.d.Restore(partition, marks)
}

// Assigned goes on where the group's commit says.
func (h *sinkHandler) Assigned(context.Context, int32) (int64, error) {
	return kafka.FromCommitted, nil
}

// Step is up to the first message that is sent.
func (h *sinkHandler) Step(recs []streams.Record) int {
	if h.answers {
		for i := range recs {
			if h.d.Serves(&recs[i]) {
				return i + 1
			}
		}
	}
	return len(recs)
}

// Process delivers a batch.
func (h *sinkHandler) Process(ctx context.Context, partition int32, recs []streams.Record) error {
	if err := h.d.Handle(ctx, partition, recs); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offsets[partition] = recs[len(recs)-1].Offset + 1
	return nil
}

// Position is what to commit.
func (h *sinkHandler) Position(partition int32) (offset int64, metadata string) {
	h.mu.Lock()
	offset = h.offsets[partition]
	h.mu.Unlock()
	var b strings.Builder
	for _, n := range h.d.Watermarks(partition) {
		b.WriteString(n.String())
		b.WriteByte(' ')
	}
	return offset, b.String()
}

// Revoked has nothing to write: each batch is committed as it is delivered.
func (h *sinkHandler) Revoked(context.Context, int32) error { return nil }

// Lost has nothing to drop.
func (h *sinkHandler) Lost(int32) {}
