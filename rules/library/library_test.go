package library_test

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/rules/library"
	"github.com/rapport-engine/rapport/rules/ruletest"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print now into them")

func TestScripts(t *testing.T) {
	report, err := ruletest.RunDir(t.Context(), ".", engine.DefaultConfig(), *rewrite)
	if err != nil {
		t.Fatal(err)
	}
	for i := range report.Differences {
		t.Error(report.Differences[i].String())
	}
	if want := len(library.Names()); report.Scripts != want {
		t.Errorf("%d scripts of %d files", report.Scripts, want)
	}
}

// What waits, and has a condition, must show one that turns false meanwhile.
var (
	waits      = regexp.MustCompile(`wait:|until:`)
	conditions = regexp.MustCompile(`(?m)^    while:|channels: .*,\s* if: `)
)

// transactional triggers are told whatever consents, caps and holdouts say.
var transactional = []string{"order_status"}

// TestEachFileIsExplainedAndShown checks that every file begins with an
// explanation and that its script shows each way that a run can end.
func TestEachFileIsExplainedAndShown(t *testing.T) {
	for _, name := range append(library.Names(), library.Policy) {
		text := read(t, name+".yaml")
		if comment := regexp.MustCompile(`^(# .*\n)+`).FindString(text); strings.Count(comment, " ") < 15 {
			t.Errorf("%s.yaml begins with no explanation: %q", name, comment)
		}
	}
	for _, name := range library.Names() {
		script := read(t, name+".test")
		for _, part := range []string{"# The plain case.", "# Quiet hours", "# A cap of one message a day", "# No consent", "# Held out", "# Re-entry"} {
			if !strings.Contains(script, part) {
				t.Errorf("%s.test has no part %q", name, part)
			}
		}
		if slices.Contains(transactional, name) {
			continue
		}
		reasons := []string{"capped", "no_consent", "holdout"}
		if text := read(t, name+".yaml"); waits.MatchString(text) && conditions.MatchString(text) {
			reasons = append(reasons, "condition")
		}
		for _, reason := range reasons {
			if !regexp.MustCompile(`not sent \S+ (` + reason + `)\n`).MatchString(script) {
				t.Errorf("%s.test shows no message that was not sent by reason %s", name, reason)
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name) //nolint:gosec // a file of the library
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEverythingTogetherIsValid(t *testing.T) {
	set, err := rules.Load(".")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(set.Triggers()), len(library.Names()); got < want {
		t.Errorf("%d triggers of %d files", got, want)
	}
	for _, name := range library.Starter() {
		if !slices.Contains(library.Names(), name) {
			t.Errorf("the starter names %s, which there is not", name)
		}
	}
}

func TestFiles(t *testing.T) {
	files := library.Files([]string{"birthday"})
	for _, name := range []string{"birthday.yaml", "birthday.test", "policy.yaml"} {
		if len(files[name]) == 0 {
			t.Errorf("no %s", name)
		}
	}
	if len(files) != 3 {
		t.Errorf("%d files", len(files))
	}
}
