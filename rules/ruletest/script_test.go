package ruletest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

const good = `# A cart.

log
2026-06-01T10:00:00Z Product Added @user:1 @anonymous:a #first {"product_id":"p1","name":"a } in \" quotes"} ; {"channel":"app"}

+1m-2h Product Viewed @user:1
----
2026-06-01T10:00:00Z user:1 start abandoned_cart

tick +1h
----
2026-06-01T10:30:00Z user:1 message abandoned_cart.1.c1c1c1c1c1c1c1c1 by webhook items p1 recommend cart 4

# The end.
`

func run(t *testing.T, text string) (*Result, error) {
	t.Helper()
	s, err := Parse("x.test", []byte(text))
	if err != nil {
		return nil, err
	}
	return s.Run(t.Context(), Options{Config: engine.DefaultConfig()})
}

func TestDifferencesAndRewrite(t *testing.T) {
	r, err := run(t, good)
	if err != nil {
		t.Fatal(err)
	}
	if r.Checks != 2 || len(r.Differences) != 1 {
		t.Fatalf("%d checks, differences %v", r.Checks, r.Differences)
	}
	d := r.Differences[0].String()
	for _, want := range []string{"x.test:12: tick +1h prints something else", "\n  - 2026-06-01T10:30:00Z user:1 message abandoned_cart.1.c1", "\n  + 2026-06-01T10:30:00Z"} {
		if !strings.Contains(d, want) {
			t.Errorf("%s\nis without %q", d, want)
		}
	}
	again, err := run(t, string(r.Text))
	if err != nil || len(again.Differences) != 0 {
		t.Errorf("%v %v after a rewrite to\n%s", err, again, r.Text)
	}
	if got, want := string(again.Text), string(r.Text); got != want {
		t.Errorf("a rewrite changes more:\n%s\nnot\n%s", got, want)
	}
	unchanged := strings.Split(good, "\n")
	for i, line := range strings.Split(string(r.Text), "\n") {
		if i != 11 && line != unchanged[i] {
			t.Errorf("line %d became %q", i+1, line)
		}
	}
}

func TestBadScripts(t *testing.T) {
	cases := map[string]string{
		"log\n2026-06-01T10:00:00Z A @user:1\n":                                "x.test:1:1: log has no ---- line",
		"wait 5\n----\n":                                                       "x.test:1:1: unknown command \"wait\": use one of catalog, ",
		"log now\n----\n":                                                      "x.test:1:5: log takes nothing on its line",
		"# c\n\nlog\n10:00 A @user:1\n----\n":                                  "x.test:4:1: an event begins with a time",
		"log\n2026-06-01T10:00:00Z A\n----\n":                                  "x.test:2:1: an event is written as",
		"log\n2026-06-01T10:00:00Z A @user\n----\n":                            "x.test:2:1: a customer is named as in @user:42",
		"log\n2026-06-01T10:00:00Z A @user:1 {\"a\":}\n----\n":                 "is no JSON object",
		"log\n2026-06-01T10:00:00Z A @user:1 {\"a\":1\n----\n":                 "is no JSON object",
		"log\n2026-06-01T10:00:00Z A @user:1 {} {}\n----\n":                    "what is \"{}\"",
		"log\n2026-06-01T10:00:00Z A @user:1 {} ; {} x\n----\n":                "what is \"x\"",
		"log\n2026-06-01T10:00:00Z-2 A @user:1\n----\n":                        "not \"2\"",
		"log\n2026-06-01T10:00:00Z A #m\n----\n":                               "x.test:2:1: an event is written as",
		"tick tomorrow\n----\n":                                                "x.test:1:6: tick needs a time",
		"tick +1x\n----\n":                                                     "x.test:1:6: tick needs a time",
		"tick +1h\n----\n":                                                     "x.test:1:1: the clock has not begun",
		"tick 2026-06-01T10:00:00Z\nmore\n----\n":                              "x.test:2:1: tick takes no input",
		"live 2026-06-02T10:00:00Z\n----\n\ntick 2026-06-01T10:00:00Z\n----\n": "x.test:4:1: 2026-06-01T10:00:00Z is before the clock",
		"profile 42\n----\n":                                                   "x.test:1:9: profile needs an identifier",
		"catalog\n{\"id\":\"\"}\n----\n":                                       "x.test:2:1: an item needs an \"id\"",
		"catalog\n{\"id\":\"a\",\"x\":1}\n----\n":                              "x.test:2:1: cannot read an item",
		"rules none.yaml\n----\n":                                              "x.test:1:1: cannot read rules",
		"rules\n\ntriggers: {a: {start: 1}}\n----\n":                           "x.test:3:",
		"config\ntimezone: Mars/Olympus\n----\n":                               "x.test:2:",
		"full\n----\n\nconfig\ncurrency: EUR\n----\n":                          "x.test:4:1: config must come before what happens",
	}
	for text, want := range cases {
		_, err := run(t, text)
		var problems rules.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	_, err := run(t, "a\n----\n\nb\n----\n\ntick\n----\n")
	var problems rules.Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Errorf("got %v", err)
	}
}

