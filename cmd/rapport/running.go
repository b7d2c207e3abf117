package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rapport-engine/rapport/engine"
)

// running is an engine at work in this process.
type running struct {
	*engine.Engine
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run; valid once done is closed
}

// startEngine makes an engine and runs it until stop.
func startEngine(ctx context.Context, cfg engine.Config, opts engine.Options) (*running, error) {
	e, err := engine.New(cfg, opts)
	if err != nil {
		return nil, err
	}
	return run(ctx, e), nil
}

// run runs an engine until stop or the end of ctx.
func run(ctx context.Context, e *engine.Engine) *running {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{Engine: e, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = e.Run(ctx)
	}()
	return r
}

// ready waits until every partition is restored.
func (r *running) ready(ctx context.Context) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, _ := r.Ready(); ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.done:
			return errors.Join(errors.New("the engine stopped before it was ready"), r.err)
		case <-ticker.C:
		}
	}
}

// stop ends the engine and returns what it ended with.
func (r *running) stop() error {
	r.cancel()
	<-r.done
	return r.err
}

// warnings is a logger of what people must know.
func (p *program) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// errorsOnly is a logger of what went wrong for good.
func (p *program) errorsOnly() *slog.Logger {
	return slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}
