// Package load sends HTTP requests over keep-alive connections and measures how
// long the answers take. An open loop sends at a given rate, whatever the
// server does, and counts latency from the time at which a request was due, so
// that a server that stalls cannot hide it; a closed loop sends as fast as the
// answers come back.
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
)

// Config is one phase of load.
type Config struct {
	Addr        string  // of the server, host:port
	Connections int     // kept alive; 64 where 0
	Rate        float64 // requests a second; 0 is a closed loop
	Warmup      time.Duration
	Duration    time.Duration // of what is measured

	// Fill prepares the n-th request of a phase (from 0) over what the same
	// worker (0 to Connections-1) sent before. It is called by all workers.
	Fill func(worker int, n int64, req *fasthttp.Request)
	// Answered is told of each answer, the warm-up's too; nil: nobody. An error
	// counts the request as failed.
	Answered func(worker int, n int64, t Timing, resp *fasthttp.Response) error
	Each     bool // Result.Each is wanted; for open loops
}

// Timing is when a request was due, sent and answered.
type Timing struct{ Due, Sent, Done time.Time }

// Result is what a phase measured, without its warm-up.
type Result struct {
	Rate     float64       // asked for; 0 for a closed loop
	Answered int64         // with status 200
	Failed   int64         // refused, broken off or answered otherwise
	Unsent   int64         // still due at the end: the server or the machine could not follow
	Took     time.Duration // of the measured part
	FromDue  *hdrhistogram.Histogram
	FromSent *hdrhistogram.Histogram
	Each     []Timing // by number, the warm-up's too, without Sent; Done is zero where nothing was answered
	Err      error    // an example of what failed
}

// PerSecond is how many requests were answered a second.
func (r *Result) PerSecond() float64 { return float64(r.Answered) / r.Took.Seconds() }

// Saturated reports whether the requests could not be answered at the rate that
// was asked for.
func (r *Result) Saturated() bool { return r.Rate > 0 && r.PerSecond() < 0.95*r.Rate }

// NewHistogram is one of latencies: 1 µs to 2 minutes, to three digits.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, (2 * time.Minute).Microseconds(), 3)
}

// Record adds a latency, cut to what NewHistogram holds.
func Record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 1), h.HighestTrackableValue()))
}

// patience bounds the wait for an answer after the end of a phase: it ends,
// whatever the server does.
const patience = 10 * time.Second

// Run sends one phase and returns what it measured. It fails when nothing at
// all was answered.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if cfg.Connections <= 0 {
		cfg.Connections = 64
	}
	p := &phase{Config: cfg, start: time.Now()}
	p.measured = p.start.Add(cfg.Warmup)
	p.end = p.measured.Add(cfg.Duration)
	ctx, cancel := context.WithDeadline(ctx, p.end)
	defer cancel()
	if cfg.Rate > 0 {
		p.due = make(chan int64, dueBuffer)
		if cfg.Each {
			p.each = make([]Timing, p.total())
		}
	}
	workers := make([]*worker, cfg.Connections)
	var wg sync.WaitGroup
	for i := range workers {
		workers[i] = &worker{phase: p, id: i, fromDue: NewHistogram(), fromSent: NewHistogram()}
		wg.Go(func() { workers[i].run(ctx) })
	}
	var paced error
	if cfg.Rate > 0 {
		paced = p.pace(ctx)
	}
	wg.Wait()
	if paced != nil {
		return nil, fmt.Errorf("cannot keep the rate: %w", paced)
	}
	return p.result(workers)
}

// dueBuffer is how many requests may be due and not sent: beyond it the pace
// waits, which changes no due time.
const dueBuffer = 1 << 16

// phase is one Run.
type phase struct {
	Config
	start, measured, end time.Time
	due                  chan int64 // numbers of requests, in an open loop
	next                 atomic.Int64
	each                 []Timing // an element is its request's worker's until the end
}

// total is how many requests of an open loop are due.
func (p *phase) total() int64 { return int64(p.Rate * p.end.Sub(p.start).Seconds()) }

// at is when the n-th request of an open loop is due.
func (p *phase) at(n int64) time.Time {
	return p.start.Add(time.Duration(float64(n) / p.Rate * float64(time.Second)))
}

func (p *phase) result(workers []*worker) (*Result, error) {
	r := &Result{Rate: p.Rate, Took: p.Duration, FromDue: NewHistogram(), FromSent: NewHistogram(), Each: p.each}
	for _, w := range workers {
		r.Answered += w.answered
		r.Failed += w.failed
		r.Unsent += w.unsent
		r.FromDue.Merge(w.fromDue)
		r.FromSent.Merge(w.fromSent)
		if r.Err == nil {
			r.Err = w.err
		}
	}
	if r.Answered == 0 {
		return nil, errors.Join(fmt.Errorf("cannot measure %s: no request was answered", p.Addr), r.Err)
	}
	return r, nil
}

// worker is one connection.
type worker struct {
	*phase
	id                       int
	answered, failed, unsent int64
	fromDue, fromSent        *hdrhistogram.Histogram
	err                      error

	req  fasthttp.Request
	resp fasthttp.Response
	conn net.Conn // nil: to be opened
	in   *bufio.Reader
	out  *bufio.Writer
}

// call sends the request and reads the answer, over the connection of the call
// before where that still stands.
func (w *worker) call() error {
	if w.conn == nil {
		conn, err := net.DialTimeout("tcp", w.Addr, patience)
		if err == nil {
			err = conn.SetDeadline(w.end.Add(patience))
		}
		if err != nil {
			return fmt.Errorf("cannot connect: %w", err)
		}
		w.conn, w.in, w.out = conn, bufio.NewReaderSize(conn, 16<<10), bufio.NewWriterSize(conn, 64<<10)
	}
	err := w.req.Write(w.out)
	if err == nil {
		err = w.out.Flush()
	}
	if err == nil {
		err = w.resp.Read(w.in)
	}
	if err != nil || w.resp.ConnectionClose() {
		w.hangUp()
	}
	return err
}

func (w *worker) hangUp() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

func (w *worker) run(ctx context.Context) {
	defer w.hangUp()
	w.req.Header.SetHost(w.Addr)
	if w.Rate == 0 {
		for ctx.Err() == nil {
			w.send(w.next.Add(1)-1, time.Now())
		}
		return
	}
	for n := range w.due {
		due := w.at(n)
		if w.each != nil {
			w.each[n].Due = due
		}
		if now := time.Now(); now.After(w.end) { // its latency is at least this
			w.unsent++
			Record(w.fromDue, now.Sub(due))
			continue
		}
		w.send(n, due)
	}
}

// send sends one request and waits for its answer.
func (w *worker) send(n int64, due time.Time) {
	w.Fill(w.id, n, &w.req)
	t := Timing{Due: due, Sent: time.Now()}
	if w.Rate == 0 {
		t.Due = t.Sent
	}
	err := w.call()
	t.Done = time.Now()
	if err == nil && w.resp.StatusCode() != fasthttp.StatusOK {
		err = fmt.Errorf("status %d: %.200s", w.resp.StatusCode(), w.resp.Body())
	}
	if err == nil && w.Answered != nil {
		err = w.Answered(w.id, n, t, &w.resp)
	}
	if w.each != nil && err == nil {
		w.each[n].Done = t.Done
	}
	if t.Due.Before(w.measured) || w.Rate == 0 && t.Done.After(w.end) {
		return
	}
	if err != nil {
		w.failed++
		w.err = err
		return
	}
	w.answered++
	Record(w.fromDue, t.Done.Sub(t.Due))
	Record(w.fromSent, t.Done.Sub(t.Sent))
}
