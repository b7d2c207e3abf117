package engine

import (
	"context"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/delivery"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// deliver takes messages to the sinks: each sink is a consumer group of its
// own, so that a slow one delays no other.
func (e *Engine) deliver(ctx context.Context) error {
	deliveries := e.allDeliveries()
	if deliveries == nil {
		var err error
		if deliveries, err = e.newDeliveries(); err != nil {
			return err
		}
		e.mu.Lock()
		e.deliveries = deliveries
		e.mu.Unlock()
	}
	g, ctx := errgroup.WithContext(ctx)
	for name, d := range deliveries {
		g.Go(func() error { return e.deliverFrom(ctx, deliveryGroup+name, kafka.TopicMessages, d.Messages) })
		g.Go(func() error { return e.deliverFrom(ctx, deliveryGroup+name+retryGroup, kafka.TopicRetry, d.Retries) })
	}
	return g.Wait()
}

// allDeliveries are those that there are so far, by sink.
func (e *Engine) allDeliveries() map[string]*delivery.Delivery {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.deliveries
}

// deliveryStatus says which deliveries stand still, messages being missing, and
// which do not succeed at present; and how many messages are under way.
func (e *Engine) deliveryStatus() (stopped, failing []string, inFlight int) {
	all := e.allDeliveries()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, q := range []struct {
			name  string
			queue *delivery.Queue
		}{{name, all[name].Messages}, {name + retryGroup, all[name].Retries}} {
			s := q.queue.Status()
			inFlight += s.InFlight
			for _, why := range s.Stopped {
				stopped = append(stopped, q.name+" "+why)
			}
			for _, why := range s.Trouble {
				failing = append(failing, q.name+" "+why)
			}
		}
	}
	return stopped, failing, inFlight
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
			Retry: func(ctx context.Context, rec streams.Record) error {
				return e.writeOwn(ctx, []streams.Record{rec})
			},
			AcceptLoss: e.opts.AcceptLogLoss, Session: e.client.SessionTimeout,
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

// retryGroup ends those that read `retry`.
const retryGroup = ".retry"

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
