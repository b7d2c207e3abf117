package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTestCommand(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("rules", 0o750); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join("rules", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const script = "# A greeting.\n\nlog\n2026-06-01T10:00:00Z Hi @user:1\n----\n"
	run := func(code int, stdout, stderr string, args ...string) string {
		t.Helper()
		got := rapport(t, append([]string{"test"}, args...)...)
		if got.code != code || !strings.Contains(got.stdout, stdout) || !strings.Contains(got.stderr, stderr) {
			t.Errorf("test %v: exit %d, %q, %q; want %d, %q, %q", args, got.code, got.stdout, got.stderr, code, stdout, stderr)
		}
		return got.stdout
	}
	run(exitDone, "no scripts (*.test) in ./rules", "")
	write("hi.yaml", "triggers: {hi: {start: {event: Hi}, steps: [{send: {template: t, channels: [webhook]}}]}}\n")
	write("hi.test", script)
	run(exitFailed, "rules/hi.test:5: log prints something else\n  + 2026-06-01T10:00:00Z user:1 start hi\n", "")
	var answer testAnswer
	if err := json.Unmarshal([]byte(run(exitFailed, "", "", "rules", "--json")), &answer); err != nil || answer.OK || len(answer.Differences) != 1 {
		t.Errorf("%v %+v", err, answer)
	}
	run(exitDone, "ok: 1 commands in 1 scripts, 1 rewritten", "", "-rewrite", "rules")
	run(exitDone, "ok: 1 commands in 1 scripts", "")
	write("bad.test", "tick\n----\n")
	run(exitUsage, "", "rules/bad.test:1:6: tick needs a time")
	if err := json.Unmarshal([]byte(run(exitUsage, "", "", "--json")), &answer); err != nil || answer.OK || len(answer.Problems) != 1 {
		t.Errorf("%v %+v", err, answer)
	}
	write("bad.yaml", "triggers: {a: {start: {}}}\n")
	run(exitUsage, "", "rules/bad.yaml:1:")
	run(exitFailed, "", "nowhere", "nowhere")
	run(exitUsage, "", "accepts at most 1 arg", "a", "b")
}
