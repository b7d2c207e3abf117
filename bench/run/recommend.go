package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/bench/page"
)

// RecommendConfig says what to measure /v1/recommend with.
type RecommendConfig struct {
	Items, Profiles, Sessions int
	Seed                      uint64
	Connections               int           // kept alive
	Rates                     []float64     // requests a second of the open loop; none: doubled from 1,000 until saturation
	Duration                  time.Duration // of one phase
	Rounds                    int           // of all phases, floor and subject in turn
	Progress                  func(string)  // told what happens; nil: nobody
	Profile                   io.Writer     // gets a CPU profile of what is measured; nil: nobody
	Sender                    []string      // command of a process that sends (load.Serve); none: this process sends
}

// Validate says what cannot be measured.
func (c *RecommendConfig) Validate() error {
	switch {
	case c.Items < 100:
		return errors.New("items: must be 100 or more")
	case c.Profiles < 1:
		return errors.New("profiles: must be 1 or more")
	case c.Sessions < 0:
		return errors.New("sessions: must be 0 or more")
	}
	for _, rate := range c.Rates {
		if rate < 1 || rate > 1e6 {
			return errors.New("rate: must be from 1 to 1000000 requests a second")
		}
	}
	return checkPhases(c.Connections, c.Rounds, c.Duration)
}

func checkPhases(connections, rounds int, duration time.Duration) error {
	switch {
	case connections < 1 || connections > 10_000:
		return errors.New("connections: must be from 1 to 10000")
	case duration < 10*time.Millisecond || duration > time.Hour:
		return errors.New("duration: must be from 10ms to 1h")
	}
	return checkRounds(rounds)
}

func checkRounds(rounds int) error {
	if rounds < 1 || rounds > 100 {
		return errors.New("rounds: must be from 1 to 100")
	}
	return nil
}

// tell says what happens to whoever wants to know.
func tell(progress func(string), text string) {
	if progress != nil {
		progress(text)
	}
}

// RecommendReport is what was measured. Every ratio is ours / floor, the floor
// being a bare fasthttp handler that answers as many bytes to the same requests
// in the same process.
type RecommendReport struct {
	ThroughputRatio      float64    `json:"throughput_ratio"` // of the peaks: higher is better
	ThroughputRatioRange [2]float64 `json:"throughput_ratio_range"`
	P99RatioHalfPeak     float64    `json:"p99_ratio_half_peak"` // lower is better
	P99RatioHalfRange    [2]float64 `json:"p99_ratio_half_peak_range"`
	PeakPerSecond        Spread     `json:"peak_per_s"` // closed loop
	FloorPeakPerSecond   Spread     `json:"floor_peak_per_s"`
	HalfPeak             *Point     `json:"half_peak"`
	Rates                []*Point   `json:"rates"`
	GC                   *GCReport  `json:"gc"`

	Items       int              `json:"items"`
	Profiles    int              `json:"profiles"`
	Sessions    int              `json:"sessions"`
	Connections int              `json:"connections"`
	Rounds      int              `json:"rounds"`
	Seconds     float64          `json:"seconds"` // of a phase
	ReplyBytes  int              `json:"reply_bytes"`
	ReplyItems  float64          `json:"reply_items"` // in the mean
	Ready       float64          `json:"ready_seconds"`
	Charts      []page.Latencies `json:"charts"`
	Machine     Machine          `json:"machine"`
}

// Point is the latency at one rate.
type Point struct {
	Rate    float64 `json:"rate"`
	Rapport Side    `json:"rapport"`
	Floor   Side    `json:"floor"`
	Ratio   struct {
		P50  Spread `json:"p50"`
		P99  Spread `json:"p99"`
		P999 Spread `json:"p999"`
	} `json:"ratio"`
}

// Side is one of the two sides of a point. Latencies count from the time at
// which a request was due, those of Sent from when it was sent.
type Side struct {
	P50       Spread `json:"p50_ms"`
	P99       Spread `json:"p99_ms"`
	P999      Spread `json:"p999_ms"`
	SentP50   Spread `json:"sent_p50_ms"`
	SentP99   Spread `json:"sent_p99_ms"`
	PerSecond Spread `json:"per_s"`
	Failed    int64  `json:"failed"`
	Unsent    int64  `json:"unsent"`
	Saturated bool   `json:"saturated"` // in any round

	p50, p99, p999, sent50, sent99, perSecond []float64 // by round
	all                                       *hdrhistogram.Histogram
}

