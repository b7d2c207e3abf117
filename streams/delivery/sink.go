package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// Sink takes messages to their receivers.
type Sink interface {
	// Name is the sink's name in the configuration: "webhook".
	Name() string
	// Send hands over a message; body is its JSON as in `messages`. It may be
	// called from several goroutines. A failed send is tried again unless its
	// error is a *SendError that says otherwise.
	Send(ctx context.Context, m *streams.Message, body []byte) error
}

// SendError is a failed send and what follows from it.
type SendError struct {
	Err        error
	Permanent  bool          // trying again is of no use
	Bounced    bool          // and the address is of no use either
	RetryAfter time.Duration // the receiver's wish; 0 when it has none
}

// Error returns the text of Err.
func (e *SendError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *SendError) Unwrap() error { return e.Err }

// LogName is the sink of every channel that no other sink serves.
const LogName = "log"

// Log writes messages as JSON lines.
type Log struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

// NewLog returns the sink "log", which writes to w.
func NewLog(w io.Writer) *Log { return &Log{w: w} }

// Name returns LogName.
func (*Log) Name() string { return LogName }

// Send writes body as one line.
func (l *Log) Send(_ context.Context, _ *streams.Message, body []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, body); err != nil {
		return &SendError{Err: fmt.Errorf("cannot encode message: %w", err), Permanent: true}
	}
	line.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.w.Write(line.Bytes()); err != nil {
		return fmt.Errorf("cannot write message: %w", err)
	}
	return nil
}

// Routes says which sink serves which channel. The zero value sends
// everything to log.
type Routes struct {
	sinks map[string]string // by channel
}

// NewRoutes reads sink -> channels. A sink without channels serves the channel
// of its own name. A channel that two sinks claim is an error, all of them at
// once.
func NewRoutes(channels map[string][]string) (Routes, error) {
	r := Routes{sinks: map[string]string{}}
	names := make([]string, 0, len(channels))
	for name := range channels {
		names = append(names, name)
	}
	slices.Sort(names)
	var problems []error
	for _, name := range names {
		serves := channels[name]
		if len(serves) == 0 {
			serves = []string{name}
		}
		for _, channel := range serves {
			if other, ok := r.sinks[channel]; ok && other != name {
				problems = append(problems, fmt.Errorf("channel %q: served by sink %q and by sink %q; name it in one", channel, other, name))
				continue
			}
			r.sinks[channel] = name
		}
	}
	return r, errors.Join(problems...)
}

// Sink returns the name of the sink that serves channel.
func (r Routes) Sink(channel string) string {
	if name, ok := r.sinks[channel]; ok {
		return name
	}
	return LogName
}
