package rules

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata print, and the problems of testdata/bad")

// TestBad checks every problem of testdata/bad/*.yaml against its .problems file.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(map[string][]byte{filepath.Base(name): src})
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want problems", err)
			}
			golden := strings.TrimSuffix(name, ".yaml") + ".problems"
			got := problems.Error() + "\n"
			if *rewrite {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || got != string(want) {
				t.Errorf("%v\ngot:\n%swant:\n%s", err, got, want)
			}
		})
	}
}

func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(map[string][]byte{name: src}); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
	}
}

func TestRepeatedAcrossFiles(t *testing.T) {
	const text = "triggers:\n  a:\n    start: {event: A}\n    steps: [{send: {template: a, channels: [webhook]}}]\n"
	_, err := Parse(map[string][]byte{"a.yaml": []byte(text), "b.yaml": []byte(text)})
	if want := "b.yaml:2:3: trigger a is there already, at a.yaml:2"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n"} {
		s, err := Parse(map[string][]byte{"a.yaml": []byte(text)})
		if err != nil || len(s.Triggers()) != 3 {
			t.Errorf("%q: %v, want what is built in", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml", "builtin/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			src, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := Parse(map[string][]byte{"a.yaml": src})
		var problems Problems
		switch {
		case err == nil && s == nil:
			t.Fatal("neither rules nor problems")
		case err != nil && (!errors.As(err, &problems) || len(problems) == 0):
			t.Fatalf("got %v, want problems", err)
		}
	})
}
