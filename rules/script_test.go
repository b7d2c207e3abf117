package rules_test

import (
	"flag"
	"testing"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules/ruletest"
)

// TestScripts runs testdata/runs; with -rewrite it writes what they print.
func TestScripts(t *testing.T) {
	rewrite := flag.Lookup("rewrite").Value.String() == "true"
	report, err := ruletest.RunDir(t.Context(), "testdata/runs", engine.DefaultConfig(), rewrite)
	if err != nil {
		t.Fatal(err)
	}
	if report.Checks == 0 {
		t.Error("no scripts")
	}
	for _, d := range report.Differences {
		t.Error(d.String())
	}
}
