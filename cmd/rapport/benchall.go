package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	benchrun "github.com/rapport-engine/rapport/bench/run"
)

// benchmarks are those that benchAllCommand runs, in order, and the flags that
// it passes on to only some of them.
var benchmarks = []string{"recommend", "mixed", "ingest", "pipeline", "e2e", "memory", "restart", "snapshots"}

// takes reports whether a benchmark knows a flag of all.
func takes(benchmark, flag string) bool {
	switch flag {
	case "sessions":
		return benchmark == "recommend" || benchmark == "mixed"
	case "events":
		return benchmark == "pipeline" || benchmark == "snapshots"
	case "html", "curves", "json":
		return false
	}
	return true
}

// benchAllCommand runs the others one after the other, in their default sizes
// where no flag says otherwise.
func (p *program) benchAllCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "all",
		Short: "All benchmarks, one after the other, and one table",
		Long: `Runs recommend, mixed, ingest, pipeline, e2e, memory, restart and snapshots, each in a process of its own, prints their tables,
and at the end one of everything that is promised. Flags that are not given are left to each benchmark.`,
		Example: `  rapport bench all
  rapport bench all --html report.html
  rapport bench all --items 1000 --profiles 5000 --sessions 1000 --events 20000 --duration 500ms   small and quick
  rapport bench all --json > today.json`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	set := cmd.Flags()
	set.Int("items", 0, "items of the catalogue")
	set.Int("profiles", 0, "customers")
	set.Int("sessions", 0, "sessions that the model has learned from")
	set.Int("events", 0, "events of a round of pipeline and snapshots")
	set.Int("rounds", 0, "rounds; the median of them is reported, with the range")
	set.Uint64("seed", 0, "what the invented shop is drawn from")
	set.Duration("duration", time.Duration(0), "length of one phase")
	html := set.String("html", "", "write a page with the tables, the latency curves and where the time goes to this `file`")
	curves := curvesFlag(cmd)
	cmd.RunE = p.runs(func(cmd *cobra.Command, _ []string) (err error) {
		pages, err := createAll(map[string]string{"html": *html})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, pages.close()) }()
		dir, err := os.MkdirTemp("", "rapport-bench-")
		if err != nil {
			return fmt.Errorf("cannot make a temporary directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		whole, err := p.benchParts(cmd, dir, *html != "", *asJSON)
		if err != nil {
			return err
		}
		if f := pages["html"]; f != nil {
			if err := writeWhole(f, whole, dir); err != nil {
				return err
			}
		}
		if *curves != "" {
			parts, err := whole.Parts()
			if err == nil {
				err = benchrun.WriteCurves(*curves, parts)
			}
			if err != nil {
				return err
			}
		}
		if *asJSON {
			return p.printJSON(whole)
		}
		fmt.Fprint(p.stdout, "ALL\n\n")
		return whole.WriteTable(p.stdout)
	})
	return cmd
}

// benchParts runs each benchmark; profiles go to dir where they are wanted.
func (p *program) benchParts(cmd *cobra.Command, dir string, profiles, quiet bool) (benchrun.Document, error) {
	whole := benchrun.Document{}
	for _, name := range benchmarks {
		args := []string{"bench", name, "--json"}
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if takes(name, f.Name) {
				args = append(args, "--"+f.Name, f.Value.String())
			}
		})
		if profiles {
			args = append(args, "--cpuprofile", filepath.Join(dir, name))
		}
		if !quiet {
			fmt.Fprintf(p.stdout, "%s\n\n", strings.ToUpper(name))
		}
		part, err := p.benchPart(cmd.Context(), args)
		if err != nil {
			return nil, err
		}
		whole.Join(part)
		if quiet {
			continue
		}
		if err := writePart(p, part, name); err != nil {
			return nil, err
		}
	}
	return whole, nil
}

// writePart prints the table of one benchmark.
func writePart(p *program, d benchrun.Document, name string) error {
	parts, err := benchrun.Document{name: d[name]}.Parts()
	for i := range parts {
		err = errors.Join(err, parts[i].Report.Write(p.stdout))
	}
	fmt.Fprintln(p.stdout)
	return err
}

// writeWhole writes a page of all, with the profiles in dir.
func writeWhole(f *os.File, whole benchrun.Document, dir string) error {
	parts, err := whole.Parts()
	if err != nil {
		return err
	}
	for i := range parts {
		if parts[i].Profile, err = os.ReadFile(filepath.Join(dir, parts[i].Title)); err != nil {
			return fmt.Errorf("cannot read a CPU profile: %w", err)
		}
	}
	table := benchrun.Part{Report: benchrun.Table{Document: whole}}
	return benchrun.WritePage(f, "rapport bench", append([]benchrun.Part{table}, parts...))
}

// benchPart runs one benchmark of all.
func (p *program) benchPart(ctx context.Context, args []string) (benchrun.Document, error) {
	var out bytes.Buffer
	if p.self == "" { // a test
		part := *p
		part.stdout = &out
		if code := part.run(ctx, args); code != exitDone {
			return nil, fmt.Errorf("cannot run `rapport %s`: exit %d", strings.Join(args, " "), code)
		}
	} else {
		child := exec.CommandContext(ctx, p.self, args...)
		child.Stdout, child.Stderr = &out, p.stderr
		if err := child.Run(); err != nil {
			return nil, fmt.Errorf("cannot run `rapport %s`: %w", strings.Join(args, " "), err)
		}
	}
	d, err := benchrun.ReadDocument(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("cannot run `rapport %s`: its answer %w", strings.Join(args, " "), err)
	}
	return d, nil
}

func (p *program) benchCompareCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compare OLD.json NEW.json",
		Short: "What got better or worse between two measurements",
		Long: `Compares two documents of 'rapport bench ... --json'. A figure is better or worse where the ranges of its rounds do
not overlap; one that has no rounds, where it differs by more than 5 %. Exits with 1 where something got worse.`,
		Example: `  rapport bench all --json > new.json
  rapport bench compare old.json new.json`,
		Args: cobra.ExactArgs(2),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.runs(func(_ *cobra.Command, args []string) error {
		var documents [2]benchrun.Document
		for i, name := range args {
			data, err := os.ReadFile(name)
			if err != nil {
				return usagef("cannot read a measurement: %v", err)
			}
			if documents[i], err = benchrun.ReadDocument(data); err != nil {
				return usagef("%s %v", name, err)
			}
		}
		c, err := benchrun.Compare(documents[0], documents[1])
		if err != nil {
			return usagef("cannot compare: %v", err)
		}
		if *asJSON {
			err = p.printJSON(c)
		} else {
			err = c.Write(p.stdout)
		}
		if err == nil && c.Worse > 0 {
			return errDiffers
		}
		return err
	})
	return cmd
}