// add takes the result of one round.
func (s *Side) add(r *load.Result) {
	if s.all == nil {
		s.all = load.NewHistogram()
	}
	s.all.Merge(r.FromDue)
	s.p50 = append(s.p50, quantile(r.FromDue, 50))
	s.p99 = append(s.p99, quantile(r.FromDue, 99))
	s.p999 = append(s.p999, quantile(r.FromDue, 99.9))
	s.sent50 = append(s.sent50, quantile(r.FromSent, 50))
	s.sent99 = append(s.sent99, quantile(r.FromSent, 99))
	s.perSecond = append(s.perSecond, r.PerSecond())
	s.Failed += r.Failed
	s.Unsent += r.Unsent
	s.Saturated = s.Saturated || r.Saturated()
	s.P50, s.P99, s.P999 = spread(s.p50), spread(s.p99), spread(s.p999)
	s.SentP50, s.SentP99, s.PerSecond = spread(s.sent50), spread(s.sent99), spread(s.perSecond)
}

func (p *Point) add(ours, floor *load.Result) {
	p.Rapport.add(ours)
	p.Floor.add(floor)
	p.Ratio.P50 = spread(ratios(p.Rapport.p50, p.Floor.p50))
	p.Ratio.P99 = spread(ratios(p.Rapport.p99, p.Floor.p99))
	p.Ratio.P999 = spread(ratios(p.Rapport.p999, p.Floor.p999))
}

func (p *Point) chart() page.Latencies {
	return page.Latencies{
		Title:  fmt.Sprintf("/v1/recommend at %s requests/s", thousands(int64(p.Rate))),
		Curves: []page.Curve{curve("rapport", p.Rapport.all), curve("bare handler", p.Floor.all)},
	}
}

// Recommend measures the latency and the throughput of /v1/recommend.
func Recommend(ctx context.Context, cfg RecommendConfig) (report *RecommendReport, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	dir, remove, err := tempDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	b := &recommendBench{cfg: cfg, report: &RecommendReport{
		Items: cfg.Items, Profiles: cfg.Profiles, Sessions: cfg.Sessions, Connections: cfg.Connections,
		Rounds: cfg.Rounds, Seconds: cfg.Duration.Seconds(), Machine: thisMachine(),
	}}
	s, err := b.prepare(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	err = b.measure(ctx)
	stop()
	if err != nil {
		return nil, err
	}
	for _, p := range append(b.report.Rates[:len(b.report.Rates):len(b.report.Rates)], b.report.HalfPeak) {
		b.report.Charts = append(b.report.Charts, p.chart())
	}
	b.report.Charts = append(b.report.Charts, b.report.GC.chart())
	b.report.Machine.LoadAfter = loadAverage()
	return b.report, nil
}

// recommendBench is one run.
type recommendBench struct {
	cfg         RecommendConfig
	report      *RecommendReport
	shop        *shop
	calls       []string // request lines by number
	callsFile   string   // has them, too
	addr, floor string
	turn        int
}

// prepare fills a shop and starts the server.
func (b *recommendBench) prepare(ctx context.Context, dir string) (*server, error) {
	sh := newShop(b.cfg.Items, b.cfg.Profiles, b.cfg.Seed)
	b.shop = sh
	cfg := benchConfig(dir)
	b.cfg.Progress(fmt.Sprintf("writing %s profiles", thousands(int64(b.cfg.Profiles))))
	if err := seedProfiles(ctx, sh, &cfg, 0); err != nil {
		return nil, err
	}
	b.cfg.Progress("starting on them")
	began := time.Now()
	s, err := startServer(ctx, cfg)
	if err != nil {
		return nil, err
	}
	b.report.Ready = time.Since(began).Seconds()
	b.cfg.Progress(fmt.Sprintf("filling the catalogue with %s items, learning from %s sessions", thousands(int64(b.cfg.Items)), thousands(int64(b.cfg.Sessions))))
	if err := s.putItems(ctx, sh.items); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if _, err := s.feedSessions(ctx, sh, 0, b.cfg.Sessions); err != nil {
		return nil, errors.Join(err, s.close())
	}
	b.addr, b.calls, b.callsFile = s.addr, recommendCalls(sh), filepath.Join(dir, "calls")
	if err := os.WriteFile(b.callsFile, []byte(strings.Join(b.calls, "\n")), 0o600); err != nil {
		return nil, errors.Join(err, s.close())
	}
	runtime.GC() // what preparing left is not measured
	return s, nil
}

// measure runs all phases.
func (b *recommendBench) measure(ctx context.Context) (err error) {
	answers, err := sampleAnswers(ctx, b.addr, b.calls)
	if err != nil {
		return err
	}
	b.report.ReplyBytes, b.report.ReplyItems = answers.bytes, answers.items
	floor, err := startFloor(answers.bytes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, floor.close()) }()
	b.floor = floor.addr
	if err := b.peaks(ctx); err != nil {
		return err
	}
	half := &Point{Rate: b.report.PeakPerSecond.Median / 2}
	b.report.HalfPeak = half
	for round := range b.cfg.Rounds {
		b.cfg.Progress(fmt.Sprintf("latency, round %d of %d", round+1, b.cfg.Rounds))
		if err := b.rates(ctx, round); err != nil {
			return err
		}
		if err := b.point(ctx, half); err != nil {
			return err
		}
	}
	b.report.P99RatioHalfPeak = half.Ratio.P99.Median
	b.report.P99RatioHalfRange = [2]float64{half.Ratio.P99.Low, half.Ratio.P99.High}
	b.cfg.Progress("collections of garbage")
	return b.collections(ctx, half.Rate)
}

