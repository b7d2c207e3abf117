package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInitWritesWhatPasses(t *testing.T) {
	for _, args := range [][]string{{"init"}, {"init", "--all"}} {
		t.Chdir(t.TempDir())
		if got := rapport(t, args...); got.code != exitDone || !strings.Contains(got.stdout, "rules/abandoned_cart.yaml\n") {
			t.Fatalf("%v: exit %d, %q, %q", args, got.code, got.stdout, got.stderr)
		}
		if got := rapport(t, "check"); got.code != exitDone {
			t.Errorf("%v: check: exit %d, %q", args, got.code, got.stdout)
		}
		if got := rapport(t, "test"); got.code != exitDone || !strings.HasPrefix(got.stdout, "ok: ") {
			t.Errorf("%v: test: exit %d, %q, %q", args, got.code, got.stdout, got.stderr)
		}
	}
}

func TestInitOverwritesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("a/rules", 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/rapport.yaml", "a/rules/mine.yaml", "a/rules/birthday.test"} {
		write(t, name, "# mine\n")
		if got := rapport(t, "init", "a"); got.code != exitFailed || !strings.Contains(got.stderr, "nothing was written") {
			t.Errorf("%s: exit %d, %q", name, got.code, got.stderr)
		}
		if text, err := os.ReadFile(name); err != nil || string(text) != "# mine\n" {
			t.Errorf("%s: %v %q", name, err, text)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if left, err := filepath.Glob("a/*.yaml"); err != nil || len(left) > 0 {
			t.Errorf("%v %v", err, left)
		}
	}
	if got := rapport(t, "init", "a"); got.code != exitDone {
		t.Errorf("exit %d, %q", got.code, got.stderr)
	}
	if got := rapport(t, "init", "a"); got.code != exitFailed {
		t.Errorf("again: exit %d, %q", got.code, got.stderr)
	}
}
