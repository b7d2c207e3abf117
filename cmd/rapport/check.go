package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

// checkAnswer is the document of check --json.
type checkAnswer struct {
	OK         bool           `json:"ok"`
	Problems   []checkProblem `json:"problems"`
	Warnings   []checkProblem `json:"warnings"`
	Triggers   []string       `json:"triggers"`
	Placements []string       `json:"placements"`
}

type checkProblem struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

func (p *program) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Validate configuration, rules and templates without starting anything",
		Long: `Validates the configuration, the rules and the message templates that 'rapport serve' would use. Everything
wrong is printed at once, one problem a line as file:line:column: text. Exit code 0: nothing wrong; 2: problems.`,
		Example: `  rapport check
  rapport check --config shop.yaml --rules ./rules
  rapport check --json`,
		Args: cobra.NoArgs,
	}
	flags := newConfigFlags(cmd, "rules")
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.runs(func(*cobra.Command, []string) error {
		answer, err := check(flags, p.env)
		if err != nil {
			return err
		}
		return p.printCheck(answer, *asJSON)
	})
	return cmd
}

// check validates; an error is one that no line of a file is to blame for.
func check(flags *configFlags, env []string) (*checkAnswer, error) {
	answer := &checkAnswer{Problems: []checkProblem{}, Warnings: []checkProblem{}, Triggers: []string{}, Placements: []string{}}
	cfg, err := flags.load(env)
	var config *engine.ConfigError
	if errors.As(err, &config) {
		for _, p := range config.Problems {
			answer.Problems = append(answer.Problems, checkProblem(p))
		}
	} else if err != nil {
		return nil, err
	} else {
		for _, p := range cfg.TemplateProblems() {
			answer.Problems = append(answer.Problems, checkProblem(p))
		}
		for _, p := range cfg.Warnings() {
			answer.Warnings = append(answer.Warnings, checkProblem(p))
		}
	}
	set, err := rules.Load(cfg.Rules)
	var problems rules.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			answer.Problems = append(answer.Problems, checkProblem(p))
		}
	} else if err != nil {
		return nil, err
	} else {
		for _, t := range set.Triggers() {
			answer.Triggers = append(answer.Triggers, t.Name)
		}
		for _, placement := range set.Placements() {
			answer.Placements = append(answer.Placements, placement.Name)
		}
	}
	answer.OK = len(answer.Problems) == 0
	return answer, nil
}

func (p *program) printCheck(answer *checkAnswer, asJSON bool) error {
	if asJSON {
		if err := p.printJSON(answer); err != nil {
			return err
		}
	} else {
		for _, problem := range answer.Problems {
			fmt.Fprintln(p.stdout, engine.Problem(problem))
		}
		for _, warning := range answer.Warnings {
			fmt.Fprintln(p.stdout, "warning:", engine.Problem(warning))
		}
		if answer.OK {
			fmt.Fprintf(p.stdout, "ok: %d triggers, %d placements\n", len(answer.Triggers), len(answer.Placements))
		}
	}
	if !answer.OK {
		return errReported
	}
	return nil
}
