package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/api"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// server is the whole product at work in this process: the embedded broker with
// synced writes, the engine with its rules, and the HTTP API.
type server struct {
	*engine.Engine
	addr   string
	stop   context.CancelFunc
	done   sync.WaitGroup
	err    error // of the engine; valid when done
	apiErr error // of the API; valid when done
	ended  chan struct{}
}

// benchConfig is the default configuration in a directory of its own.
func benchConfig(dir string) engine.Config {
	cfg := engine.DefaultConfig()
	cfg.Data = filepath.Join(dir, "data")
	cfg.DataLimit = 64 * engine.GB
	cfg.SessionTimeout = 5 * time.Minute // nobody else could take over
	return cfg
}

// startServer returns when every partition is restored and its log applied.
func startServer(ctx context.Context, cfg engine.Config) (*server, error) {
	return startServerWith(ctx, cfg, rules.BuiltIn())
}

// startServerWith is startServer with other rules than those built in.
func startServerWith(ctx context.Context, cfg engine.Config, set *rules.Set) (*server, error) {
	s, err := launchServer(ctx, cfg, set)
	if err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// launchServer returns at once.
func launchServer(ctx context.Context, cfg engine.Config, set *rules.Set) (*server, error) {
	metrics := prometheus.NewRegistry()
	e, err := engine.New(cfg, engine.Options{Rules: set, Registerer: metrics, MessageLog: io.Discard})
	if err != nil {
		return nil, err
	}
	a, err := api.New(e, api.Options{
		Listen: "127.0.0.1:0", Decoder: &streams.Decoder{Region: cfg.Region}, Registerer: metrics, Gatherer: metrics,
	})
	if err != nil {
		return nil, err
	}
	if err := a.Listen(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &server{Engine: e, addr: a.Addr(), stop: cancel, ended: make(chan struct{})}
	s.done.Go(func() {
		defer close(s.ended)
		s.err = e.Run(ctx)
	})
	s.done.Go(func() { s.apiErr = a.Run(ctx) })
	return s, nil
}

func (s *server) ready(ctx context.Context) error {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, _ := s.Ready(); ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return errors.New("the engine stopped before it was ready")
		case <-ticker.C:
		}
	}
}

func (s *server) close() error {
	s.stop()
	s.done.Wait()
	return errors.Join(s.err, s.apiErr)
}

// itemStep is how many items go to the catalogue at once.
const itemStep = 5000

// putItems fills the catalogue.
func (s *server) putItems(ctx context.Context, items []*streams.Item) error {
	for len(items) > 0 {
		n := min(itemStep, len(items))
		if _, err := s.PutItems(ctx, items[:n]); err != nil {
			return fmt.Errorf("cannot fill the catalogue: %w", err)
		}
		items = items[n:]
	}
	return nil
}

// meanSession is about how many events a session has.
const meanSession = 4

// feedSessions lets customers visit the shop now, and returns when the model
// has learned from all of it. Each number of a feed gives other visits.
func (s *server) feedSessions(ctx context.Context, sh *shop, feed uint64, sessions int) (events int, err error) {
	const step, inFlight = 1000, 16
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := sh.walker(1 + feed<<32)
	slots := make(chan struct{}, inFlight)
	var views []int
	var recs []streams.Record
	first := uint64(1)<<60 | feed<<40
	number := first
	flush := func() {
		slots <- struct{}{}
		s.Enqueue(ctx, recs, func(err error) {
			if err != nil {
				cancel(fmt.Errorf("cannot feed sessions: %w", err))
			}
			<-slots
		})
		recs = nil
	}
	for range sessions {
		c := w.customer()
		views = w.session(views)
		for _, item := range views {
			number++
			value := sh.appendEvent(nil, w.kind(), c, item, number, number)
			recs = append(recs, streams.Record{Partition: -1, Key: []byte(customerKey(c)), Value: value, Time: time.Now().UnixMilli()})
		}
		if len(recs) >= step {
			flush()
		}
	}
	flush()
	for range inFlight {
		slots <- struct{}{}
	}
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	return int(number - first), s.WaitApplied(ctx) //nolint:gosec // not so many
}

// tempDir makes a directory that the returned function removes.
func tempDir() (string, func() error, error) {
	dir, err := os.MkdirTemp("", "rapport-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("cannot make a temporary directory: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}
