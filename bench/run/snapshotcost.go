package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

// SnapshotReport is what snapshots cost: the same log folded with a snapshot every
// two seconds and with none, in turn, on the embedded broker.
type SnapshotReport struct {
	Ratio      float64    `json:"ratio"` // events/s with snapshots / without
	RatioRange [2]float64 `json:"ratio_range"`
	With       Spread     `json:"with"`    // events/s
	Without    Spread     `json:"without"` // events/s

	Profiles int     `json:"profiles"`
	Events   int     `json:"events"`
	Rounds   int     `json:"rounds"`
	Machine  Machine `json:"machine"`
}

// never is a snapshot interval that no round lasts.
const never = 10 * time.Minute

// Snapshots measures what snapshots cost the fold.
func Snapshots(ctx context.Context, cfg PipelineConfig) (*SnapshotReport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	defer stop()
	r := &SnapshotReport{Profiles: cfg.Profiles, Events: cfg.Events, Rounds: cfg.Rounds, Machine: thisMachine()}
	intervals := [2]time.Duration{engine.DefaultConfig().SnapshotInterval, never}
	var rates [2][]float64
	for round := range cfg.Rounds {
		for n := range intervals {
			side := (n + round) % 2 // which comes first changes
			tell(cfg.Progress, fmt.Sprintf("round %d of %d, a snapshot every %s", round+1, cfg.Rounds, intervals[side]))
			rate, err := foldLog(ctx, &cfg, uint64(round), intervals[side])
			if err != nil {
				return nil, err
			}
			rates[side] = append(rates[side], rate)
		}
	}
	ratio := spread(ratios(rates[0], rates[1]))
	r.Ratio, r.RatioRange = ratio.Median, [2]float64{ratio.Low, ratio.High}
	r.With, r.Without = spread(rates[0]), spread(rates[1])
	r.Machine.LoadAfter = loadAverage()
	return r, nil
}

// foldLog returns how many events of a round's log are applied a second.
func foldLog(ctx context.Context, cfg *PipelineConfig, round uint64, interval time.Duration) (rate float64, err error) {
	dir, remove, err := tempDir()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	config := benchConfig(dir)
	config.SnapshotInterval = interval
	if err := writeLog(ctx, cfg, filepath.Join(config.Data, "log"), int32(config.Partitions), config.Kafka.Prefix, round); err != nil {
		return 0, err
	}
	runtime.GC() // what writing left is not measured
	s, err := launchServer(ctx, config, rules.BuiltIn())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.applyAll(ctx, int64(cfg.Events))
}

// Write prints the report as a table.
func (r *SnapshotReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("what snapshots cost: %s events of %s customers, folded from the embedded broker", thousands(int64(r.Events)), thousands(int64(r.Profiles)))
	p.line("%s; %d rounds in turn; medians with range", r.Machine.String(), r.Rounds)
	p.line("")
	p.line("%-46s %s events/s", "a snapshot every 2s", r.With)
	p.line("%-46s %s events/s", "none", r.Without)
	p.line("")
	p.asks("snapshots.ratio", r.Ratio)
	return p.err
}