// peaks measures how many requests are answered a second by a closed loop.
func (b *recommendBench) peaks(ctx context.Context) error {
	var ours, floor []float64
	for round := range b.cfg.Rounds {
		b.cfg.Progress(fmt.Sprintf("peak, round %d of %d", round+1, b.cfg.Rounds))
		o, f, err := b.both(ctx, 0)
		if err != nil {
			return err
		}
		ours, floor = append(ours, o.PerSecond()), append(floor, f.PerSecond())
	}
	ratio := spread(ratios(ours, floor))
	b.report.PeakPerSecond, b.report.FloorPeakPerSecond = spread(ours), spread(floor)
	b.report.ThroughputRatio, b.report.ThroughputRatioRange = ratio.Median, [2]float64{ratio.Low, ratio.High}
	return nil
}

// rates measures the latency at every rate; the first round decides which,
// where none were given.
func (b *recommendBench) rates(ctx context.Context, round int) error {
	if round == 0 {
		for _, rate := range b.cfg.Rates {
			b.report.Rates = append(b.report.Rates, &Point{Rate: rate})
		}
		if len(b.cfg.Rates) == 0 {
			return b.stepUp(ctx)
		}
	}
	for _, p := range b.report.Rates {
		if err := b.point(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// stepUp doubles the rate until the server cannot follow.
func (b *recommendBench) stepUp(ctx context.Context) error {
	for rate := 1000.0; rate <= 1e6; rate *= 2 {
		p := &Point{Rate: rate}
		if err := b.point(ctx, p); err != nil {
			return err
		}
		b.report.Rates = append(b.report.Rates, p)
		if p.Rapport.Saturated {
			return nil
		}
	}
	return nil
}

func (b *recommendBench) point(ctx context.Context, p *Point) error {
	ours, floor, err := b.both(ctx, p.Rate)
	if err == nil {
		p.add(ours, floor)
	}
	return err
}

// both measures one phase of both sides, the one first that was second before.
func (b *recommendBench) both(ctx context.Context, rate float64) (ours, floor *load.Result, err error) {
	b.turn++
	if b.turn%2 == 0 {
		if ours, err = b.phase(ctx, b.addr, rate); err != nil {
			return nil, nil, err
		}
		floor, err = b.phase(ctx, b.floor, rate)
		return ours, floor, err
	}
	if floor, err = b.phase(ctx, b.floor, rate); err != nil {
		return nil, nil, err
	}
	ours, err = b.phase(ctx, b.addr, rate)
	return ours, floor, err
}

func (b *recommendBench) phase(ctx context.Context, addr string, rate float64) (*load.Result, error) {
	r, err := load.RunProcess(ctx, b.cfg.Sender, b.spec(addr, rate, false))
	if err == nil {
		err = mostlyAnswered(r)
	}
	return r, err
}

// spec is a phase of requests.
func (b *recommendBench) spec(addr string, rate float64, each bool) *load.Spec {
	return &load.Spec{
		Addr: addr, Connections: b.cfg.Connections, Rate: rate, Each: each,
		Warmup: min(b.cfg.Duration/5, 2*time.Second), Duration: b.cfg.Duration, Calls: b.callsFile,
	}
}
