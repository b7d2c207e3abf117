package run

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rapport-engine/rapport/bench/load"
)

// batchEvents is how many events a batch has.
const batchEvents = 100

// eventSender posts events to a server from a process of its own.
type eventSender struct {
	command     []string // load.Serve's; none: this process sends
	dir         string   // of a file with the bodies
	addr        string
	connections int
	phases      uint64 // numbers message ids
}

// phase posts bodies over and over: as fast as they are acknowledged where
// rate is 0. The message ids of request n begin with id n of what it returns,
// where each body has one.
func (s *eventSender) phase(ctx context.Context, path string, bodies [][]byte, spec load.Spec) (r *load.Result, firstID uint64, err error) {
	calls := filepath.Join(s.dir, "bodies")
	if err := os.WriteFile(calls, bytes.Join(bodies, []byte("\n")), 0o600); err != nil {
		return nil, 0, fmt.Errorf("cannot write what to send: %w", err)
	}
	s.phases++
	spec.Addr, spec.Connections, spec.Calls, spec.Post, spec.FirstID = s.addr, s.connections, calls, path, s.phases<<40
	r, err = load.RunProcess(ctx, s.command, &spec)
	if err == nil {
		err = mostlyAnswered(r)
	}
	return r, spec.FirstID, err
}

// mostlyAnswered is an error where over a hundredth of the requests failed.
func mostlyAnswered(r *load.Result) error {
	if r.Failed > r.Answered/100 {
		return fmt.Errorf("%d of %d requests failed: %w", r.Failed, r.Failed+r.Answered, r.Err)
	}
	return nil
}

// single measures how many events sent one each are acknowledged, as fast as
// they are.
func (s *eventSender) single(ctx context.Context, sh *shop, stream uint64, duration time.Duration) (*load.Result, error) {
	r, _, err := s.phase(ctx, "/v1/track", sh.bodies(stream, 1), load.Spec{Warmup: duration / 5, Duration: duration})
	return r, err
}

// bodies are some thousand events of visits, so many in a body.
func (s *shop) bodies(stream uint64, events int) [][]byte {
	const all, least = 8192, 256
	bodies := make([][]byte, max(least, all/events))
	w := s.visits(stream, 1024)
	for i := range bodies {
		bodies[i] = w.body(events)
	}
	return bodies
}

// body is a track call, or a batch of so many.
func (v *visits) body(events int) []byte {
	if events == 1 {
		return v.appendNext(nil)
	}
	b := []byte(`{"batch":[`)
	for n := range events {
		if n > 0 {
			b = append(b, ',')
		}
		b = v.appendNext(b)
	}
	return append(b, `]}`...)
}

// appendNext appends the next event, without a message id of its own.
func (v *visits) appendNext(b []byte) []byte {
	customer, item := v.next()
	return v.appendEvent(b, v.kind(), customer, item, 0, v.Uint64())
}
