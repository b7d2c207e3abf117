package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/rules"
)

// ScaleConfig says how the state grows: each list from the smallest to the
// largest, the first of each being what the others are measured with.
type ScaleConfig struct {
	Items                        int
	Profiles, Sessions, Triggers []int
	Events                       int // that are measured, at least
	Seed                         uint64
	Rounds                       int          // of events, at each size
	Progress                     func(string) // told what happens; nil: nobody
	Profile                      io.Writer    // gets a CPU profile of what is measured; nil: nobody
}

// Validate says what cannot be measured.
func (c *ScaleConfig) Validate() error {
	if c.Items < 100 {
		return errors.New("items: must be 100 or more")
	}
	if c.Events < 1000 {
		return errors.New("events: must be 1000 or more")
	}
	for _, l := range []struct {
		name   string
		values []int
	}{{"profiles", c.Profiles}, {"sessions", c.Sessions}, {"triggers", c.Triggers}} {
		if len(l.values) == 0 {
			return fmt.Errorf("%s: must have a number", l.name)
		}
		for i, n := range l.values {
			if n < 1 || i > 0 && n <= l.values[i-1] {
				return fmt.Errorf("%s: must be numbers of 1 or more that grow", l.name)
			}
		}
	}
	return checkRounds(c.Rounds)
}

// ScaleReport is what an event, a recommendation and memory cost as the state
// grows.
type ScaleReport struct {
	Profiles []ScalePoint `json:"profiles"`
	Sessions []ScalePoint `json:"sessions"`
	Triggers []ScalePoint `json:"triggers"`
	Model    []ModelPoint `json:"model"` // at the sizes of Sessions
	Items    int          `json:"items"`
	Rounds   int          `json:"rounds"`
	Machine  Machine      `json:"machine"`
}

// ScalePoint is what was measured at one size.
type ScalePoint struct {
	Size         int     `json:"size"`
	Event        Spread  `json:"event_us"`         // µs an event, all cores, produced to applied
	Growth       float64 `json:"growth"`           // of it, to the smallest size
	RecommendP50 float64 `json:"recommend_p50_ms"` // over one connection, nothing else at work
	RecommendP99 float64 `json:"recommend_p99_ms"`
	Heap         int64   `json:"heap_bytes"` // that the server takes, after a collection
}

// Scale measures what grows with the state.
func Scale(ctx context.Context, cfg ScaleConfig) (*ScaleReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	defer stop()
	r := &ScaleReport{Items: cfg.Items, Rounds: cfg.Rounds, Machine: thisMachine()}
	for _, axis := range []struct {
		name   string
		sizes  []int
		points *[]ScalePoint
		set    func(s *scaleSize, n int)
	}{
		{"profiles", cfg.Profiles, &r.Profiles, func(s *scaleSize, n int) { s.profiles = n }},
		{"sessions", cfg.Sessions, &r.Sessions, func(s *scaleSize, n int) { s.sessions = n }},
		{"triggers", cfg.Triggers, &r.Triggers, func(s *scaleSize, n int) { s.triggers = n }},
	} {
		for _, n := range axis.sizes {
			size := scaleSize{profiles: cfg.Profiles[0], sessions: cfg.Sessions[0], triggers: cfg.Triggers[0]}
			axis.set(&size, n)
			tell(cfg.Progress, fmt.Sprintf("%s %s", thousands(int64(n)), axis.name))
			p, err := scalePoint(ctx, &cfg, size)
			if err != nil {
				return nil, fmt.Errorf("at %s %s: %w", thousands(int64(n)), axis.name, err)
			}
			p.Size, p.Growth = n, 1
			if first := *axis.points; len(first) > 0 {
				p.Growth = p.Event.Median / first[0].Event.Median
			}
			*axis.points = append(*axis.points, p)
		}
	}
	for _, n := range cfg.Sessions {
		tell(cfg.Progress, fmt.Sprintf("the model alone with %s sessions", thousands(int64(n))))
		p := modelOf(newShop(cfg.Items, cfg.Profiles[0], cfg.Seed), n)
		if len(r.Model) > 0 {
			p.EventBytes = float64(p.Heap-r.Model[0].Heap) / float64(p.Events-r.Model[0].Events)
		}
		r.Model = append(r.Model, p)
	}
	r.Machine.LoadAfter = loadAverage()
	return r, nil
}

