package rules

import (
	"os"
	"strings"
	"testing"
)

// TestReferenceIsInTheGuide keeps docs/triggers.md true; with -rewrite it
// writes the reference into it.
func TestReferenceIsInTheGuide(t *testing.T) {
	const name, mark = "../docs/triggers.md", "<!-- generated from the code: what follows is written by a test -->\n\n"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	guide, have, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatalf("%s has no place for the reference", name)
	}
	if have == Reference() {
		return
	}
	if !*rewrite {
		t.Fatalf("%s is not what the code reads: run the test with -rewrite", name)
	}
	if err := os.WriteFile(name, []byte(guide+mark+Reference()), 0o600); err != nil {
		t.Fatal(err)
	}
}
