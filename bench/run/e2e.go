package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/bench/page"
	"github.com/rapport-engine/rapport/rules"
)

// E2EConfig says what to measure the way of an event to a message with.
type E2EConfig struct {
	Items, Profiles int // of the profiles one half is there to find the capacity with
	Seed            uint64
	Connections     int           // kept alive
	Rate            float64       // events a second, sent one each; 0: half of the capacity
	Duration        time.Duration // of one phase
	Rounds          int           // of all phases
	Progress        func(string)  // told what happens; nil: nobody
	Profile         io.Writer     // gets a CPU profile of what is measured; nil: nobody
	Sender          []string      // command of a process that sends (load.Serve); none: this process sends
}

// Validate says what cannot be measured.
func (c *E2EConfig) Validate() error {
	switch {
	case c.Items < 100:
		return errors.New("items: must be 100 or more")
	case c.Profiles < 100:
		return errors.New("profiles: must be 100 or more")
	case c.Rate < 0 || c.Rate > 1e6:
		return errors.New("rate: must be from 1 to 1000000 events a second, or 0 for half of the capacity")
	}
	return checkPhases(c.Connections, c.Rounds, c.Duration)
}

// E2EReport is how long events that were accepted over HTTP are on their way to
// the message that they cause, and to the profile. Both count from the answer
// 200: until a plain reader of `messages` has the record, and until the profile
// shows the event, looked at in the process once a millisecond.
type E2EReport struct {
	P99        float64    `json:"p99_ms"` // to the message, median
	P99Range   [2]float64 `json:"p99_ms_range"`
	ProfileP99 float64    `json:"profile_p99_ms"` // to the profile, median
	Message    Latency    `json:"message"`
	Profile    Latency    `json:"profile"`
	DueMessage Latency    `json:"due_to_message"` // from when the event was due to be sent
	Accepted   Latency    `json:"accepted"`       // from sending to the answer 200
	Capacity   Spread     `json:"capacity"`       // single events acknowledged a second, closed loop
	Rate       float64    `json:"rate"`
	Messages   int64      `json:"messages"` // measured
	Lost       int64      `json:"lost"`     // messages and profiles not seen within 10 s
	Saturated  bool       `json:"saturated"`

	Items       int              `json:"items"`
	Profiles    int              `json:"profiles"`
	Connections int              `json:"connections"`
	Rounds      int              `json:"rounds"`
	Seconds     float64          `json:"seconds"` // of a phase
	Charts      []page.Latencies `json:"charts"`
	Machine     Machine          `json:"machine"`
}

// sendAtOnce are the rules of the benchmark: one event in seven sends a message
// without waiting, beside the built-in triggers, which wait.
const sendAtOnce = `
triggers:
  at_once:
    start: {event: [Product Added, Order Completed]}
    steps: [{send: {template: at_once, channels: [webhook], transactional: true}}]
    reentry: 1s
  abandoned_cart:
    start: {event: [Product Added, Product Removed, Cart Updated], if: "size(profile.cart.items) > 0"}
    restart: true
    while: "size(profile.cart.items) > 0"
    exit: [{event: Order Completed}]
    steps: [{wait: {idle: 30m}}, {send: {template: abandoned_cart, channels: [webhook], items: cart}}]
  viewed_item:
    start: {event: Product Viewed, if: "item.available"}
    restart: true
    while: "size(profile.cart.items) == 0"
    exit: [{event: [Product Added, Checkout Started, Order Completed]}]
    steps: [{wait: {idle: 30m}}, {send: {template: viewed_item, channels: [webhook], items: event}}]
`

