package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/bench/replay"
	"github.com/rapport-engine/rapport/engine"
)

// replayOptions are the flags of replay.
type replayOptions struct {
	config   *configFlags
	format   string
	messages string
	from, to string
	deliver  bool
	json     *bool
}

func (p *program) replayCommand() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Run recorded behaviour through the engine by its own time, as fast as it goes",
		Long: `Feeds a file of recorded events through an engine of its own: profiles, triggers and the recommender
see them at the times when they happened. It ends with a summary. Messages are decided but not delivered.
Files may be compressed with zstd or gzip. Kafka and Redis of the configuration are not used: the log is
written to --data, which must be empty, or to a temporary directory.

Formats:
  segment        JSON lines, one Segment call each
  ga360          hits of Google Analytics 360, as CSV
  retailrocket   RetailRocket's events.csv, or a cut of it with tabs
  online-retail  orders of UCI Online Retail, as CSV

History should be in order of time: an event that comes late counts at its own time in the profile, but is
logged at the latest time before it, so the clock never goes back.`,
		Example: `  rapport replay events.jsonl.gz --format segment
  rapport replay ga360-events.csv.zst --format ga360 --currency USD --messages messages.jsonl
  rapport replay events.csv --format retailrocket --from 2015-06-01 --to 2015-06-08 --json`,
		Args: cobra.ExactArgs(1),
	}
	o.config = newConfigFlags(cmd, "data", "rules")
	o.json = jsonFlag(cmd)
	set := cmd.Flags()
	set.StringVar(&o.format, "format", "", "format of the file: "+strings.Join(datasets.Formats(), ", "))
	set.StringVar(&o.messages, "messages", "", "write every message decided to this `file`, one JSON a line, by time and id")
	set.StringVar(&o.from, "from", "", "leave out events before this `time` (2006-01-02, RFC 3339 or Unix ms)")
	set.StringVar(&o.to, "to", "", "leave out events from this `time` on")
	set.BoolVar(&o.deliver, "deliver", false, "deliver the messages through the configured sinks")
	set.Lookup("data").DefValue = ""
	set.Lookup("data").Usage = "keep the log and the snapshots in this empty `directory` (default: a temporary one)"
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(datasets.Formats(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = p.runs(func(cmd *cobra.Command, args []string) error {
		return p.replay(cmd.Context(), args[0], &o)
	})
	return cmd
}

func (p *program) replay(ctx context.Context, path string, o *replayOptions) (err error) {
	feed, err := o.bounds()
	if err != nil {
		return err
	}
	cfg, cleanup, err := p.replayConfig(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	file, err := openData(path, o.format)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	e, err := startEngine(ctx, cfg, engine.Options{Quiet: !o.deliver, Unsynced: true, Logger: p.warnings(), MessageLog: p.stderr})
	if err != nil {
		return err
	}
	summary, err := p.feed(ctx, e, file, feed, o)
	if err = errors.Join(err, e.stop()); err != nil {
		return err
	}
	if *o.json {
		err = p.printJSON(summary)
	} else {
		err = summary.Write(p.stdout)
	}
	if err == nil && summary.Read == 0 && summary.DeadLetters[replay.InvalidRow] > 0 {
		return fmt.Errorf("no row of %q is an event of format %s: %s", path, o.format, strings.Join(summary.Samples, "; "))
	}
	return err
}

// feed runs the file through the engine and sums up.
func (p *program) feed(ctx context.Context, e *running, file *datasets.File, feed replay.Options, o *replayOptions) (*replay.Summary, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	bar := p.progress(file, o)
	feed.Partitions = e.Partitions()
	feed.Progress = func(int64) { _ = bar.Set64(file.Offset()) }
	started := time.Now()
	fed, err := replay.Feed(ctx, file, e, feed)
	if err == nil {
		err = e.WaitApplied(ctx)
	}
	took := time.Since(started)
	_ = bar.Exit()
	if err != nil {
		return nil, err
	}
	if o.messages != "" {
		if err := replay.WriteMessages(ctx, e.Engine, o.messages); err != nil {
			return nil, err
		}
	}
	return replay.Summarize(fed, e.Stats(), took), nil
}

// progress is a bar of how much of the file is read, on a terminal only.
func (p *program) progress(file *datasets.File, o *replayOptions) *progressbar.ProgressBar {
	return progressbar.NewOptions64(file.Size,
		progressbar.OptionSetWriter(p.stderr), progressbar.OptionSetVisibility(!*o.json && p.isTerminal(p.stderr)),
		progressbar.OptionSetDescription("replaying"), progressbar.OptionShowBytes(true),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))
}

// bounds reads --from and --to.
func (o *replayOptions) bounds() (replay.Options, error) {
	var options replay.Options
	var err error
	if options.From, err = parseMoment("--from", o.from); err != nil {
		return options, err
	}
	if options.To, err = parseMoment("--to", o.to); err != nil {
		return options, err
	}
	if options.To != 0 && options.To <= options.From {
		return options, usagef("--to: must be later than --from")
	}
	return options, nil
}

// parseMoment reads a time in Unix ms; "" is 0.
func parseMoment(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms > 0 {
		return ms, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil && t.UnixMilli() > 0 {
			return t.UnixMilli(), nil
		}
	}
	return 0, usagef("%s: must be a date such as 2006-01-02, a time such as 2006-01-02T15:04:05Z, or Unix milliseconds, not %q", flag, text)
}

// replayConfig is the configuration with a log of the replay's own; cleanup
// removes a temporary one.
func (p *program) replayConfig(o *replayOptions) (engine.Config, func() error, error) {
	cleanup := func() error { return nil }
	cfg, err := o.config.load(p.env)
	if err != nil {
		return cfg, cleanup, err
	}
	cfg.Kafka.Brokers, cfg.Redis.Addrs = nil, nil
	if !o.config.given("session_timeout") {
		cfg.SessionTimeout = 5 * time.Minute // nobody else could take over
	}
	if o.config.given("data") {
		return cfg, cleanup, emptyDirectory(cfg.Data)
	}
	if cfg.Data, err = os.MkdirTemp("", "rapport-replay-"); err != nil {
		return cfg, cleanup, fmt.Errorf("cannot make a temporary directory: %w", err)
	}
	dir := cfg.Data
	return cfg, func() error { return os.RemoveAll(dir) }, nil
}

// emptyDirectory refuses a directory with something in it: history goes to an
// empty log only.
func emptyDirectory(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look into --data: %w", err)
	}
	if len(entries) > 0 {
		return usagef("--data: %q is not empty; a replay writes to an empty log only", dir)
	}
	return nil
}
