package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version that the linker was told (-X main.release=v1.2.3), for builds
// that do not see the repository; "" leaves it to the build information.
var release string

// versionAnswer is the document of version --json.
type versionAnswer struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source; empty when it is not known
	Modified bool   `json:"modified"` // built from changed source
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (p *program) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built from",
		Example: `  rapport version
  rapport version --json`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.runs(func(*cobra.Command, []string) error {
		v := version()
		if *asJSON {
			return p.printJSON(v)
		}
		line := "rapport " + v.Version
		if v.Revision != "" {
			line += " (" + v.Revision + ")"
		}
		_, err := fmt.Fprintf(p.stdout, "%s %s %s\n", line, v.Go, v.Platform)
		return err
	})
	return cmd
}

func version() versionAnswer {
	v := versionAnswer{Version: cmp.Or(release, "devel"), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if release == "" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
