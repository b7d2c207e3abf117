package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fastjson"

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

	MinBackoff time.Duration // ceiling of the first pause; default 500ms, doubled each time
	MaxBackoff time.Duration // greatest ceiling of a pause; default 1m
	MaxElapsed time.Duration // after which a message is given up; default 10m

	Now   func() time.Time                                 // default time.Now
	Rand  func() float64                                   // in [0, 1); default math/rand/v2
	Sleep func(ctx context.Context, d time.Duration) error // default waits for d or the end of ctx

	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: none
}

// Delivery takes the messages of the channels that one sink serves to that
// sink. Handle may be called for several partitions at once.
type Delivery struct {
	c       Config
	metrics *metrics

	mu         sync.Mutex           // guards partitions, not what they point to
	partitions map[int32]*partition // by number of the partition of `messages`
}

// partition is what is known of a partition of `messages`. Only the caller of
// Handle for it works on it; mu lets others read the watermarks.
type partition struct {
	mu         sync.Mutex
	watermarks map[string]streams.EffectNumber // by source
	// unreported is what became of the message whose id is unreportedID, when
	// Report or DeadLetter failed after it: handed over again, it is not sent
	// again.
	unreported   *outcome
	unreportedID string
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
	return &Delivery{c: c, metrics: m, partitions: map[int32]*partition{}}, nil
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

// Handle delivers the records of one partition of `messages`, in order, and
// returns when each is sent, skipped or given up. An error means that the
// records from the first unfinished one on must be handed over again: ctx
// ended, or a report or a dead letter could not be stored. What was finished
// before is known by its effect number and passed over.
func (d *Delivery) Handle(ctx context.Context, number int32, recs []streams.Record) error {
	p := d.partition(number)
	for i := range recs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.handle(ctx, p, &recs[i]); err != nil {
			return fmt.Errorf("cannot deliver record %d of partition %d: %w", recs[i].Offset, number, err)
		}
	}
	return nil
}

// Serves reports whether a record of `messages` is one that the sink sends, by its
// channel.
func (d *Delivery) Serves(rec *streams.Record) bool {
	return d.c.Routes.Sink(fastjson.GetString(rec.Value, "channel")) == d.c.Sink.Name()
}

func (d *Delivery) handle(ctx context.Context, p *partition, rec *streams.Record) error {
	effect, err := rec.Effect()
	if err != nil {
		return d.bury(ctx, rec, streams.ReasonMalformed, err.Error())
	}
	if !p.above(effect) {
		d.metrics.outcomes.WithLabelValues("duplicate").Inc()
		return nil
	}
	var m streams.Message
	switch err := json.Unmarshal(rec.Value, &m); {
	case err != nil:
		err = d.bury(ctx, rec, streams.ReasonMalformed, "the message is not valid JSON: "+err.Error())
		if err != nil {
			return err
		}
	case m.ID == "" || m.Channel == "":
		if err := d.bury(ctx, rec, streams.ReasonInvalid, "the message needs an id and a channel"); err != nil {
			return err
		}
	case d.c.Routes.Sink(m.Channel) == d.c.Sink.Name():
		if err := d.deliver(ctx, p, rec, &m); err != nil {
			return err
		}
	}
	p.raise(effect)
	return nil
}

// deliver sends a message and tells what became of it.
func (d *Delivery) deliver(ctx context.Context, p *partition, rec *streams.Record, m *streams.Message) error {
	o := p.unreported
	if o == nil || p.unreportedID != m.ID {
		var err error
		if o, err = d.send(ctx, m, rec.Value); err != nil {
			return err
		}
		p.unreported, p.unreportedID = o, m.ID
	}
	if o.event == "Message Failed" {
		if err := d.bury(ctx, rec, streams.ReasonUndelivered, o.detail); err != nil {
			return err
		}
	}
	event, err := report(m, o, d.c.Sink.Name())
	if err != nil {
		// The message says of no customer; it is in the log and the metrics.
		d.c.Logger.Warn("cannot report message", "message", m.ID, "error", err)
	} else if err := d.c.Report(ctx, event); err != nil {
		return fmt.Errorf("cannot report message %q: %w", m.ID, err)
	}
	p.unreported, p.unreportedID = nil, ""
	d.metrics.outcomes.WithLabelValues(o.label()).Inc()
	return nil
}

// send tries until the message is sent, must not be sent, or is given up. An
// error means that ctx ended first.
func (d *Delivery) send(ctx context.Context, m *streams.Message, body []byte) (*outcome, error) {
	start := d.c.Now()
	for attempt := 0; ; attempt++ {
		if reason := d.c.Check(ctx, m); reason != "" {
			return skipped(d.c.Now(), reason), nil
		}
		begin := d.c.Now()
		err := d.c.Sink.Send(ctx, m, body)
		now := d.c.Now()
		d.metrics.seconds.Observe(now.Sub(begin).Seconds())
		if err == nil {
			return sent(now), nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		d.metrics.errors.Inc()
		pause, permanent := d.pause(attempt, err)
		if permanent {
			return refused(now, err), nil
		}
		if now.Sub(start)+pause > d.c.MaxElapsed {
			return failed(now, "timeout", err.Error()), nil
		}
		d.c.Logger.Warn("message not sent, trying again", "sink", d.c.Sink.Name(), "message", m.ID,
			"attempt", attempt+1, "pause", pause, "error", err)
		if err := d.c.Sleep(ctx, pause); err != nil {
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

func (d *Delivery) partition(number int32) *partition {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.partitions[number]
	if p == nil {
		p = &partition{watermarks: map[string]streams.EffectNumber{}}
		d.partitions[number] = p
	}
	return p
}

// above reports whether n is higher than what was finished of its source.
func (p *partition) above(n streams.EffectNumber) bool {
	if n.IsZero() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.watermarks[n.Source()]
	return !ok || last.Less(n)
}

func (p *partition) raise(n streams.EffectNumber) {
	if n.IsZero() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.watermarks[n.Source()]; !ok || last.Less(n) {
		p.watermarks[n.Source()] = n
	}
}

// Watermarks returns, for each source of the partition of `messages`, the
// highest effect number that is finished, lowest source first.
func (d *Delivery) Watermarks(number int32) []streams.EffectNumber {
	p := d.partition(number)
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]streams.EffectNumber, 0, len(p.watermarks))
	for _, n := range p.watermarks {
		list = append(list, n)
	}
	slices.SortFunc(list, streams.EffectNumber.Compare)
	return list
}

// Restore takes up a partition that was just assigned, with the watermarks that
// Watermarks returned to whoever committed them. What this process has finished
// itself stays known: a commit may have failed after it.
func (d *Delivery) Restore(number int32, watermarks []streams.EffectNumber) {
	p := d.partition(number)
	for _, n := range watermarks {
		p.raise(n)
	}
}
