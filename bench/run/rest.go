package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/rapport-engine/rapport/engine"
)

// RestConfig says what to measure profiles at rest with: the memory that they
// take, and the start on them.
type RestConfig struct {
	Items, Profiles int
	Seed            uint64
	Rounds          int
	Redis           string       // restart only: host:port of an empty one, RedisStart, or "" for snapshots on disk
	Progress        func(string) // told what happens; nil: nobody
	Profile         io.Writer    // gets a CPU profile of what is measured; nil: nobody
}

// Validate says what cannot be measured.
func (c *RestConfig) Validate() error {
	switch {
	case c.Items < 100:
		return errors.New("items: must be 100 or more")
	case c.Profiles < 1000:
		return errors.New("profiles: must be 1000 or more")
	}
	return checkRounds(c.Rounds)
}

// RestartReport is how long a start takes from the call until every partition
// is restored from its snapshot.
type RestartReport struct {
	Seconds  float64   `json:"seconds"` // median
	Spread   Spread    `json:"spread"`
	Store    string    `json:"store"`              // pebble or redis
	HandOver *HandOver `json:"handover,omitempty"` // with Redis
	Profiles int       `json:"profiles"`
	Rounds   int       `json:"rounds"`
	Machine  Machine   `json:"machine"`
}

// MemoryReport is what profiles take in memory, everything that grows with
// their number included: the heap of a process that has them, less that of one
// that has a thousand, after a collection.
type MemoryReport struct {
	BytesPerProfile float64 `json:"bytes_per_profile"`
	EncodedBytes    float64 `json:"encoded_bytes"` // of them the profile's own encoding, with its id
	Profiles        int     `json:"profiles"`
	Events          float64 `json:"events_per_profile"`
	Machine         Machine `json:"machine"`
}

// baseProfiles is how many profiles the process has that memory is compared with.
const baseProfiles = 1000

// Restart measures starts on a snapshot.
func Restart(ctx context.Context, cfg RestConfig) (report *RestartReport, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, remove, err := tempDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	config := benchConfig(dir)
	r := &RestartReport{Store: "pebble", Profiles: cfg.Profiles, Rounds: cfg.Rounds, Machine: thisMachine()}
	if cfg.Redis != "" {
		r.Store = "redis"
		addr, end, err := reachRedis(ctx, cfg.Redis, dir)
		if err != nil {
			return nil, err
		}
		defer func() { _ = end() }()
		config.Redis.Addrs = []string{addr}
	}
	tell(cfg.Progress, fmt.Sprintf("writing %s profiles", thousands(int64(cfg.Profiles))))
	if err := seedProfiles(ctx, newShop(cfg.Items, cfg.Profiles, cfg.Seed), &config, 0); err != nil {
		return nil, err
	}
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	defer stop()
	took, err := starts(ctx, &cfg, config)
	if err != nil {
		return nil, err
	}
	r.Spread = spread(took)
	r.Seconds = r.Spread.Median
	if cfg.Redis != "" {
		tell(cfg.Progress, "a second process joins")
		if r.HandOver, err = handOver(ctx, config); err != nil {
			return nil, err
		}
	}
	r.Machine.LoadAfter = loadAverage()
	return r, nil
}

// starts returns how many seconds each start took.
func starts(ctx context.Context, cfg *RestConfig, config engine.Config) (took []float64, err error) {
	for round := range cfg.Rounds {
		tell(cfg.Progress, fmt.Sprintf("start %d of %d", round+1, cfg.Rounds))
		runtime.GC() // what the start before left is not measured
		began := time.Now()
		s, err := startServer(ctx, config)
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(began).Seconds())
		if err := s.close(); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// historyEvents is how many events each profile has that memory is measured of.
const historyEvents = 20

// Memory measures what profiles with a history of twenty events take.
func Memory(ctx context.Context, cfg RestConfig) (*MemoryReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	defer stop()
	base, _, err := heapOf(ctx, &cfg, baseProfiles)
	if err != nil {
		return nil, err
	}
	heap, encoded, err := heapOf(ctx, &cfg, baseProfiles+cfg.Profiles)
	if err != nil {
		return nil, err
	}
	return &MemoryReport{
		BytesPerProfile: float64(heap-base) / float64(cfg.Profiles), EncodedBytes: encoded,
		Profiles: cfg.Profiles, Events: historyEvents, Machine: thisMachine(),
	}, nil
}

// heapOf is the heap of a process that has so many profiles, and the mean size
// of one at rest.
func heapOf(ctx context.Context, cfg *RestConfig, n int) (heap int64, encoded float64, err error) {
	dir, remove, err := tempDir()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	config := benchConfig(dir)
	tell(cfg.Progress, fmt.Sprintf("writing %s profiles with %d events each", thousands(int64(n)), historyEvents))
	if err := seedProfiles(ctx, newShop(cfg.Items, n, cfg.Seed), &config, historyEvents); err != nil {
		return 0, 0, err
	}
	tell(cfg.Progress, "starting on them")
	s, err := startServer(ctx, config)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	debug.FreeOSMemory() // collects, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse), float64(s.ProfileBytes()) / float64(n), nil //nolint:gosec // below 2^63
}

// Write prints the report.
func (r *RestartReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("start on a snapshot of %s profiles in %s: %s s until every partition is restored", thousands(int64(r.Profiles)), r.Store, r.Spread)
	if h := r.HandOver; h != nil {
		p.line("hand-over of %d of %d partitions to a second process in the same cores: %s s from the first given up to the last restored",
			h.Partitions, h.Of, short(h.Seconds))
	}
	p.line("%s; %d rounds; median with range", r.Machine.String(), r.Rounds)
	p.line("")
	p.asks("restart.seconds", r.Seconds)
	return p.err
}

// Write prints the report.
func (r *MemoryReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("memory of %s profiles with %g events each: %s bytes a profile, %s of them its encoding and id",
		thousands(int64(r.Profiles)), r.Events, short(r.BytesPerProfile), short(r.EncodedBytes))
	p.line("%s", r.Machine.String())
	p.line("")
	p.asks("memory.bytes_per_profile", r.BytesPerProfile)
	return p.err
}