func TestFeedbackNamesTheLastMessage(t *testing.T) {
	r, err := run(t, `log
2026-06-01T10:00:00Z Product Added @user:1 {"product_id":"p1"}
----

tick +1h
----

log
+1m Message Opened @user:1 {"message_id":"$last"}
+1m Product Added @user:1 {"product_id":"p","price":-1}
----

profile user:1
----

profile user:2
----
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" opened\n", "dead letter invalid: properties", "nothing is known"} {
		if !strings.Contains(string(r.Text), want) {
			t.Errorf("%q is not in\n%s", want, r.Text)
		}
	}
}

func TestRunDir(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "triggers: {hello: {start: {event: Hi}, steps: [{send: {template: t, channels: [webhook]}}]}}\n")
	write("b.test", "log\n2026-06-01T10:00:00Z Hi @user:1\n----\n")
	report, err := RunDir(t.Context(), dir, engine.DefaultConfig(), false)
	if err != nil || report.Scripts != 1 || report.Checks != 1 || len(report.Differences) != 1 {
		t.Fatalf("%v %+v", err, report)
	}
	if report, err = RunDir(t.Context(), dir, engine.DefaultConfig(), true); err != nil || report.Rewritten != 1 {
		t.Fatalf("%v %+v", err, report)
	}
	if report, err = RunDir(t.Context(), dir, engine.DefaultConfig(), false); err != nil || len(report.Differences) != 0 {
		t.Fatalf("%v %+v", err, report)
	}
	write("c.test", "nonsense\n")
	var problems rules.Problems
	if _, err = RunDir(t.Context(), dir, engine.DefaultConfig(), true); !errors.As(err, &problems) {
		t.Errorf("got %v", err)
	}
	if _, err = RunDir(t.Context(), filepath.Join(dir, "none"), engine.DefaultConfig(), true); err == nil {
		t.Error("a directory that is not there passes")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("log\n+1h A @u:1 {\"a\\\":1}\n----\n\ntick +99999999w99999999w\n----\n"))
	f.Add([]byte("rules\ntriggers: {}\n----\n\ncatalog\n{\"id\":\"a\"}\n----\n\nlive 9999-12-31T23:59:59Z\n----\n\nlog\n+999999w a @a:b\n----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse("x.test", text)
		var problems rules.Problems
		if err != nil {
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("got %v, want problems", err)
			}
			return
		}
		for _, b := range s.blocks {
			if b.name == "rules" {
				return // names files
			}
		}
		r, err := s.Run(t.Context(), Options{Config: engine.DefaultConfig()})
		if err != nil {
			if !errors.As(err, &problems) {
				t.Fatal(err)
			}
			return
		}
		if _, err := Parse("x.test", r.Text); err != nil {
			t.Errorf("what was printed cannot be read: %v", err)
		}
	})
}
