package run

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
)

// EndToEndReport is how long it takes until the profile shows an event that was
// accepted over HTTP. The profile is read in the process, once a millisecond.
type EndToEndReport struct {
	ProfileP50 float64 `json:"profile_p50_ms"` // from the 200, median of the rounds
	ProfileP99 float64 `json:"profile_p99_ms"`
	P50        Spread  `json:"profile_p50"`
	P99        Spread  `json:"profile_p99"`
	P999       Spread  `json:"profile_p999"`
	FromDueP50 Spread  `json:"due_to_profile_p50"` // from when the event was due to be sent
	FromDueP99 Spread  `json:"due_to_profile_p99"`
	Rate       float64 `json:"rate"`
	Lost       int64   `json:"lost"` // not shown within 10 s
	Saturated  bool    `json:"saturated"`
}

// endToEnd sends single events at a rate and watches the profiles.
func (b *ingestBench) endToEnd(ctx context.Context) error {
	watch := newWatch(b.server.Engine, time.Now().Add(b.cfg.Duration/5))
	watching, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { watch.run(watching) })
	bodies := make([][]byte, b.cfg.Connections)
	customers := make([]int, b.cfg.Connections)
	wants := make([]uint64, b.cfg.Connections)
	w := b.shop.walker(uint64(900 + b.round))
	items := make([]int, distinctCalls)
	for i := range items {
		items[i] = w.item()
	}
	r, err := load.Run(ctx, load.Config{
		Addr: b.server.addr, Connections: b.cfg.Connections, Rate: b.cfg.Rate, Warmup: b.cfg.Duration / 5, Duration: b.cfg.Duration,
		Fill: func(worker int, n int64, req *fasthttp.Request) {
			c := int(n) % b.shop.customers // each is long at rest before it comes again
			customers[worker], wants[worker] = c, watch.events(ctx, c)+1
			bodies[worker], _ = b.shop.appendEvent(bodies[worker][:0], "Product Viewed", c, items[n%distinctCalls], b.ids.Add(1))
			post(req, "/v1/track", bodies[worker])
		},
		Answered: func(worker int, _ int64, t load.Timing, _ *fasthttp.Response) error {
			watch.expect(expected{customer: customers[worker], events: wants[worker], due: t.Due, accepted: t.Done})
			return nil
		},
	})
	if err == nil {
		err = watch.drain(ctx)
	}
	stop()
	done.Wait()
	if err != nil {
		return err
	}
	e := b.report.EndToEnd
	e.Lost += watch.lost
	e.Saturated = e.Saturated || r.Saturated()
	b.report.Failed += r.Failed
	b.e2e50, b.e2e99 = append(b.e2e50, quantile(watch.fromAccepted, 50)), append(b.e2e99, quantile(watch.fromAccepted, 99))
	b.e2e999 = append(b.e2e999, quantile(watch.fromAccepted, 99.9))
	b.report.accepted.Merge(watch.fromAccepted)
	b.sending50, b.sending = append(b.sending50, quantile(watch.fromDue, 50)), append(b.sending, quantile(watch.fromDue, 99))
	return nil
}

// expected is an event that a profile does not show yet.
type expected struct {
	customer      int
	events        uint64 // the profile's number of events, once it does
	due, accepted time.Time
}

// patience is how long an event may be on its way.
const patience = 10 * time.Second

// watch looks at profiles until they show what was accepted.
type watch struct {
	engine   *engine.Engine
	measured time.Time // what was due before is not counted

	mu      sync.Mutex
	waiting []expected // guarded by mu
	open    int        // not shown yet, those being looked at too; guarded by mu
	idle    *sync.Cond // of mu: nothing is open

	// The watcher's own until run has returned.
	fromAccepted, fromDue *hdrhistogram.Histogram
	lost                  int64
}

func newWatch(e *engine.Engine, measured time.Time) *watch {
	w := &watch{engine: e, measured: measured, fromAccepted: load.NewHistogram(), fromDue: load.NewHistogram()}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// events is the number that a customer's profile shows; 0 without a profile.
func (w *watch) events(ctx context.Context, customer int) uint64 {
	p, err := w.engine.Profile(ctx, streams.Identifier{Type: "user", Value: userID(customer)})
	if err != nil {
		return 0
	}
	return p.Events
}

func (w *watch) expect(e expected) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, e)
	w.open++
}

// run looks at what is waiting every millisecond until ctx ends.
func (w *watch) run(ctx context.Context) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	var list []expected
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		w.mu.Lock()
		list = append(list[:0], w.waiting...)
		looked := len(list)
		w.waiting = w.waiting[:0]
		w.mu.Unlock()
		left := list[:0]
		for _, e := range list {
			if !w.shown(ctx, e) {
				left = append(left, e)
			}
		}
		w.mu.Lock()
		w.waiting = append(w.waiting, left...)
		if w.open -= looked - len(left); w.open == 0 {
			w.idle.Broadcast()
		}
		w.mu.Unlock()
	}
}

// shown reports whether an event needs no more watching, and notes how long it
// took.
func (w *watch) shown(ctx context.Context, e expected) bool {
	seen := w.events(ctx, e.customer)
	now := time.Now()
	switch {
	case seen < e.events && now.Sub(e.accepted) < patience:
		return false
	case seen < e.events:
		w.lost++
	}
	if !e.due.Before(w.measured) {
		load.Record(w.fromAccepted, now.Sub(e.accepted))
		load.Record(w.fromDue, now.Sub(e.due))
	}
	return true
}

// drain waits until nothing is waiting.
func (w *watch) drain(ctx context.Context) error {
	stop := context.AfterFunc(ctx, w.idle.Broadcast)
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.open > 0 {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cannot wait for the profiles: %w", err)
		}
		w.idle.Wait()
	}
	return nil
}
