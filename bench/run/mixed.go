package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/bench/page"
)

// MixedConfig says what to measure recommendations beside ingest with.
type MixedConfig struct {
	Items, Profiles, Sessions int
	Seed                      uint64
	Connections               int           // kept alive, of each of the two senders
	Duration                  time.Duration // of one phase
	Rounds                    int           // of all phases, with ingest and without in turn
	Progress                  func(string)  // told what happens; nil: nobody
	Profile                   io.Writer     // gets a CPU profile of what is measured; nil: nobody
	Sender                    []string      // command of a process that sends (load.Serve); none: this process sends
}

func (c *MixedConfig) recommend() RecommendConfig {
	return RecommendConfig{
		Items: c.Items, Profiles: c.Profiles, Sessions: c.Sessions, Seed: c.Seed, Connections: c.Connections,
		Duration: c.Duration, Rounds: c.Rounds, Progress: c.Progress, Sender: c.Sender,
	}
}

// Validate says what cannot be measured.
func (c *MixedConfig) Validate() error {
	r := c.recommend()
	return r.Validate()
}

// MixedReport is what ingest costs recommendations: their latency from when a
// request was due, at a quarter of their own peak, while single events come in
// at half of what can be taken, and without. So the cores are busy to three
// quarters.
type MixedReport struct {
	P99Ratio        float64    `json:"p99_ratio"` // with ingest / without; recommend.p99_ratio_ingest
	P99RatioRange   [2]float64 `json:"p99_ratio_range"`
	RecommendPeak   Spread     `json:"recommend_peak_per_s"`
	IngestCapacity  Spread     `json:"ingest_capacity_per_s"` // single events acknowledged, closed loop
	RecommendRate   float64    `json:"recommend_rate"`
	IngestRate      float64    `json:"ingest_rate"`
	Beside          Latency    `json:"beside"` // of recommendations
	Alone           Latency    `json:"alone"`  // of recommendations
	Ingest          Latency    `json:"ingest"` // of events, due to acknowledged, beside recommendations
	PauseP99        float64    `json:"gc_pause_p99_ms"`
	Pauses          uint64     `json:"gc_pauses"`
	Saturated       bool       `json:"saturated"` // recommendations, in any round
	IngestSaturated bool       `json:"ingest_saturated"`

	Items       int              `json:"items"`
	Profiles    int              `json:"profiles"`
	Sessions    int              `json:"sessions"`
	Connections int              `json:"connections"`
	Rounds      int              `json:"rounds"`
	Seconds     float64          `json:"seconds"` // of a phase
	Charts      []page.Latencies `json:"charts"`
	Machine     Machine          `json:"machine"`
}

// Mixed measures /v1/recommend with ingest and without.
func Mixed(ctx context.Context, cfg MixedConfig) (report *MixedReport, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, remove, err := tempDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	t, err := startTwo(ctx, cfg.recommend(), dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.server.close()) }()
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	defer stop()
	r := &MixedReport{
		Items: cfg.Items, Profiles: cfg.Profiles, Sessions: cfg.Sessions, Connections: cfg.Connections,
		Rounds: cfg.Rounds, Seconds: cfg.Duration.Seconds(), Machine: thisMachine(),
	}
	if err := t.capacities(ctx); err != nil {
		return nil, err
	}
	r.RecommendPeak, r.IngestCapacity = t.peak, t.capacity
	r.RecommendRate, r.IngestRate = t.peak.Median/4, t.capacity.Median/2
	before := readPauses()
	for round := range cfg.Rounds {
		tell(cfg.Progress, fmt.Sprintf("with ingest and without, round %d of %d", round+1, cfg.Rounds))
		for turn := range 2 {
			if err := r.phase(ctx, t, (round+turn)%2 == 0); err != nil {
				return nil, err
			}
		}
	}
	r.Pauses, r.PauseP99, _ = before.until(readPauses())
	ratio := spread(ratios(r.Beside.p99, r.Alone.p99))
	r.P99Ratio, r.P99RatioRange = ratio.Median, [2]float64{ratio.Low, ratio.High}
	r.Charts = []page.Latencies{{
		Title: fmt.Sprintf("/v1/recommend at %s requests/s", thousands(int64(r.RecommendRate))),
		Curves: []page.Curve{
			curve("without ingest", r.Alone.all), curve(fmt.Sprintf("beside %s events/s", thousands(int64(r.IngestRate))), r.Beside.all),
		},
	}}
	r.Machine.LoadAfter = loadAverage()
	return r, nil
}

