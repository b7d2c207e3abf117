package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rapport-engine/rapport/engine"
)

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rapport",
		Short: "Real-time personalization for retailers with many channels",
		Long: `Rapport turns what customers do on the web, in the app, at the till and on the phone into one
profile each, sends the right message at the right moment, and answers what to recommend.

New here? Start with 'rapport demo'.`,
		Example: `  rapport demo                          see it work with a simulated retailer
  rapport serve                         start the server on 127.0.0.1:8080
  rapport check                         validate configuration and rules
  rapport test                          try the rules with scripts
  rapport replay events.jsonl           run recorded behaviour through it`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.AddCommand(p.demoCommand(), p.serveCommand(), p.initCommand(), p.replayCommand(), p.evalCommand(), p.checkCommand(), p.testCommand(), p.backtestCommand(), p.benchCommand(), p.versionCommand())
	return root
}

// runs makes a command's own code: errors from here on are no wrong usage.
func (p *program) runs(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.started = true
		return f(cmd, args)
	}
}

// configFlags binds --config and a flag for every key of the configuration.
// Only the keys named in shown are listed by --help.
type configFlags struct {
	file   string
	values map[string]*string // by path
	set    *pflag.FlagSet

	forgotten map[string]bool // by path
}

func newConfigFlags(cmd *cobra.Command, shown ...string) *configFlags {
	f := &configFlags{values: map[string]*string{}, set: cmd.Flags()}
	f.set.StringVar(&f.file, "config", "", "configuration `file` (default ./rapport.yaml if there is one)")
	visible := map[string]bool{}
	for _, path := range shown {
		visible[path] = true
	}
	for _, key := range engine.ConfigKeys() {
		value := new(string)
		f.values[key.Path] = value
		f.set.StringVar(value, key.Flag, "", key.Doc)
		flag := f.set.Lookup(key.Flag)
		flag.DefValue = key.Default
		flag.Hidden = !visible[key.Path]
		if key.Type == "true or false" {
			flag.NoOptDefVal = "true"
		}
	}
	cmd.Long += "\n\nEvery key of the configuration is a flag and an environment variable, too:\nkafka.brokers is --kafka-brokers and RAPPORT_KAFKA_BROKERS. See docs/configuration.md."
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	return f
}

// given reports whether a key's flag was set.
func (f *configFlags) given(path string) bool {
	for _, key := range engine.ConfigKeys() {
		if key.Path == path {
			return f.set.Changed(key.Flag)
		}
	}
	return false
}

// forget returns the value of a key's flag, which means something else to this
// command: load leaves it to the file and the environment.
func (f *configFlags) forget(path string) string {
	if f.forgotten == nil {
		f.forgotten = map[string]bool{}
	}
	f.forgotten[path] = true
	return *f.values[path]
}

// load reads the configuration from its file, the environment and the flags.
func (f *configFlags) load(env []string) (engine.Config, error) {
	flags := map[string]string{}
	for _, key := range engine.ConfigKeys() {
		if f.set.Changed(key.Flag) && !f.forgotten[key.Path] {
			flags[key.Path] = *f.values[key.Path]
		}
	}
	return engine.LoadConfig(f.file, env, flags)
}

// jsonFlag binds --json.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print one JSON document for scripts")
}

// printJSON writes one document to standard output.
func (p *program) printJSON(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the answer: %w", err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s\n", data)
	return err
}
