package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

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
		cfg := benchrun.PipelineConfig{Items: o.items, Profiles: o.profiles, Events: events, Seed: o.seed, Rounds: o.rounds, Progress: p.benchProgress(o)}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), o, func(ctx context.Context, profile io.Writer) (benchReport, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.Pipeline(ctx, cfg)
			return r, map[string]any{"pipeline": r}, err
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
	cmd.RunE = p.benchRest(o, func(ctx context.Context, cfg benchrun.RestConfig) (benchReport, map[string]any, error) {
		r, err := benchrun.Memory(ctx, cfg)
		return r, map[string]any{"memory": r}, err
	})
	return cmd
}

func (p *program) benchRestartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Time until a server is ready again",
		Long:  `Starts a server on a snapshot of many profiles, several times, until each partition is restored.`,
		Example: `  rapport bench restart
  rapport bench restart --profiles 20000 --rounds 1   small and quick`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 100_000, 1_000_000)
	cmd.RunE = p.benchRest(o, func(ctx context.Context, cfg benchrun.RestConfig) (benchReport, map[string]any, error) {
		r, err := benchrun.Restart(ctx, cfg)
		return r, map[string]any{"restart": r}, err
	})
	return cmd
}

// benchRest runs a benchmark of profiles at rest.
func (p *program) benchRest(o *benchOptions, measure func(context.Context, benchrun.RestConfig) (benchReport, map[string]any, error)) func(*cobra.Command, []string) error {
	return p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.RestConfig{Items: o.items, Profiles: o.profiles, Seed: o.seed, Rounds: o.rounds, Progress: p.benchProgress(o)}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), o, func(ctx context.Context, profile io.Writer) (benchReport, map[string]any, error) {
			cfg.Profile = profile
			return measure(ctx, cfg)
		})
	})
}

// benchAllCommand runs the others one after the other, in their default sizes
// where no flag says otherwise.
func (p *program) benchAllCommand() *cobra.Command {
	var items, profiles, sessions, events int
	var duration time.Duration
	cmd := &cobra.Command{
		Use:   "all",
		Short: "All benchmarks, one after the other",
		Long:  "Runs recommend, ingest, pipeline, e2e, memory and restart, each in a process of its own, and prints all their tables.",
		Example: `  rapport bench all
  rapport bench all --items 1000 --profiles 5000 --sessions 1000 --events 20000 --duration 500ms   small and quick
  rapport bench all --json`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	set := cmd.Flags()
	set.IntVar(&items, "items", 0, "items of the catalogue; 0 leaves it to each benchmark")
	set.IntVar(&profiles, "profiles", 0, "customers; 0 leaves it to each benchmark")
	set.IntVar(&sessions, "sessions", 0, "sessions that the model has learned from; 0 leaves it to the benchmark")
	set.IntVar(&events, "events", 0, "events of a round of pipeline; 0 leaves it to the benchmark")
	set.DurationVar(&duration, "duration", 0, "length of one phase; 0 leaves it to each benchmark")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		whole := map[string]any{}
		for _, name := range []string{"recommend", "ingest", "pipeline", "e2e", "memory", "restart"} {
			args := []string{"bench", name}
			add := func(flag string, given bool, value any) {
				if given {
					args = append(args, "--"+flag, fmt.Sprint(value))
				}
			}
			add("items", items > 0, items)
			add("profiles", profiles > 0, profiles)
			add("sessions", sessions > 0 && name == "recommend", sessions)
			add("events", events > 0 && name == "pipeline", events)
			add("duration", duration > 0, duration)
			if err := p.benchPart(cmd.Context(), args, *asJSON, whole); err != nil {
				return err
			}
		}
		if *asJSON {
			return p.printJSON(whole)
		}
		return nil
	})
	return cmd
}

// benchPart runs one benchmark of all; its JSON joins whole.
func (p *program) benchPart(ctx context.Context, args []string, asJSON bool, whole map[string]any) error {
	if asJSON {
		args = append(args, "--json")
	}
	var out bytes.Buffer
	part := *p
	part.stdout = &out
	if p.self == "" { // a test
		if code := part.run(ctx, args); code != exitDone {
			return fmt.Errorf("cannot run `rapport %s`: exit %d", strings.Join(args, " "), code)
		}
	} else {
		child := exec.CommandContext(ctx, p.self, args...)
		child.Stdout, child.Stderr = &out, p.stderr
		if err := child.Run(); err != nil {
			return fmt.Errorf("cannot run `rapport %s`: %w", strings.Join(args, " "), err)
		}
	}
	if asJSON {
		return json.Unmarshal(out.Bytes(), &whole)
	}
	_, err := fmt.Fprintf(p.stdout, "%s\n\n%s\n", strings.ToUpper(args[1]), out.Bytes())
	return err
}
