package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rapport-engine/rapport/bench/load"
	benchrun "github.com/rapport-engine/rapport/bench/run"
)

func (p *program) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine's Rapport against what the bare parts do",
		Long: `Measures the product in this process, load generator included, and in turn, in the same rounds, a floor: what
the bare parts do with the same requests or records. Absolute figures are those of this machine today; the
ratios can be compared. Nothing of ./data is touched: each benchmark has a temporary directory of its own.`,
		Example: `  rapport bench recommend
  rapport bench ingest --duration 10s --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.benchRecommendCommand(), p.benchIngestCommand(), p.benchPipelineCommand(), p.benchE2ECommand(), p.benchMixedCommand(), p.benchMemoryCommand(),
		p.benchRestartCommand(), p.benchSnapshotsCommand(), p.benchAllCommand(), p.benchCompareCommand(), p.benchScaleCommand(), p.benchSoakCommand(), p.benchSendCommand())
	return cmd
}

// benchOptions are the flags of every benchmark.
type benchOptions struct {
	html, cpuProfile string
	curves           *string
	json             *bool
	seed             uint64
	duration         time.Duration
	rounds           int
	connections      int
	items, profiles  int
}

func newBenchOptions(cmd *cobra.Command, items, profiles int) *benchOptions {
	o := &benchOptions{json: jsonFlag(cmd)}
	set := cmd.Flags()
	set.IntVar(&o.items, "items", items, "items of the catalogue")
	set.IntVar(&o.profiles, "profiles", profiles, "customers")
	set.Uint64Var(&o.seed, "seed", 1, "what the invented shop is drawn from")
	set.DurationVar(&o.duration, "duration", 5*time.Second, "length of one phase")
	set.IntVar(&o.rounds, "rounds", 3, "rounds; the median of them is reported, with the range")
	set.IntVar(&o.connections, "connections", 64, "keep-alive connections")
	set.StringVar(&o.html, "html", "", "write a page with the tables, the latency curves and where the time goes to this `file`")
	o.curves = curvesFlag(cmd)
	set.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile of what is measured, floor and senders included, to this `file`")
	return o
}

// defaultSessions is how many sessions the model has learned from.
const defaultSessions = 1_000_000

// curvesFlag binds --curves.
func curvesFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("curves", "", "write the latency curves as pictures (SVG) to this `directory`")
}

func (p *program) benchRecommendCommand() *cobra.Command {
	var rates string
	var sessions int
	cmd := &cobra.Command{
		Use:   "recommend",
		Short: "Latency and throughput of /v1/recommend against a bare handler",
		Long: `Starts a server on a shop of its own making and asks it for recommendations: placements home, product and cart,
mostly for known customers, a quarter of the requests with a filter, no answer cached. The floor is a bare
fasthttp handler in the same process that answers as many bytes to the same requests.

A closed loop measures the peak. Open loops send at given rates, whatever the server does, and count latency
from the time at which each request was due.`,
		Example: `  rapport bench recommend
  rapport bench recommend --rate 10000 --rounds 5
  rapport bench recommend --rate auto                                  doubled from 1,000 until saturation
  rapport bench recommend --items 5000 --profiles 20000 --duration 1s  small and quick
  rapport bench recommend --json --html latency.html`,
		Args: cobra.NoArgs,
	}
	o := newBenchOptions(cmd, 100_000, 1_000_000)
	cmd.Flags().StringVar(&rates, "rate", "1000,5000,10000,20000", "requests a second of the open loop, by commas; auto doubles them until saturation")
	cmd.Flags().IntVar(&sessions, "sessions", defaultSessions, "sessions that the model has learned from")
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error {
		cfg := benchrun.RecommendConfig{
			Items: o.items, Profiles: o.profiles, Sessions: sessions, Seed: o.seed, Connections: o.connections,
			Duration: o.duration, Rounds: o.rounds, Progress: p.benchProgress(), Sender: p.sender(),
		}
		var err error
		if cfg.Rates, err = parseRates(rates); err != nil {
			return err
		}
		if err := cfg.Validate(); err != nil {
			return usagef("--%v", err)
		}
		return p.bench(cmd.Context(), cmd.Name(), o, func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error) {
			cfg.Profile = profile
			r, err := benchrun.Recommend(ctx, cfg)
			return r, map[string]any{"recommend": r}, err
		})
	})
	return cmd
}

// sender is the command that benchSendCommand answers to.
func (p *program) sender() []string {
	if p.self == "" {
		return nil
	}
	return []string{p.self, "bench", "send"}
}

// benchSendCommand is the process that sends while another one is measured.
func (p *program) benchSendCommand() *cobra.Command {
	return &cobra.Command{
		Use: "send", Short: "Send what standard input says and write what was measured", Hidden: true, Args: cobra.NoArgs,
		RunE: p.runs(func(cmd *cobra.Command, _ []string) error { return load.Serve(cmd.Context(), p.stdin, p.stdout) }),
	}
}

// bench runs a benchmark and reports.
func (p *program) bench(ctx context.Context, name string, o *benchOptions, measure func(ctx context.Context, profile io.Writer) (benchrun.Report, map[string]any, error)) (err error) {
	var profile bytes.Buffer
	var to io.Writer // nil: no profile
	if o.cpuProfile != "" || o.html != "" {
		to = &profile
	}
	pages, err := createAll(map[string]string{"html": o.html, "cpuprofile": o.cpuProfile})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pages.close()) }()
	report, document, err := measure(ctx, to)
	if err != nil {
		return err
	}
	if f := pages["cpuprofile"]; f != nil {
		if _, err := f.Write(profile.Bytes()); err != nil {
			return fmt.Errorf("cannot write the CPU profile: %w", err)
		}
	}
	if f := pages["html"]; f != nil {
		part := benchrun.Part{Report: report, Profile: profile.Bytes()}
		if err := benchrun.WritePage(f, "rapport bench "+name, []benchrun.Part{part}); err != nil {
			return err
		}
	}
	if o.curves != nil && *o.curves != "" {
		if err := benchrun.WriteCurves(*o.curves, []benchrun.Part{{Title: name, Report: report}}); err != nil {
			return err
		}
	}
	if *o.json {
		return p.printJSON(document)
	}
	return report.Write(p.stdout)
}

// files are by the flag that names them.
type files map[string]*os.File

// createAll makes the files that flags name, before minutes of measuring.
func createAll(names map[string]string) (files, error) {
	all := files{}
	for flag, name := range names {
		if name == "" {
			continue
		}
		f, err := os.Create(name)
		if err != nil {
			return nil, errors.Join(usagef("--%s: %v", flag, err), all.close())
		}
		all[flag] = f
	}
	return all, nil
}

func (f files) close() error {
	var err error
	for _, file := range f {
		err = errors.Join(err, file.Close())
	}
	return err
}

// benchProgress tells on standard error what happens.
func (p *program) benchProgress() func(string) {
	return func(text string) { fmt.Fprintf(p.stderr, "%s ...\n", text) }
}

// parseRates reads --rate: none for auto.
func parseRates(text string) ([]float64, error) {
	if text == "auto" {
		return nil, nil
	}
	var rates []float64
	for part := range strings.SplitSeq(text, ",") {
		rate, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return nil, usagef("--rate: must be numbers by commas, such as 1000,10000, or auto, not %q", text)
		}
		rates = append(rates, rate)
	}
	return rates, nil
}
