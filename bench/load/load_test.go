package load_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"github.com/rapport-engine/rapport/bench/load"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // these of fasthttp's servers end some seconds later, or never
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// serve answers on a free port until the test ends.
func serve(t *testing.T, h fasthttp.RequestHandler) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{Handler: h, CloseOnShutdown: true}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(), <-done); err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func fill(_ int, _ int64, req *fasthttp.Request) { req.SetRequestURI("/x") }

func TestOpenLoopSendsWhatIsDue(t *testing.T) {
	addr := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("ok") })
	var told atomic.Int64
	r, err := load.Run(t.Context(), load.Config{
		Addr: addr, Connections: 4, Rate: 500, Warmup: 20 * time.Millisecond, Duration: 200 * time.Millisecond, Fill: fill,
		Answered: func(_ int, _ int64, tm load.Timing, resp *fasthttp.Response) error {
			if tm.Sent.Before(tm.Due) || tm.Done.Before(tm.Sent) || string(resp.Body()) != "ok" {
				t.Errorf("timing %v, body %q", tm, resp.Body())
			}
			told.Add(1)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Answered + r.Unsent; n != 100 || r.Failed != 0 {
		t.Errorf("%d answered, %d unsent, %d failed of 100", r.Answered, r.Unsent, r.Failed)
	}
	if told.Load() < r.Answered {
		t.Errorf("told of %d answers of %d", told.Load(), r.Answered)
	}
	if r.FromDue.TotalCount() != r.Answered+r.Unsent || r.FromSent.TotalCount() != r.Answered {
		t.Errorf("%d and %d latencies", r.FromDue.TotalCount(), r.FromSent.TotalCount())
	}
}

func TestOpenLoopCountsWhatAStallDelays(t *testing.T) {
	stall, end := context.WithTimeout(t.Context(), 300*time.Millisecond) // longer than the phase
	defer end()
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		<-stall.Done()
		ctx.SetBodyString("ok")
	})
	r, err := load.Run(t.Context(), load.Config{Addr: addr, Connections: 1, Rate: 200, Duration: 100 * time.Millisecond, Fill: fill})
	if err != nil {
		t.Fatal(err)
	}
	if r.Answered != 1 || r.Unsent == 0 || r.FromDue.TotalCount() != 1+r.Unsent || r.FromSent.TotalCount() != 1 {
		t.Errorf("the one answer hides who waited: %d answered, %d unsent, %d latencies", r.Answered, r.Unsent, r.FromDue.TotalCount())
	}
	if !r.Saturated() {
		t.Error("a server that stalls is not saturated")
	}
}

func TestClosedLoop(t *testing.T) {
	addr := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("ok") })
	r, err := load.Run(t.Context(), load.Config{Addr: addr, Connections: 2, Duration: 50 * time.Millisecond, Fill: fill})
	if err != nil {
		t.Fatal(err)
	}
	if r.Answered == 0 || r.Failed != 0 || r.Saturated() {
		t.Errorf("%+v", r)
	}
}

func TestFailures(t *testing.T) {
	addr := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.Error("no", fasthttp.StatusTeapot) })
	if _, err := load.Run(t.Context(), load.Config{Addr: addr, Connections: 1, Duration: 20 * time.Millisecond, Fill: fill}); err == nil {
		t.Error("a server that refuses everything is measured")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := load.Run(ctx, load.Config{Addr: addr, Connections: 1, Rate: 10, Duration: time.Second, Fill: fill}); err == nil {
		t.Error("a phase that never ran is measured")
	}
}
