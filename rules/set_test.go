package rules

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestBuiltIn(t *testing.T) {
	s := BuiltIn()
	var names []string
	for _, trig := range s.Triggers() {
		names = append(names, trig.Name)
		t.Log(trig.Name, trig.Start, trig.Steps, trig.Priority, trig.File, trig.Line)
	}
	if want := []string{"abandoned_cart", "birthday", "viewed_item"}; !equal(names, want) {
		t.Fatalf("triggers %v, want %v", names, want)
	}
	var spots []string
	for _, p := range s.Placements() {
		spots = append(spots, p.Name)
	}
	if want := []string{"cart", "home", "product", "trending"}; !equal(spots, want) {
		t.Fatalf("placements %v, want %v", spots, want)
	}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for _, missing := range []string{filepath.Join(dir, "none"), dir} {
		s, err := Load(missing)
		if err != nil || len(s.Triggers()) != 3 || len(s.Placements()) != 4 {
			t.Fatalf("%s: %v, want what is built in", missing, err)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "triggers:\n  hello:\n    start: {event: Signed Up}\n    steps: [{send: {template: hello, channels: [webhook]}}]\n")
	write("notes.txt", "{")
	s, err := Load(dir)
	if err != nil || len(s.Triggers()) != 1 || len(s.Placements()) != 4 {
		t.Fatalf("%v, want one trigger and the built-in placements", err)
	}
	write("b.yaml", "triggers:\n  hello: {}\n")
	var problems Problems
	if _, err = Load(dir); !errors.As(err, &problems) || len(problems) != 1 {
		t.Fatalf("got %v, want one problem", err)
	}
}
