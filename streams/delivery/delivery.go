package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rapport-engine/rapport/streams"
)

// Config is what a Delivery works with. Sink, Report and DeadLetter are needed.
type Config struct {
	Sink   Sink
	Routes Routes
	// Check returns why a message must not be sent now ("expired",
	// "unavailable", "suppressed"), "" when it may be. It is asked before every
	// attempt. Nil: every message may be.
	Check func(ctx context.Context, m *streams.Message) (reason string)
	// Report appends a record to `events` and returns once it is acknowledged.
	Report func(ctx context.Context, rec streams.Record) error
	// DeadLetter stores a letter and returns once it is acknowledged.
	DeadLetter func(ctx context.Context, d streams.DeadLetter) error
	// Retry appends a message that has waited for MaxElapsed to `retry` and
	// returns once it is acknowledged. Nil: it is given up then.
	Retry func(ctx context.Context, rec streams.Record) error
	// AcceptLoss delivers what comes next of a source whatever is missing before.
	AcceptLoss bool

	// Session is how long the group keeps a partition for a process of which it
	// hears nothing: before each attempt it is made sure, where the last commit
	// is older than half of it by a new one, that the partition was not given to
	// another process. 0: no other process could have it.
	Session time.Duration

	MinBackoff time.Duration // ceiling of the first pause; default 500ms, doubled each time
	MaxBackoff time.Duration // greatest ceiling of a pause; default 1m
	MaxElapsed time.Duration // after which a message moves to `retry`; default 10m
	MaxAge     time.Duration // after which it is given up there; default 24h

	Now   func() time.Time                                 // default time.Now
	Rand  func() float64                                   // in [0, 1); default math/rand/v2
	Sleep func(ctx context.Context, d time.Duration) error // default waits for d or the end of ctx

	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: none
}

// Delivery takes the messages of the channels that one sink serves to that
// sink, those of `messages` and, later, those that it moved to `retry`.
type Delivery struct {
	c       Config
	metrics *metrics

	Messages, Retries *Queue
}

// New checks c and returns a Delivery.
func New(c Config) (*Delivery, error) {
	switch {
	case c.Sink == nil:
		return nil, errors.New("cannot make delivery: no sink")
	case c.Report == nil:
		return nil, errors.New("cannot make delivery: no report function")
	case c.DeadLetter == nil:
		return nil, errors.New("cannot make delivery: no dead letter function")
	}
	if c.Check == nil {
		c.Check = func(context.Context, *streams.Message) string { return "" }
	}
	c.MinBackoff = orDefault(c.MinBackoff, 500*time.Millisecond)
	c.MaxBackoff = max(orDefault(c.MaxBackoff, time.Minute), c.MinBackoff)
	c.MaxElapsed = orDefault(c.MaxElapsed, 10*time.Minute)
	c.MaxAge = orDefault(c.MaxAge, 24*time.Hour)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(c.Registerer, c.Sink.Name())
	if err != nil {
		return nil, err
	}
	d := &Delivery{c: c, metrics: m}
	d.Messages, d.Retries = newQueue(d, false), newQueue(d, true)
	return d, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finish takes an item to its end: a report, a dead letter, or its way to
// `retry`. An error means that the partition ended first.
func (q *Queue) finish(ctx context.Context, p *partition, it *item) error {
	d := q.d
	if it.message == nil {
		return d.insist(ctx, p, func() error { return d.bury(ctx, &it.rec, it.reason, it.detail) })
	}
	p.mu.Lock()
	o, moving := p.outcomes[it.rec.Offset], p.moving.has(it.rec.Offset)
	p.mu.Unlock()
	if o == nil && moving && d.c.Retry != nil {
		o = q.moved(it, cmp.Or(retryOf(&it.rec).first, d.c.Now()))
	}
	if o == nil {
		var err error
		if o, err = q.send(ctx, p, it); err != nil {
			return err
		}
		p.mu.Lock()
		p.outcomes[it.rec.Offset] = o // handed over again, it is not sent again
		p.mu.Unlock()
	}
	if o.moved != nil {
		if err := q.intend(ctx, p, it); err != nil {
			return err
		}
	}
	if err := d.insist(ctx, p, func() error { return d.tell(ctx, it, o) }); err != nil {
		return err
	}
	d.metrics.outcomes.WithLabelValues(o.label()).Inc()
	return nil
}

// insist calls do until it succeeds: a broker that is away comes back. The error
// is that of the partition's end.
func (d *Delivery) insist(ctx context.Context, p *partition, do func() error) error {
	for attempt := 0; ; attempt++ {
		err := do()
		if err == nil {
			return nil
		}
		pause, _ := d.pause(attempt, err)
		p.failing(err)
		d.c.Logger.Warn("cannot tell what became of a message, trying again", "sink", d.c.Sink.Name(), "pause", pause, "error", err)
		if err := d.rest(ctx, p, pause); err != nil {
			return err
		}
	}
}

// tell stores what became of a message.
func (d *Delivery) tell(ctx context.Context, it *item, o *outcome) error {
	if o.moved != nil {
		if err := d.c.Retry(ctx, *o.moved); err != nil {
			return fmt.Errorf("cannot move message %q to retry: %w", it.message.ID, err)
		}
		return nil
	}
	if o.event == "Message Failed" {
		if err := d.bury(ctx, &it.rec, streams.ReasonUndelivered, o.detail); err != nil {
			return err
		}
	}
	event, err := report(it.message, o, d.c.Sink.Name())
	if err != nil {
		// The message says of no customer; it is in the log and the metrics.
		d.c.Logger.Warn("cannot report message", "message", it.message.ID, "error", err)
		return nil
	}
	if err := d.c.Report(ctx, event); err != nil {
		return fmt.Errorf("cannot report message %q: %w", it.message.ID, err)
	}
	return nil
}

// errStopped is returned when a partition ends while a message waits to be tried
// again.
var errStopped = errors.New("the partition is given up")

// rest waits for a pause to pass, unless the partition ends.
func (d *Delivery) rest(ctx context.Context, p *partition, pause time.Duration) error {
	select {
	case <-p.stop:
		return errStopped
	default:
	}
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-p.stop:
			cancel(errStopped)
		case <-waiting.Done():
		}
	}()
	err := d.c.Sleep(waiting, pause)
	cancel(nil)
	<-ended
	return err
}

