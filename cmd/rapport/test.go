package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/rules/ruletest"
)

// testAnswer is the document of test --json.
type testAnswer struct {
	OK bool `json:"ok"`
	ruletest.Report
	Problems []checkProblem `json:"problems"` // of rules and scripts; then nothing else is told
}

func (p *program) testCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Try rules with scripts of what customers do, and of what is to be sent",
		Long: `Runs the scripts (*.test) in a directory of rules and below. A script says what customers do and when, and
what is decided then; it runs with the directory's rules on the engine's own clock, so that a year passes in
milliseconds. Each command that decides something else is printed as file:line: text, with a - before the
lines expected and a + before those of now. --rewrite writes those of now into the scripts: look at what
changes before you keep it. docs/rule-tests.md describes the scripts.

Exit code 0: everything as expected; 1: differences; 2: rules or scripts that cannot be read.`,
		Example: `  rapport test
  rapport test ./rules
  rapport test ./rules --rewrite`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := newConfigFlags(cmd, "rules", "timezone")
	asJSON := jsonFlag(cmd)
	rewrite := cmd.Flags().Bool("rewrite", false, "write what the scripts print now into them")
	cmd.RunE = p.runs(func(cmd *cobra.Command, args []string) error {
		cfg, err := flags.load(p.env)
		if err != nil {
			return err
		}
		if len(args) > 0 {
			cfg.Rules = args[0]
		}
		report, err := ruletest.RunDir(cmd.Context(), cfg.Rules, cfg, *rewrite)
		return p.printTest(cfg, report, err, *asJSON)
	})
	return cmd
}

// errDiffers ends a command that has printed its failures already.
var errDiffers = errors.New("something else than expected")

func (p *program) printTest(cfg engine.Config, report *ruletest.Report, err error, asJSON bool) error {
	var problems rules.Problems
	if err != nil && (!errors.As(err, &problems) || !asJSON) {
		return err
	}
	if asJSON {
		answer := testAnswer{OK: err == nil && len(report.Differences) == 0, Problems: []checkProblem{}}
		if report != nil {
			answer.Report = *report
		}
		for _, problem := range problems {
			answer.Problems = append(answer.Problems, checkProblem(problem))
		}
		if err := p.printJSON(answer); err != nil {
			return err
		}
	} else {
		p.writeTest(cfg.Rules, report)
	}
	switch {
	case len(problems) > 0:
		return errReported
	case len(report.Differences) > 0:
		return errDiffers
	}
	return nil
}

func (p *program) writeTest(dir string, report *ruletest.Report) {
	for i := range report.Differences {
		fmt.Fprintln(p.stdout, report.Differences[i].String())
	}
	switch {
	case report.Scripts == 0:
		fmt.Fprintf(p.stdout, "no scripts (*%s) in %s\n", ruletest.Extension, dir)
	case len(report.Differences) > 0:
		fmt.Fprintf(p.stdout, "failed: %d of %d commands in %d scripts\n", len(report.Differences), report.Checks, report.Scripts)
	default:
		fmt.Fprintf(p.stdout, "ok: %d commands in %d scripts", report.Checks, report.Scripts)
		if report.Rewritten > 0 {
			fmt.Fprintf(p.stdout, ", %d rewritten", report.Rewritten)
		}
		fmt.Fprintln(p.stdout)
	}
}
