package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	benchrun "github.com/rapport-engine/rapport/bench/run"
)

func (p *program) benchIngestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ingest",
		Short: "Throughput of events over HTTP against a loop that only consumes and decodes",
		Long: `Sends events over HTTP to a server of its own, acknowledged by the embedded broker with synced writes: in
batches of 100 and one by one, as fast as they are acknowledged. The floor consumes the same records from the
same broker and decodes them, on as many goroutines, and does nothing else.`,
		Example: `  rapport bench ingest
  rapport bench ingest --profiles 2000 --duration 1s --rounds 1   small and quick
  rapport bench ingest --json --html latency.html`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 10_000, 100_000)
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.IngestConfig{
			Items: o.items, Profiles: o.profiles, Seed: o.seed, Connections: o.connections,
			Duration: o.duration, Rounds: o.rounds, Progress: p.benchProgress(), Sender: p.sender(),
		}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), cmd.Name(), o, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.Ingest(ctx, cfg)
			return r, map[string]any{"ingest": r}, err
		})
	})
	return cmd
}

func (p *program) benchE2ECommand() *cobra.Command {
	var rate float64
	cmd := &cobra.Command{
		Use:   "e2e",
		Short: "How long events are on their way to a message and to the profile",
		Long: `Finds how many single events a second are acknowledged, and then sends half as many. One in seven starts a
trigger that sends a message without waiting: measured is how long it takes, from the answer 200, until a plain
reader of the topic of messages has it, and until the customer's profile shows the event.`,
		Example: `  rapport bench e2e
  rapport bench e2e --rate 2000
  rapport bench e2e --profiles 5000 --duration 1s --rounds 1   small and quick`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 10_000, 200_000)
	cmd.Flags().Float64Var(&rate, "rate", 0, "events a second; 0 for half of what can be taken")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.E2EConfig{
			Items: o.items, Profiles: o.profiles, Seed: o.seed, Connections: o.connections, Rate: rate,
			Duration: o.duration, Rounds: o.rounds, Progress: p.benchProgress(), Sender: p.sender(),
		}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), cmd.Name(), o, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.EndToEnd(ctx, cfg)
			return r, map[string]any{"e2e": r}, err
		})
	})
	return cmd
}

func (p *program) benchMixedCommand() *cobra.Command {
	var sessions int
	cmd := &cobra.Command{
		Use:   "mixed",
		Short: "What ingest costs the latency of /v1/recommend",
		Long: `Finds the peak of /v1/recommend and how many single events a second are acknowledged, and then asks for
recommendations at a quarter of their peak, in turn without ingest and beside events at half of theirs. Requests and
events come from a process each.`,
		Example: `  rapport bench mixed
  rapport bench mixed --items 5000 --profiles 20000 --sessions 5000 --duration 1s   small and quick`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 100_000, 1_000_000)
	cmd.Flags().IntVar(&sessions, "sessions", defaultSessions, "sessions that the model has learned from")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.MixedConfig{
			Items: o.items, Profiles: o.profiles, Sessions: sessions, Seed: o.seed, Connections: o.connections,
			Duration: o.duration, Rounds: o.rounds, Progress: p.benchProgress(), Sender: p.sender(),
		}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), cmd.Name(), o, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.Mixed(ctx, cfg)
			if err != nil {
				return nil, nil, err
			}
			ratio := map[string]any{"p99_ratio_ingest": r.P99Ratio, "p99_ratio_ingest_range": r.P99RatioRange}
			return r, map[string]any{"recommend": ratio, "mixed": r}, nil
		})
	})
	return cmd
}
