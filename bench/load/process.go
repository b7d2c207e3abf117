package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Spec is a phase of requests that a process of its own can send. With the
// senders in the server's process the Go scheduler lets requests wait for
// answers to be read and the other way round; between processes the kernel
// decides, as it does in life. Open loops and events are sent by one thread:
// they need no more, and each one woken by another costs the server's cores too.
type Spec struct {
	Addr        string
	Connections int
	Rate        float64
	Warmup      time.Duration
	Duration    time.Duration
	Calls       string // a file with a request a line, sent over and over: the path to get
	Post        string // a path that the lines of Calls are posted to instead; "" gets them
	FirstID     uint64 // the message ids in posted bodies are numbered from here (Bodies)
	Each        bool   // Result.Each is wanted; for open loops
}

// RunProcess sends a phase from a process that command starts and that calls
// Serve. Without a command it sends from this process.
func RunProcess(ctx context.Context, command []string, spec *Spec) (*Result, error) {
	if len(command) == 0 {
		return spec.run(ctx)
	}
	in, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	var out, complaints bytes.Buffer
	child := exec.CommandContext(ctx, command[0], command[1:]...)
	if spec.Rate > 0 || spec.Post != "" {
		child.Env = append(os.Environ(), "GOMAXPROCS=1")
	}
	child.Stdin, child.Stdout, child.Stderr = bytes.NewReader(in), &out, &complaints
	if err := child.Run(); err != nil {
		return nil, fmt.Errorf("cannot send from a process of its own: %w: %.1000s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	var w wire
	if err := json.Unmarshal(out.Bytes(), &w); err != nil {
		return nil, fmt.Errorf("cannot read what the sending process measured: %w", err)
	}
	return w.result(), nil
}

// Serve is the other side of RunProcess: it reads a Spec, sends it, and writes
// what it measured.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var spec Spec
	if err := json.NewDecoder(in).Decode(&spec); err != nil {
		return fmt.Errorf("cannot read what to send: %w", err)
	}
	r, err := spec.run(ctx)
	if err != nil {
		return err
	}
	w := wire{Result: *r, Due: r.FromDue.Export(), Sent: r.FromSent.Export()}
	w.FromDue, w.FromSent, w.Err, w.Each = nil, nil, nil, nil
	for _, t := range r.Each {
		w.EachDue, w.EachDone = append(w.EachDue, nanos(t.Due)), append(w.EachDone, nanos(t.Done))
	}
	if r.Err != nil {
		w.Complaint = r.Err.Error()
	}
	return json.NewEncoder(out).Encode(&w)
}

// wire is a Result as JSON.
type wire struct {
	Result
	Due, Sent         *hdrhistogram.Snapshot
	EachDue, EachDone []int64 // ns since 1970; 0 is never
	Complaint         string
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func (w *wire) result() *Result {
	r := w.Result
	r.FromDue, r.FromSent = hdrhistogram.Import(w.Due), hdrhistogram.Import(w.Sent)
	for n, due := range w.EachDue {
		r.Each = append(r.Each, Timing{Due: fromNanos(due), Done: fromNanos(w.EachDone[n])})
	}
	if w.Complaint != "" {
		r.Err = errors.New(w.Complaint)
	}
	return &r
}

func (s *Spec) run(ctx context.Context) (*Result, error) {
	data, err := os.ReadFile(s.Calls)
	if err != nil {
		return nil, fmt.Errorf("cannot read the requests to send: %w", err)
	}
	calls := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	if len(calls[0]) == 0 {
		return nil, fmt.Errorf("cannot send %q: it is empty", s.Calls)
	}
	cfg := Config{
		Addr: s.Addr, Connections: s.Connections, Rate: s.Rate, Warmup: s.Warmup, Duration: s.Duration, Each: s.Each,
	}
	if s.Post != "" {
		cfg.Fill = newBodies(calls, s.Connections).fill(s.Post, s.FirstID)
	} else {
		cfg.Fill = fillFrom(calls)
	}
	return Run(ctx, cfg)
}