// send tries until the message is sent, must not be sent, is given up, or has to
// move to `retry`. An error means that the partition ended first.
func (q *Queue) send(ctx context.Context, p *partition, it *item) (*outcome, error) {
	d, m := q.d, it.message
	start := d.c.Now()
	first := start
	if at := retryOf(&it.rec).first; q.again && !at.IsZero() {
		first = at
	}
	for attempt := 0; ; attempt++ {
		if reason := d.c.Check(ctx, m); reason != "" {
			return skipped(d.c.Now(), reason), nil
		}
		if err := q.ours(ctx, p); err != nil {
			return nil, err
		}
		begin := d.c.Now()
		err := d.c.Sink.Send(ctx, m, it.rec.Value)
		now := d.c.Now()
		d.metrics.seconds.Observe(now.Sub(begin).Seconds())
		if err == nil {
			return sent(now), nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		d.metrics.errors.Inc()
		p.failing(err)
		pause, permanent := d.pause(attempt, err)
		if q.again && !permanent {
			pause = max(pause, d.c.MaxBackoff/2) // it has been tried often
		}
		switch {
		case permanent:
			return refused(now, err), nil
		case now.Sub(start)+pause <= d.c.MaxElapsed:
		case d.c.Retry == nil || now.Sub(first) >= d.c.MaxAge:
			return failed(now, "timeout", err.Error()), nil
		default:
			return q.moved(it, first), nil
		}
		d.c.Logger.Warn("message not sent, trying again", "sink", d.c.Sink.Name(), "message", m.ID,
			"attempt", attempt+1, "pause", pause, "error", err)
		if err := d.rest(ctx, p, pause); err != nil {
			return nil, err
		}
	}
}

// pause is exponential with full jitter, and not less than the receiver asks.
func (d *Delivery) pause(attempt int, err error) (time.Duration, bool) {
	var failure *SendError
	var least time.Duration
	if errors.As(err, &failure) {
		if failure.Permanent {
			return 0, true
		}
		least = failure.RetryAfter
	}
	ceiling := d.c.MaxBackoff
	if attempt < 30 {
		ceiling = min(d.c.MinBackoff<<attempt, d.c.MaxBackoff)
	}
	return max(time.Duration(d.c.Rand()*float64(ceiling)), least), false
}

// bury stores a dead letter.
func (d *Delivery) bury(ctx context.Context, rec *streams.Record, reason, detail string) error {
	number := string(rec.Header(streams.HeaderEffect))
	if number == "" {
		number = fmt.Sprintf("%s/%d/%d", rec.Topic, rec.Partition, rec.Offset)
	}
	letter := streams.DeadLetter{Reason: reason, Detail: detail, Number: number, At: d.c.Now().UnixMilli(), Event: rec.Value}
	if err := d.c.DeadLetter(ctx, letter); err != nil {
		return fmt.Errorf("cannot store dead letter: %w", err)
	}
	d.metrics.outcomes.WithLabelValues("deadletter").Inc()
	return nil
}
