package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	benchrun "github.com/rapport-engine/rapport/bench/run"
)

func (p *program) benchScaleCommand() *cobra.Command {
	var cfg benchrun.ScaleConfig
	cmd := &cobra.Command{
		Use:   "scale",
		Short: "What an event, a recommendation and memory cost as the state grows",
		Long: `Starts servers with more and more profiles, sessions learned and triggers, one of the three at a time, and measures
how long an event takes from being produced to being applied, how long a recommendation takes when nothing else is
at work, and the heap after a collection. One trigger in ten concerns a view.`,
		Example: `  rapport bench scale
  rapport bench scale --profiles 1000,10000 --sessions 100 --triggers 10 --events 5000   small and quick`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	set := cmd.Flags()
	set.IntVar(&cfg.Items, "items", 10_000, "items of the catalogue")
	set.IntSliceVar(&cfg.Profiles, "profiles", []int{10_000, 100_000, 1_000_000}, "customers, by commas; the others are measured with the first")
	set.IntSliceVar(&cfg.Sessions, "sessions", []int{10_000, 100_000, 1_000_000}, "sessions that the model has learned from, by commas")
	set.IntSliceVar(&cfg.Triggers, "triggers", []int{10, 100, 1000}, "triggers, by commas")
	set.IntVar(&cfg.Events, "events", 200_000, "events of a round")
	set.IntVar(&cfg.Rounds, "rounds", 3, "rounds of events; the median of them is reported, with the range")
	set.Uint64Var(&cfg.Seed, "seed", 1, "what the invented shop is drawn from")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		cfg.Progress = p.benchProgress()
		return p.bench(cmd.Context(), cmd.Name(), &benchOptions{json: asJSON}, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.Scale(ctx, cfg)
			return r, map[string]any{"scale": r}, err
		})
	})
	return cmd
}

func (p *program) benchSoakCommand() *cobra.Command {
	var every time.Duration
	var sessions int
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Load a server for a long time and check that nothing grows",
		Long: `Asks for recommendations and sends events, each at a quarter of what can be done of them alone, and notes memory,
goroutines, open files and latencies as time goes by. Exits with 1 where the last third of them is beyond the third
before: memory by 15 %, goroutines and files by 10 %, latencies by half.`,
		Example: `  rapport bench soak
  rapport bench soak --duration 1h
  rapport bench soak --profiles 2000 --sessions 500 --items 500 --duration 10s --every 1s   small and quick`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 100_000, 1_000_000)
	cmd.Flags().Lookup("rounds").Hidden = true
	cmd.Flags().Lookup("duration").Usage = "length of the whole"
	cmd.Flags().Lookup("duration").DefValue = "10m"
	o.duration = 10 * time.Minute
	cmd.Flags().DurationVar(&every, "every", time.Minute, "length of an interval")
	cmd.Flags().IntVar(&sessions, "sessions", defaultSessions, "sessions that the model has learned from")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.SoakConfig{
			Items: o.items, Profiles: o.profiles, Sessions: sessions, Seed: o.seed, Connections: o.connections,
			Duration: o.duration, Every: every, Progress: func(text string) { fmt.Fprintln(p.stderr, text) }, Sender: p.sender(),
		}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		var grew []string
		err := p.bench(cmd.Context(), cmd.Name(), o, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.Soak(ctx, cfg)
			if err != nil {
				return nil, nil, err
			}
			grew = r.Grew
			return r, map[string]any{"soak": r}, nil
		})
		if err == nil && len(grew) > 0 {
			return errDiffers
		}
		return err
	})
	return cmd
}
