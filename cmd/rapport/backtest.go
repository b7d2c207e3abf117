package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rapport-engine/rapport/bench/backtest"
	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

// backtestOptions are the flags of backtest.
type backtestOptions struct {
	replayOptions
	data    string
	against string
	html    string
}

func (p *program) backtestCommand() *cobra.Command {
	var o backtestOptions
	cmd := &cobra.Command{
		Use:   "backtest --rules DIR [--data FILE]",
		Short: "See on past events what new rules would have sent, and how that differs from the rules in force",
		Long: `Replays a file of recorded events with new rules and with those in force, sends nothing, and tells what each
would have decided: runs, messages by trigger and day, why messages were not sent, how many customers would
have got more than so many messages in 7 days, ten customers step by step, and the difference.

--rules names the new rules. Those in force are the configuration's (./rules, or those built in), or
--against. The file is read as by 'rapport replay', which counts the same over the same events.

Without --data, or where that is a directory, the log itself is read, as far as it goes back: on the brokers
of the configuration, or in the data directory, on which no server may run meanwhile. Events count when they were
logged, and items as they changed.`,
		Example: `  rapport backtest --rules new/ --data events.jsonl.gz
  rapport backtest --rules new/ --from 2026-11-01
  rapport backtest --rules new/ --data ga360-events.csv.zst --format ga360 --from 2016-09-01 --to 2016-10-01 --html report.html
  rapport backtest --rules new/ --against old/ --data events.jsonl --json`,
		Args: cobra.NoArgs,
	}
	o.config = newConfigFlags(cmd, "rules", "timezone", "currency")
	o.json = jsonFlag(cmd)
	set := cmd.Flags()
	set.Lookup("rules").Usage, set.Lookup("rules").DefValue = "`directory` of the new rules", ""
	dataFlag := set.Lookup("data")
	dataFlag.Usage, dataFlag.DefValue, dataFlag.Hidden = "`file` of recorded events, may be compressed (.gz, .zst), or data directory (default: the log)", "", false
	set.StringVar(&o.format, "format", "segment", "format of the file: "+strings.Join(datasets.Formats(), ", "))
	set.StringVar(&o.against, "against", "", "`directory` of the rules in force (default: as configured)")
	set.StringVar(&o.html, "html", "", "write the report with charts to this `file`")
	set.StringVar(&o.from, "from", "", "leave out events before this `time` (2006-01-02, RFC 3339 or Unix ms)")
	set.StringVar(&o.to, "to", "", "leave out events from this `time` on")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(datasets.Formats(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) error { return p.backtest(cmd.Context(), &o) })
	return cmd
}

func (p *program) backtest(ctx context.Context, o *backtestOptions) (err error) {
	cfg, err := p.backtestConfig(o)
	if err != nil {
		return err
	}
	run := p.backtestFile
	if info, statErr := os.Stat(o.data); o.data == "" || statErr == nil && info.IsDir() {
		run = p.backtestLog
	}
	report, err := run(ctx, o, cfg)
	if err != nil {
		return err
	}
	if o.html != "" {
		if err := writeFile(o.html, report.WriteHTML); err != nil {
			return err
		}
	}
	if *o.json {
		err = p.printJSON(report)
	} else {
		err = report.Write(p.stdout)
	}
	if err == nil && report.Read == 0 && len(report.Invalid) > 0 {
		return fmt.Errorf("no row of %q is an event of format %s: %s", o.data, o.format, strings.Join(report.Invalid, "; "))
	}
	return err
}

// backtestFile replays a file.
func (p *program) backtestFile(ctx context.Context, o *backtestOptions, cfg backtest.Config) (report *backtest.Report, err error) {
	file, err := openData(o.data, o.format)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	bar := p.progress(file, &o.replayOptions)
	cfg.Feed.Progress = func(int64) { _ = bar.Set64(file.Offset()) }
	defer func() { _ = bar.Exit() }()
	return backtest.Run(ctx, file, cfg)
}

// backtestLog replays the log.
func (p *program) backtestLog(ctx context.Context, o *backtestOptions, cfg backtest.Config) (report *backtest.Report, err error) {
	if o.data != "" {
		cfg.Engine.Data, cfg.Engine.Kafka.Brokers = o.data, nil
	}
	client, closeLog, err := engine.OpenLog(ctx, cfg.Engine, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	log, err := backtest.OpenLog(ctx, client)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return backtest.Run(ctx, log, cfg)
}

// backtestConfig reads the flags and loads both sets of rules.
func (p *program) backtestConfig(o *backtestOptions) (cfg backtest.Config, err error) {
	if cfg.Feed, err = o.bounds(); err != nil {
		return cfg, err
	}
	if !o.config.given("rules") {
		return cfg, usagef("--rules is needed: the directory of the new rules")
	}
	if o.config.given("data") {
		o.data = o.config.forget("data")
	}
	cfg.New.Name = o.config.forget("rules")
	if cfg.Engine, err = o.config.load(p.env); err != nil {
		return cfg, err
	}
	if cfg.InForce.Name = o.against; o.against == "" {
		cfg.InForce.Name = cfg.Engine.Rules
	}
	for _, r := range []*backtest.Rules{&cfg.New, &cfg.InForce} {
		if r.Set, err = rules.Load(r.Name); err != nil {
			return cfg, err
		}
	}
	for _, name := range []string{cfg.New.Name, o.against} {
		if _, err := os.Stat(name); name != "" && err != nil {
			return cfg, fmt.Errorf("cannot read rules: %w", err)
		}
	}
	if _, err := os.Stat(cfg.InForce.Name); err != nil {
		cfg.InForce.Name = "those built in"
	}
	return cfg, nil
}

// openData opens a file of events.
func openData(path, format string) (*datasets.File, error) {
	file, err := datasets.Open(path, format)
	if errors.Is(err, datasets.ErrFormat) {
		return nil, usagef("--format: must be one of %s, not %q", strings.Join(datasets.Formats(), ", "), format)
	}
	return file, err
}

// writeFile creates a file and lets write fill it.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.Create(path) //nolint:gosec // the user names the file
	if err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}
