package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	benchrun "github.com/rapport-engine/rapport/bench/run"
)

func (p *program) benchPipelineCommand() *cobra.Command {
	var events int
	cmd := &cobra.Command{
		Use:   "pipeline",
		Short: "Throughput from the log to the state against a loop that only consumes and decodes",
		Long: `Writes a log of events to an embedded broker and lets a server work through it: profiles, triggers and the
recommender's model, without HTTP. The floor consumes the same records from the same broker and decodes them, on
as many goroutines, and does nothing else.`,
		Example: `  rapport bench pipeline
  rapport bench pipeline --events 20000 --profiles 2000 --rounds 1   small and quick
  rapport bench pipeline --json`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 10_000, 100_000)
	cmd.Flags().IntVar(&events, "events", 1_000_000, "events of a round")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.PipelineConfig{Items: o.items, Profiles: o.profiles, Events: events, Seed: o.seed, Rounds: o.rounds, Progress: p.benchProgress()}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), cmd.Name(), o, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.Pipeline(ctx, cfg)
			return r, map[string]any{"pipeline": r}, err
		})
	})
	return cmd
}

func (p *program) benchSnapshotsCommand() *cobra.Command {
	var events int
	cmd := &cobra.Command{
		Use:   "snapshots",
		Short: "What snapshots cost",
		Long: `Folds the same log with a snapshot every two seconds and with none, in turn: an embedded broker with synced writes,
snapshots on disk.`,
		Example: `  rapport bench snapshots
  rapport bench snapshots --events 20000 --profiles 2000 --rounds 1   small and quick`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 10_000, 100_000)
	cmd.Flags().IntVar(&events, "events", 1_000_000, "events of a round")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.PipelineConfig{Items: o.items, Profiles: o.profiles, Events: events, Seed: o.seed, Rounds: o.rounds, Progress: p.benchProgress()}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), cmd.Name(), o, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.Snapshots(ctx, cfg)
			return r, map[string]any{"snapshots": r}, err
		})
	})
	return cmd
}

func (p *program) benchMemoryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "memory",
		Short: "Memory that profiles take",
		Long: `Starts a server on profiles with a history of twenty events each and compares its heap after a collection with
that of a server that has a thousand of them: what a profile takes, with everything that grows with their number.`,
		Example: `  rapport bench memory
  rapport bench memory --profiles 20000   small and quick`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 100_000, 2_000_000)
	cmd.RunE = p.benchRest(o, func(ctx context.Context, cfg benchrun.RestConfig) (benchrun.Report, map[string]any, error) {
		r, err := benchrun.Memory(ctx, cfg)
		return r, map[string]any{"memory": r}, err
	})
	return cmd
}

func (p *program) benchRestartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Time until a server is ready again",
		Long: `Starts a server on a snapshot of many profiles, several times, until each partition is restored. With --redis the
snapshot is in Redis, and at the end a second process joins and takes half of the partitions.`,
		Example: `  rapport bench restart
  rapport bench restart --redis start                  with a redis-server of its own
  rapport bench restart --redis 127.0.0.1:6379         with one that is there, and empty
  rapport bench restart --profiles 20000 --rounds 1   small and quick`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 100_000, 1_000_000)
	redis := cmd.Flags().String("redis", "", "snapshots in the Redis at host:port, or \"start\" for one of its own; empty: on disk")
	cmd.RunE = p.benchRest(o, func(ctx context.Context, cfg benchrun.RestConfig) (benchrun.Report, map[string]any, error) {
		cfg.Redis = *redis
		r, err := benchrun.Restart(ctx, cfg)
		return r, map[string]any{"restart": r}, err
	})
	return cmd
}

// benchRest runs a benchmark of profiles at rest.
func (p *program) benchRest(o *benchOptions, measure func(context.Context, benchrun.RestConfig) (benchrun.Report, map[string]any, error)) func(*cobra.Command, []string) error {
	return p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.RestConfig{Items: o.items, Profiles: o.profiles, Seed: o.seed, Rounds: o.rounds, Progress: p.benchProgress()}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), cmd.Name(), o, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			return measure(ctx, cfg)
		})
	})
}