// scaleSize is how large the state is.
type scaleSize struct{ profiles, sessions, triggers int }

// scaleRules are triggers of which one in ten concerns a view, with a condition
// that is false, and the others events that do not come.
func scaleRules(triggers int) (*rules.Set, error) {
	var b strings.Builder
	b.WriteString("triggers:\n")
	for i := range triggers {
		event := fmt.Sprintf("Campaign %d", i)
		if i%10 == 0 {
			event = "Product Viewed"
		}
		fmt.Fprintf(&b, "  t%d:\n    start: {event: %s, if: \"item.price > 1000000\"}\n    steps: [{wait: 1h}, {send: {template: t, channels: [webhook]}}]\n", i, event)
	}
	return rules.Parse(map[string][]byte{"bench.yaml": []byte(b.String())})
}

// scalePoint measures at one size.
func scalePoint(ctx context.Context, cfg *ScaleConfig, size scaleSize) (p ScalePoint, err error) {
	dir, remove, err := tempDir()
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	set, err := scaleRules(size.triggers)
	if err != nil {
		return p, fmt.Errorf("BUG: the benchmark's rules: %w", err)
	}
	before := liveHeap()
	config, sh := benchConfig(filepath.Clean(dir)), newShop(cfg.Items, size.profiles, cfg.Seed)
	if err := seedProfiles(ctx, sh, &config, 0); err != nil {
		return p, err
	}
	s, err := startServerWith(ctx, config, set)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.putItems(ctx, sh.items); err != nil {
		return p, err
	}
	if _, err := s.feedSessions(ctx, sh, 0, size.sessions); err != nil {
		return p, err
	}
	p.Heap = liveHeap() - before
	if p.Event, err = s.timeEvents(ctx, sh, cfg); err != nil {
		return p, err
	}
	calls := recommendCalls(sh)
	asked, err := load.Run(ctx, load.Config{Addr: s.addr, Connections: 1, Warmup: 200 * time.Millisecond, Duration: time.Second, Fill: getting(calls)})
	if err != nil {
		return p, err
	}
	p.RecommendP50, p.RecommendP99 = quantile(asked.FromSent, 50), quantile(asked.FromSent, 99)
	return p, nil
}

// timeEvents is how many µs an event takes, in each round.
func (s *server) timeEvents(ctx context.Context, sh *shop, cfg *ScaleConfig) (Spread, error) {
	var took []float64
	for round := range cfg.Rounds {
		runtime.GC()
		began := time.Now()
		n, err := s.feedSessions(ctx, sh, uint64(round)+1, cfg.Events/meanSession)
		if err != nil {
			return Spread{}, err
		}
		took = append(took, float64(time.Since(began).Microseconds())/float64(n))
	}
	return spread(took), nil
}

// Write prints the report as tables.
func (r *ScaleReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("what an event, a recommendation and memory cost as the state grows; %s items", thousands(int64(r.Items)))
	p.line("%s; %d rounds of events; medians with range", r.Machine.String(), r.Rounds)
	for _, axis := range []struct {
		name   string
		points []ScalePoint
	}{{"profiles", r.Profiles}, {"sessions", r.Sessions}, {"triggers", r.Triggers}} {
		p.line("")
		p.line("%12s  %-24s %8s  %14s %14s  %10s", axis.name, "µs an event, all cores", "growth", "recommend p50", "p99, ms", "heap, MB")
		for _, x := range axis.points {
			p.line("%12s  %-24s %8s  %14s %14s  %10s", thousands(int64(x.Size)), x.Event, short(x.Growth),
				short(x.RecommendP50), short(x.RecommendP99), short(float64(x.Heap)/1e6))
		}
	}
	p.line("")
	p.line("the model and the catalogue alone, one core:")
	p.line("%12s  %12s  %-24s %10s  %16s  %14s", "sessions", "events", "µs an event", "heap, MB", "bytes an event", "bytes an item")
	for _, x := range r.Model {
		p.line("%12s  %12s  %-24s %10s  %16s  %14s", thousands(int64(x.Sessions)), thousands(int64(x.Events)), short(x.EventMicros),
			short(float64(x.Heap)/1e6), short(x.EventBytes), short(x.ItemBytes))
	}
	return p.err
}
