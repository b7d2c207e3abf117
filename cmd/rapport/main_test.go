package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// result is what one run of the program gave.
type result struct {
	code           int
	stdout, stderr string
}

func rapport(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	code := p.run(t.Context(), args)
	return result{code, out.String(), errs.String()}
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"", exitDone, ""},
		{"--help", exitDone, ""},
		{"nonsense", exitUsage, `unknown command "nonsense"`},
		{"version more", exitUsage, "run 'rapport version --help'"},
		{"version --loud", exitUsage, "unknown flag: --loud"},
		{"check --partitions", exitUsage, "flag needs an argument"},
		{"check --config missing.yaml", exitUsage, ""}, // on standard output, as every problem
	} {
		got := rapport(t, strings.Fields(c.args)...)
		if got.code != c.code || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("rapport %s: exit %d, stderr %q", c.args, got.code, got.stderr)
		}
		if c.code == exitDone && !strings.Contains(got.stdout, "rapport demo") {
			t.Errorf("rapport %s: %q", c.args, got.stdout)
		}
	}
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	p := &program{}
	for _, cmd := range p.root().Commands() {
		if cmd.Short == "" || cmd.Example == "" {
			t.Errorf("%s: no description or no example", cmd.Name())
		}
		got := rapport(t, cmd.Name(), "--help")
		if got.code != exitDone || !strings.Contains(got.stdout, "Examples:") {
			t.Errorf("%s --help: exit %d, %q", cmd.Name(), got.code, got.stdout)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := rapport(t, "completion", shell); got.code != exitDone || !strings.Contains(got.stdout, "rapport") {
			t.Errorf("completion %s: exit %d %s", shell, got.code, got.stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	if got := rapport(t, "version"); got.code != exitDone || !strings.HasPrefix(got.stdout, "rapport ") {
		t.Errorf("version: %+v", got)
	}
	var v versionAnswer
	got := rapport(t, "version", "--json")
	if err := json.Unmarshal([]byte(got.stdout), &v); err != nil || v.Version == "" || v.Go == "" {
		t.Errorf("version --json: %v %+v", err, got)
	}
}

func TestCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := rapport(t, "check"); got.code != exitDone || !strings.HasPrefix(got.stdout, "ok: ") {
		t.Fatalf("defaults: %+v", got)
	}
	write(t, "rapport.yaml", "partitions: 0\nlisten: nowhere\nsilo: 1\n")
	got := rapport(t, "check")
	want := "rapport.yaml:1:13: partitions: must be 1 to 1024, not 0\n" +
		"rapport.yaml:2:9: listen: must be host:port such as 127.0.0.1:8080, not \"nowhere\"\n" +
		"rapport.yaml:3:1: silo: unknown key; allowed here: listen "
	if got.code != exitUsage || !strings.HasPrefix(got.stdout, want) {
		t.Errorf("problems: %+v", got)
	}
	got = rapport(t, "check", "--json")
	var answer checkAnswer
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil {
		t.Fatal(err)
	}
	if got.code != exitUsage || answer.OK || len(answer.Problems) != 3 || answer.Problems[0].Line != 1 {
		t.Errorf("problems as JSON: %+v", got)
	}
}

func TestCheckWarnsOfUnsignedIdentifiers(t *testing.T) {
	t.Chdir(t.TempDir())
	got := rapport(t, "check", "--listen", "0.0.0.0:80", "--keys-admin", "a", "--keys-write=w")
	if got.code != exitDone || !strings.Contains(got.stdout, "warning: identity_secret: is empty") {
		t.Errorf("%+v", got)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