// phase measures recommendations once.
func (r *MixedReport) phase(ctx context.Context, t *two, ingest bool) error {
	runtime.GC() // what the phase before left is not measured
	eventRate := 0.0
	if ingest {
		eventRate = r.IngestRate
	}
	asked, events, err := t.both(ctx, r.RecommendRate, eventRate, t.cfg.Duration)
	if err != nil {
		return err
	}
	r.Saturated = r.Saturated || asked.Saturated()
	if events == nil {
		r.Alone.add(asked.FromDue)
		return nil
	}
	r.IngestSaturated = r.IngestSaturated || events.Saturated()
	r.Beside.add(asked.FromDue)
	r.Ingest.add(events.FromDue)
	return t.server.WaitApplied(ctx)
}

// two is a server with one process that asks for recommendations and one that
// sends events.
type two struct {
	*recommendBench
	server         *server
	sender         eventSender
	bodies         [][]byte
	peak, capacity Spread // requests and events a second
}

func startTwo(ctx context.Context, cfg RecommendConfig, dir string) (*two, error) {
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	t := &two{recommendBench: &recommendBench{cfg: cfg, report: &RecommendReport{}}}
	s, err := t.prepare(ctx, dir)
	if err != nil {
		return nil, err
	}
	t.server = s
	t.sender = eventSender{command: cfg.Sender, dir: dir, addr: s.addr, connections: cfg.Connections}
	t.bodies = t.shop.bodies(7000, 1)
	return t, nil
}

// capacities measures what each of the two can do alone.
func (t *two) capacities(ctx context.Context) error {
	var peak, capacity []float64
	for round := range t.cfg.Rounds {
		t.cfg.Progress(fmt.Sprintf("peak and capacity, round %d of %d", round+1, t.cfg.Rounds))
		r, err := t.recommendBench.phase(ctx, t.addr, 0)
		if err != nil {
			return err
		}
		peak = append(peak, r.PerSecond())
		if r, err = t.sender.single(ctx, t.shop, uint64(5000+round), t.cfg.Duration); err != nil {
			return err
		}
		capacity = append(capacity, r.PerSecond())
		if err := t.server.WaitApplied(ctx); err != nil {
			return err
		}
	}
	t.peak, t.capacity = spread(peak), spread(capacity)
	return nil
}

// both sends requests and events at the same time; no events where their rate is 0.
func (t *two) both(ctx context.Context, requestRate, eventRate float64, duration time.Duration) (asked, events *load.Result, err error) {
	g, ctx := errgroup.WithContext(ctx)
	spec := t.spec(t.addr, requestRate, false)
	spec.Duration = duration
	g.Go(func() (err error) {
		if asked, err = load.RunProcess(ctx, t.cfg.Sender, spec); err == nil {
			err = mostlyAnswered(asked)
		}
		return err
	})
	if eventRate > 0 {
		g.Go(func() (err error) {
			events, _, err = t.sender.phase(ctx, "/v1/track", t.bodies, load.Spec{Rate: eventRate, Warmup: spec.Warmup, Duration: duration})
			return err
		})
	}
	err = g.Wait()
	return asked, events, err
}

// Write prints the report as a table.
func (r *MixedReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("/v1/recommend beside ingest: %s items, %s profiles, %s sessions learned", thousands(int64(r.Items)), thousands(int64(r.Profiles)), thousands(int64(r.Sessions)))
	p.line("%s; %d rounds of %gs, %d connections of each sender; medians with range", r.Machine.String(), r.Rounds, r.Seconds, r.Connections)
	p.line("")
	p.line("alone, closed loop: %s recommendations/s, %s single events/s", r.RecommendPeak, r.IngestCapacity)
	p.line("measured: %s recommendations/s (a quarter) without and beside %s events/s (half)", thousands(int64(r.RecommendRate)), thousands(int64(r.IngestRate)))
	p.line("")
	p.line("%-46s %-20s %-20s %-20s", "from the time a request was due, ms", "p50", "p99", "p99.9")
	for _, row := range []struct {
		name      string
		of        *Latency
		saturated bool
	}{{"recommend without ingest", &r.Alone, false}, {"recommend beside ingest", &r.Beside, r.Saturated}, {"events beside recommend", &r.Ingest, r.IngestSaturated}} {
		remark := ""
		if row.saturated {
			remark = "saturated"
		}
		p.line("%-46s %-20s %-20s %-20s %s", row.name, row.of.P50, row.of.P99, row.of.P999, remark)
	}
	p.line("%s pauses of the collector, p99 %s ms", thousands(int64(r.Pauses)), short(r.PauseP99)) //nolint:gosec // not so many
	p.line("")
	p.asks("recommend.p99_ratio_ingest", r.P99Ratio)
	return p.err
}
