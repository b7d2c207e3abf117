package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestEval(t *testing.T) {
	t.Chdir(t.TempDir())
	var rows strings.Builder
	for n := range 20 {
		fmt.Fprintf(&rows, "%d\ta\t%d\n%d\tb\t%d\n", n, 1000+n, n, 1001+n)
	}
	write(t, "train.txt", rows.String())
	write(t, "test.txt", rows.String())
	got := rapport(t, "eval", "--protocol", "serenade", "--k", "5", "--json", ".", "--set", "Depth=64", "--set", "Recency=1.5")
	var report struct {
		Policy  string
		Results map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.code != exitDone {
		t.Fatalf("exit %d: %v: %s", got.code, err, got.stderr)
	}
	for _, m := range []string{"rapport", "vmis", "vsknn", "sr", "pop"} {
		ci, _ := report.Results[m]["ci"].(map[string]any)
		bounds, _ := ci["hr@5"].([]any)
		if report.Results[m]["hr@5"] != 1.0 || len(bounds) != 2 {
			t.Errorf("%s: %v", m, report.Results[m])
		}
	}
	if got := rapport(t, "eval", "--protocol", "serenade", "--models", "sr", "."); !strings.Contains(got.stdout, "current item excluded") || strings.Contains(got.stdout, "pop\t") {
		t.Errorf("got %s", got.stdout)
	}
	for _, wrong := range []string{
		"--protocol x .", ".", "--protocol serenade --repeats no .", "--protocol serenade --set Depth .", "--protocol serenade --set No=1 .",
		"--protocol serenade --models best .", "--protocol srgnn --live .", "--protocol serenade",
	} {
		if got := rapport(t, append([]string{"eval"}, strings.Fields(wrong)...)...); got.code != exitUsage || got.stderr == "" {
			t.Errorf("%s: exit %d: %s", wrong, got.code, got.stderr)
		}
	}
	if got := rapport(t, "eval", "--protocol", "serenade", "none"); got.code != exitFailed || !strings.Contains(got.stderr, "cannot open data set") {
		t.Errorf("no directory: exit %d: %s", got.code, got.stderr)
	}
}
