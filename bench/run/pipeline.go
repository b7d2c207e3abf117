package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// PipelineConfig says what to measure the fold with.
type PipelineConfig struct {
	Items, Profiles int
	Events          int // of a round
	Seed            uint64
	Rounds          int
	Progress        func(string) // told what happens; nil: nobody
	Profile         io.Writer    // gets a CPU profile of what is measured; nil: nobody
}

// Validate says what cannot be measured.
func (c *PipelineConfig) Validate() error {
	switch {
	case c.Items < 100:
		return errors.New("items: must be 100 or more")
	case c.Profiles < 1:
		return errors.New("profiles: must be 1 or more")
	case c.Events < 1000:
		return errors.New("events: must be 1000 or more")
	}
	return checkRounds(c.Rounds)
}

// PipelineReport is what was measured: a log of events, written before, from
// the embedded broker to profiles that have changed, triggers checked and a
// model that has learned. The floor consumes the same records from the same
// broker and decodes them, on as many goroutines as there are partitions.
type PipelineReport struct {
	ThroughputRatio      float64    `json:"throughput_ratio"` // ours / floor: higher is better
	ThroughputRatioRange [2]float64 `json:"throughput_ratio_range"`
	EventsPerSecond      float64    `json:"events_per_s"` // median
	Ours                 Spread     `json:"ours"`         // events/s
	Floor                Spread     `json:"floor"`        // events/s

	Items    int     `json:"items"`
	Profiles int     `json:"profiles"`
	Events   int     `json:"events"`
	Rounds   int     `json:"rounds"`
	Machine  Machine `json:"machine"`
}

// Pipeline measures the way of events from the log into the state.
func Pipeline(ctx context.Context, cfg PipelineConfig) (*PipelineReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &PipelineReport{Items: cfg.Items, Profiles: cfg.Profiles, Events: cfg.Events, Rounds: cfg.Rounds, Machine: thisMachine()}
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	defer stop()
	var ours, floors []float64
	for round := range cfg.Rounds {
		tell(cfg.Progress, fmt.Sprintf("%s events, round %d of %d", thousands(int64(cfg.Events)), round+1, cfg.Rounds))
		own, floor, err := pipelineRound(ctx, &cfg, uint64(round))
		if err != nil {
			return nil, err
		}
		ours, floors = append(ours, own), append(floors, floor)
	}
	ratio := spread(ratios(ours, floors))
	r.ThroughputRatio, r.ThroughputRatioRange = ratio.Median, [2]float64{ratio.Low, ratio.High}
	r.Ours, r.Floor = spread(ours), spread(floors)
	r.EventsPerSecond = r.Ours.Median
	r.Machine.LoadAfter = loadAverage()
	return r, nil
}

// pipelineRound returns events/s of both sides over a log of its own.
func pipelineRound(ctx context.Context, cfg *PipelineConfig, round uint64) (ours, floor float64, err error) {
	dir, remove, err := tempDir()
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	config := benchConfig(dir)
	if err := writeLog(ctx, cfg, filepath.Join(config.Data, "log"), int32(config.Partitions), config.Kafka.Prefix, round); err != nil {
		return 0, 0, err
	}
	runtime.GC() // what writing left is not measured
	s, err := launchServer(ctx, config, rules.BuiltIn())
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if ours, err = s.applyAll(ctx, int64(cfg.Events)); err != nil {
		return 0, 0, err
	}
	if err := s.ready(ctx); err != nil {
		return 0, 0, err
	}
	if err := s.WaitApplied(ctx); err != nil {
		return 0, 0, err
	}
	client, err := s.Kafka()
	if err != nil {
		return 0, 0, err
	}
	from, err := kafka.StartOffsets(ctx, client, kafka.TopicEvents)
	if err != nil {
		return 0, 0, err
	}
	to, err := kafka.EndOffsets(ctx, client, kafka.TopicEvents)
	if err != nil {
		return 0, 0, err
	}
	runtime.GC()
	read, err := consumeAndDecode(ctx, client, "bench", from, to)
	if err != nil {
		return 0, 0, err
	}
	return ours, float64(read.events) / read.took.Seconds(), nil
}

// applyAll waits until so many events have been applied and returns how many
// were each second, from the first that was on.
func (s *server) applyAll(ctx context.Context, events int64) (perSecond float64, err error) {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	began := time.Now()
	for {
		applied := s.Stats().Applied
		switch {
		case applied == 0:
			began = time.Now()
		case applied >= events:
			return float64(events) / time.Since(began).Seconds(), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-s.ended:
			return 0, errors.New("the engine stopped")
		case <-ticker.C:
		}
	}
}

// writeLog writes the events of a round to a broker's directory.
func writeLog(ctx context.Context, cfg *PipelineConfig, dir string, partitions int32, prefix string, round uint64) (err error) {
	broker, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{Dir: dir, Partitions: partitions, Prefix: prefix, DataLimit: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	client := kafka.Config{Brokers: broker.Addrs(), Prefix: prefix, Partitions: partitions, Embedded: broker}
	if _, err := kafka.EnsureTopics(ctx, client); err != nil {
		return err
	}
	producer, err := kafka.NewProducer(client)
	if err != nil {
		return err
	}
	defer producer.Close()
	sh := newShop(cfg.Items, cfg.Profiles, cfg.Seed)
	w := sh.visits(2000+round, 2000)
	const step = 5000
	for done := 0; done < cfg.Events; done += step {
		recs := make([]streams.Record, min(step, cfg.Events-done))
		for i := range recs {
			c, item := w.next()
			id := uint64(done+i) | (round+1)<<40
			value := sh.appendEvent(nil, w.kind(), c, item, id, id)
			recs[i] = streams.Record{Topic: kafka.TopicEvents, Partition: -1, Key: []byte(customerKey(c)), Value: value}
		}
		if _, err := producer.ProduceSync(ctx, recs); err != nil {
			return err
		}
	}
	return nil
}

// Write prints the report as a table.
func (r *PipelineReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("events from the log to the state: %s events, %s customers, %s items", thousands(int64(r.Events)), thousands(int64(r.Profiles)), thousands(int64(r.Items)))
	p.line("%s; %d rounds; medians with range", r.Machine.String(), r.Rounds)
	p.line("")
	p.line("%-46s %s events/s", "record to profile, triggers and model", r.Ours)
	p.line("%-46s %s events/s", "floor: only consume and decode the same", r.Floor)
	p.line("")
	p.asks("pipeline.throughput_ratio", r.ThroughputRatio)
	p.asks("pipeline.events_per_s", r.EventsPerSecond)
	return p.err
}