// EndToEnd measures the way of an event to a message and to the profile.
func EndToEnd(ctx context.Context, cfg E2EConfig) (report *E2EReport, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, remove, err := tempDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	set, err := rules.Parse(map[string][]byte{"bench.yaml": []byte(sendAtOnce)})
	if err != nil {
		return nil, fmt.Errorf("BUG: the benchmark's rules: %w", err)
	}
	b := &e2eBench{cfg: cfg, shop: newShop(cfg.Items, cfg.Profiles, cfg.Seed), report: &E2EReport{
		Items: cfg.Items, Profiles: cfg.Profiles, Connections: cfg.Connections, Rounds: cfg.Rounds,
		Seconds: cfg.Duration.Seconds(), Machine: thisMachine(),
	}}
	config := benchConfig(dir)
	tell(cfg.Progress, fmt.Sprintf("writing %s profiles", thousands(int64(cfg.Profiles))))
	if err := seedProfiles(ctx, b.shop, &config, 0); err != nil {
		return nil, err
	}
	if b.server, err = startServerWith(ctx, config, set); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.server.close()) }()
	if err := b.server.putItems(ctx, b.shop.items); err != nil {
		return nil, err
	}
	b.sender = eventSender{command: cfg.Sender, dir: dir, addr: b.server.addr, connections: cfg.Connections}
	if err := b.profiled(ctx); err != nil {
		return nil, err
	}
	r := b.report
	r.P99, r.P99Range = r.Message.P99.Median, [2]float64{r.Message.P99.Low, r.Message.P99.High}
	r.ProfileP99 = r.Profile.P99.Median
	r.Charts = []page.Latencies{{Title: fmt.Sprintf("%s events/s over HTTP", thousands(int64(r.Rate))), Curves: []page.Curve{
		curve("accepted to the message", r.Message.all), curve("accepted to the profile", r.Profile.all), curve("sent to accepted", r.Accepted.all),
	}}}
	r.Machine.LoadAfter = loadAverage()
	return r, nil
}

// e2eBench is one run.
type e2eBench struct {
	cfg    E2EConfig
	report *E2EReport
	shop   *shop
	server *server
	sender eventSender
	inbox  inbox
	sent   int // events at the rate, of all rounds: who comes next
}

func (b *e2eBench) profiled(ctx context.Context) error {
	stop, err := profileCPU(b.cfg.Profile)
	if err != nil {
		return err
	}
	defer stop()
	return b.measure(ctx)
}

// measure finds the capacity and then sends at half of it.
func (b *e2eBench) measure(ctx context.Context) error {
	first := *b.shop
	first.customers /= 2 // the others are long at rest when they are measured
	var capacity []float64
	for round := range b.cfg.Rounds {
		tell(b.cfg.Progress, fmt.Sprintf("capacity, round %d of %d", round+1, b.cfg.Rounds))
		r, err := b.sender.single(ctx, &first, uint64(5000+round), b.cfg.Duration)
		if err != nil {
			return err
		}
		if err := b.server.WaitApplied(ctx); err != nil {
			return err
		}
		capacity = append(capacity, r.PerSecond())
	}
	b.report.Capacity = spread(capacity)
	if b.report.Rate = b.cfg.Rate; b.report.Rate == 0 {
		b.report.Rate = b.report.Capacity.Median / 2
	}
	stop, err := b.inbox.open(ctx, b.server)
	if err != nil {
		return err
	}
	for round := range b.cfg.Rounds {
		tell(b.cfg.Progress, fmt.Sprintf("from event to message, round %d of %d", round+1, b.cfg.Rounds))
		runtime.GC() // what was before is not measured
		if err := b.round(ctx, round); err != nil {
			return errors.Join(err, stop())
		}
	}
	return stop()
}

// planned is an event of a round.
type planned struct {
	customer int
	sends    bool // a message
}

