package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/bench/page"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// IngestConfig says what to measure the intake of events with.
type IngestConfig struct {
	Items, Profiles int
	Seed            uint64
	Connections     int           // kept alive
	Duration        time.Duration // of one phase
	Rounds          int           // of all phases
	Progress        func(string)  // told what happens; nil: nobody
	Profile         io.Writer     // gets a CPU profile of what is measured; nil: nobody
	Sender          []string      // command of a process that sends (load.Serve); none: this process sends
}

// Validate says what cannot be measured.
func (c *IngestConfig) Validate() error {
	switch {
	case c.Items < 100:
		return errors.New("items: must be 100 or more")
	case c.Profiles < 1:
		return errors.New("profiles: must be 1 or more")
	}
	return checkPhases(c.Connections, c.Rounds, c.Duration)
}

// IngestReport is what was measured: events over HTTP, acknowledged by the
// embedded broker with synced writes. The floor is a loop that only consumes
// the same records from the same broker and decodes them, on as many goroutines
// as there are partitions.
type IngestReport struct {
	ThroughputRatio      float64    `json:"throughput_ratio"` // events/s acknowledged in batches / floor: higher is better
	ThroughputRatioRange [2]float64 `json:"throughput_ratio_range"`
	AppliedRatio         Spread     `json:"applied_ratio"`      // the same, from the first event sent until all are applied
	BatchEventsPerSecond float64    `json:"batch_events_per_s"` // acknowledged, median
	SingleEvents         float64    `json:"single_events_per_s"`
	Batch                Spread     `json:"batch"`   // events/s acknowledged
	Applied              Spread     `json:"applied"` // events/s from the first sent to all applied
	Single               Spread     `json:"single"`  // events/s acknowledged, one each
	Floor                Spread     `json:"floor"`   // events/s consumed and decoded
	BatchP50             Spread     `json:"batch_p50_ms"`
	BatchP99             Spread     `json:"batch_p99_ms"`
	SingleP50            Spread     `json:"single_p50_ms"`
	SingleP99            Spread     `json:"single_p99_ms"`
	EventBytes           int        `json:"event_bytes"` // in the mean
	Failed               int64      `json:"failed"`

	Items       int              `json:"items"`
	Profiles    int              `json:"profiles"`
	Connections int              `json:"connections"`
	Rounds      int              `json:"rounds"`
	Seconds     float64          `json:"seconds"` // of a phase
	Charts      []page.Latencies `json:"charts"`
	Machine     Machine          `json:"machine"`

	// Latencies of all rounds, for the curves.
	batches, singles *hdrhistogram.Histogram
}

// Ingest measures the way of events into the engine.
func Ingest(ctx context.Context, cfg IngestConfig) (report *IngestReport, err error) {
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
	s, err := startServer(ctx, benchConfig(dir))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	b := &ingestBench{
		cfg: cfg, server: s, shop: newShop(cfg.Items, cfg.Profiles, cfg.Seed),
		sender: eventSender{command: cfg.Sender, dir: dir, addr: s.addr, connections: cfg.Connections},
		report: &IngestReport{
			Items: cfg.Items, Profiles: cfg.Profiles, Connections: cfg.Connections, Rounds: cfg.Rounds,
			Seconds: cfg.Duration.Seconds(), Machine: thisMachine(), batches: load.NewHistogram(), singles: load.NewHistogram(),
		},
	}
	if err := s.putItems(ctx, b.shop.items); err != nil {
		return nil, err
	}
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	defer stop()
	for b.round = range cfg.Rounds {
		if err := b.measure(ctx); err != nil {
			return nil, err
		}
	}
	b.sum()
	b.report.Charts = []page.Latencies{{Title: "events, sent to acknowledged, closed loop", Curves: []page.Curve{
		curve(fmt.Sprintf("batches of %d", batchEvents), b.report.batches), curve("single events", b.report.singles),
	}}}
	b.report.Machine.LoadAfter = loadAverage()
	return b.report, nil
}

// ingestBench is one run.
type ingestBench struct {
	cfg    IngestConfig
	server *server
	shop   *shop
	report *IngestReport
	sender eventSender
	round  int

	batch, applied, single, floor        []float64 // by round
	batch50, batch99, single50, single99 []float64
}

// measure runs one round of all phases.
func (b *ingestBench) measure(ctx context.Context) error {
	steps := []struct {
		what string
		run  func(context.Context) error
	}{
		{"batches and consume-and-decode", b.batches}, {"single events", b.singles},
	}
	for _, step := range steps {
		b.cfg.Progress(fmt.Sprintf("%s, round %d of %d", step.what, b.round+1, b.cfg.Rounds))
		runtime.GC() // what the phase before left is not measured
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// batches sends batches as fast as they are acknowledged, waits until all is
// applied, and lets the floor consume the same records.
func (b *ingestBench) batches(ctx context.Context) error {
	client, err := b.server.Kafka()
	if err != nil {
		return err
	}
	from, err := kafka.EndOffsets(ctx, client, kafka.TopicEvents)
	if err != nil {
		return err
	}
	bodies := b.shop.bodies(uint64(1000+b.round), batchEvents)
	began := time.Now()
	r, _, err := b.sender.phase(ctx, "/v1/batch", bodies, load.Spec{Warmup: b.cfg.Duration / 5, Duration: b.cfg.Duration})
	if err != nil {
		return err
	}
	if err := b.server.WaitApplied(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	to, err := kafka.EndOffsets(ctx, client, kafka.TopicEvents)
	if err != nil {
		return err
	}
	floor, err := consumeAndDecode(ctx, client, fmt.Sprintf("bench.%d", b.round), from, to)
	if err != nil {
		return err
	}
	b.report.Failed += r.Failed
	b.report.batches.Merge(r.FromSent)
	b.batch = append(b.batch, r.PerSecond()*batchEvents)
	b.batch50, b.batch99 = append(b.batch50, quantile(r.FromSent, 50)), append(b.batch99, quantile(r.FromSent, 99))
	b.applied = append(b.applied, float64(floor.events)/took.Seconds())
	b.floor = append(b.floor, float64(floor.events)/floor.took.Seconds())
	b.report.EventBytes = int(floor.bytes / max(1, floor.events))
	return nil
}

// singles sends events one each.
func (b *ingestBench) singles(ctx context.Context) error {
	r, err := b.sender.single(ctx, b.shop, uint64(5000+b.round), b.cfg.Duration)
	if err != nil {
		return err
	}
	b.report.Failed += r.Failed
	b.report.singles.Merge(r.FromSent)
	b.single = append(b.single, r.PerSecond())
	b.single50, b.single99 = append(b.single50, quantile(r.FromSent, 50)), append(b.single99, quantile(r.FromSent, 99))
	return b.server.WaitApplied(ctx)
}

// sum fills the report from the rounds.
func (b *ingestBench) sum() {
	r := b.report
	ratio := spread(ratios(b.batch, b.floor))
	r.AppliedRatio = spread(ratios(b.applied, b.floor))
	r.ThroughputRatio, r.ThroughputRatioRange = ratio.Median, [2]float64{ratio.Low, ratio.High}
	r.Batch, r.Applied, r.Single, r.Floor = spread(b.batch), spread(b.applied), spread(b.single), spread(b.floor)
	r.BatchEventsPerSecond, r.SingleEvents = r.Batch.Median, r.Single.Median
	r.BatchP50, r.BatchP99 = spread(b.batch50), spread(b.batch99)
	r.SingleP50, r.SingleP99 = spread(b.single50), spread(b.single99)
}
