package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rapport-engine/rapport/rules/library"
)

//go:embed starter/rapport.yaml
var starterConfig []byte

func (p *program) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a configuration and rules to start from",
		Long: `Writes rapport.yaml and a directory of rules, each with a comment that explains it and a script that shows
what it does, into DIR or here. Nothing that is there is overwritten: where one of the files exists, or there
are rules already, nothing is written. Then 'rapport check' and 'rapport test' say whether all is well, and
'rapport serve' runs it.`,
		Example: `  rapport init
  rapport init shop --all`,
		Args: cobra.MaximumNArgs(1),
	}
	all := cmd.Flags().Bool("all", false, "write every trigger of the library, not only those that suit every shop")
	cmd.RunE = p.runs(func(_ *cobra.Command, args []string) error {
		dir := "."
		if len(args) > 0 {
			dir = args[0]
		}
		names := library.Starter()
		if *all {
			names = library.Names()
		}
		return p.writeStarter(dir, names)
	})
	return cmd
}

func (p *program) writeStarter(dir string, names []string) error {
	files := map[string][]byte{"rapport.yaml": starterConfig}
	for name, text := range library.Files(names) {
		files[filepath.Join("rules", name)] = text
	}
	if err := untouched(dir, files); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "rules"), 0o755); err != nil { //nolint:gosec // others may read rules
		return fmt.Errorf("cannot make a directory for rules: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := create(filepath.Join(dir, name), files[name]); err != nil {
			return err
		}
		fmt.Fprintln(p.stdout, filepath.Join(dir, name))
	}
	fmt.Fprintf(p.stdout, "\nnext, in %s: rapport check, rapport test, rapport serve\n", dir)
	return nil
}

// untouched refuses a directory that has one of the files, or rules already.
func untouched(dir string, files map[string][]byte) error {
	own, err := filepath.Glob(filepath.Join(dir, "rules", "*.yaml"))
	if err != nil {
		return fmt.Errorf("cannot look into %q: %w", dir, err)
	}
	if len(own) > 0 {
		return fmt.Errorf("%s has rules already; nothing was written", filepath.Join(dir, "rules"))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already; nothing was written", filepath.Join(dir, name))
		}
	}
	return nil
}

// create writes a file that must not be there.
func create(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // the user names the directory; others may read rules
	if err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write %q: %w", path, err)
	}
	return nil
}