// round sends events of customers who each come once, mostly.
func (b *e2eBench) round(ctx context.Context, round int) error {
	warmup := b.cfg.Duration / 5
	plan, bodies := b.plan(round, int(b.report.Rate*(warmup+b.cfg.Duration).Seconds())+1)
	watch := newWatch(ctx, b.server.Engine, plan)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var done sync.WaitGroup
	done.Go(func() { watch.run(watching) })
	r, firstID, err := b.sender.phase(ctx, "/v1/track", bodies, load.Spec{
		Rate: b.report.Rate, Warmup: warmup, Duration: b.cfg.Duration, Each: true,
	})
	if err != nil {
		stop()
		done.Wait()
		return err
	}
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	expected := map[string]int{} // message id to event
	for n := range min(len(plan), len(r.Each)) {
		if plan[n].sends && !r.Each[n].Done.IsZero() {
			expected[messageID("at_once", customerKey(plan[n].customer), firstID+uint64(n))] = n
		}
	}
	b.inbox.wait(patient, expected)
	watch.wait(patient)
	stop()
	done.Wait()
	b.sum(r, warmup, expected, watch)
	return ctx.Err()
}

// plan is what is sent in a round; no customer comes twice.
func (b *e2eBench) plan(round, events int) ([]planned, [][]byte) {
	half := b.shop.customers / 2
	w := b.shop.walker(uint64(900 + round))
	plan := make([]planned, min(events, half))
	bodies := make([][]byte, len(plan))
	for n := range plan {
		kind := w.kind()
		plan[n] = planned{customer: half + (b.sent+n)%half, sends: kind != "Product Viewed"}
		bodies[n] = b.shop.appendEvent(nil, kind, plan[n].customer, w.item(), 0, w.Uint64())
	}
	b.sent += len(plan)
	return plan, bodies
}

// sum adds a round to the report.
func (b *e2eBench) sum(r *load.Result, warmup time.Duration, expected map[string]int, watch *watch) {
	report := b.report
	measured := r.Each[0].Due.Add(warmup)
	message, fromDue, profile := load.NewHistogram(), load.NewHistogram(), load.NewHistogram()
	for id, n := range expected {
		t := r.Each[n]
		if t.Due.Before(measured) {
			continue
		}
		seen, ok := b.inbox.seen(id)
		if !ok {
			seen = t.Done.Add(patience)
			report.Lost++
		}
		report.Messages++
		load.Record(message, seen.Sub(t.Done))
		load.Record(fromDue, seen.Sub(t.Due))
	}
	for i, n := range watch.events {
		if n >= len(r.Each) || r.Each[n].Done.IsZero() || r.Each[n].Due.Before(measured) {
			continue
		}
		seen := watch.seen[i]
		if seen.IsZero() {
			seen = r.Each[n].Done.Add(patience)
			report.Lost++
		}
		load.Record(profile, seen.Sub(r.Each[n].Done))
	}
	report.Accepted.add(r.FromSent)
	report.Message.add(message)
	report.DueMessage.add(fromDue)
	report.Profile.add(profile)
	report.Saturated = report.Saturated || r.Saturated()
}

// Write prints the report as a table.
func (r *E2EReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("events over HTTP to messages: %s customers, %s items; embedded broker, synced writes, snapshots", thousands(int64(r.Profiles)), thousands(int64(r.Items)))
	p.line("%s; %d rounds of %gs, %d connections; medians with range", r.Machine.String(), r.Rounds, r.Seconds, r.Connections)
	p.line("")
	p.line("capacity: %s single events/s acknowledged; measured at %s/s, one in seven sends a message: %s messages",
		r.Capacity, thousands(int64(r.Rate)), thousands(r.Messages))
	p.line("")
	p.line("%-46s %-20s %-20s %-20s", "ms", "p50", "p99", "p99.9")
	for _, row := range []struct {
		name string
		of   *Latency
	}{{"sent to accepted", &r.Accepted}, {"accepted to the message", &r.Message}, {"accepted to the profile", &r.Profile}, {"due to be sent to the message", &r.DueMessage}} {
		p.line("%-46s %-20s %-20s %-20s", row.name, row.of.P50, row.of.P99, row.of.P999)
	}
	if r.Saturated || r.Lost > 0 {
		p.line("%d not seen within %s, rate kept: %t", r.Lost, patience, !r.Saturated)
	}
	p.line("")
	p.asks("e2e.p99_ms", r.P99)
	return p.err
}
