package ruletest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

// Report is what the scripts of a directory did.
type Report struct {
	Scripts     int          `json:"scripts"`
	Checks      int          `json:"checks"`      // commands
	Differences []Difference `json:"differences"` // never nil
	Rewritten   int          `json:"rewritten"`   // scripts
}

// RunDir runs the scripts in dir and below, in order, each with the rules in
// dir and the configuration. With rewrite, each script gets what it prints now
// instead of what it expected. An error that is rules.Problems tells all that
// is wrong in the rules and the scripts, and then nothing has been rewritten
// that is wrong.
func RunDir(ctx context.Context, dir string, cfg engine.Config, rewrite bool) (*Report, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("cannot test rules in %q: %w", dir, errors.Join(err, fs.ErrNotExist))
	}
	set, err := rules.Load(dir)
	if err != nil {
		return nil, err
	}
	names, err := scripts(dir)
	if err != nil {
		return nil, err
	}
	report := &Report{Scripts: len(names), Differences: []Difference{}}
	var wrong rules.Problems
	for _, name := range names {
		err := report.file(ctx, name, Options{Config: cfg, Rules: set}, rewrite)
		var problems rules.Problems
		if errors.As(err, &problems) {
			wrong = append(wrong, problems...)
		} else if err != nil {
			return nil, err
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return report, nil
}

// scripts lists the scripts in dir and below, in order.
func scripts(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && filepath.Ext(name) == Extension {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot look for scripts: %w", err)
	}
	return names, nil
}

func (r *Report) file(ctx context.Context, name string, opts Options, rewrite bool) error {
	text, err := os.ReadFile(name) //nolint:gosec // one of the directory's
	if err != nil {
		return fmt.Errorf("cannot read a script: %w", err)
	}
	s, err := Parse(name, text)
	if err != nil {
		return err
	}
	result, err := s.Run(ctx, opts)
	if err != nil {
		return err
	}
	r.Checks += result.Checks
	if !rewrite {
		r.Differences = append(r.Differences, result.Differences...)
		return nil
	}
	if len(result.Differences) == 0 {
		return nil
	}
	r.Rewritten++
	if err := os.WriteFile(name, result.Text, 0o644); err != nil { //nolint:gosec // a script is no secret
		return fmt.Errorf("cannot rewrite a script: %w", err)
	}
	return nil
}
