package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mutation makes valid rules invalid at each place that a pattern matches.
type mutation struct {
	name    string
	pattern *regexp.Regexp
	with    string
}

// keywords are keys of the language that stand in no place where names are free.
const keywords = `start|restart|while|exit|steps|wait|send|template|channels|items|recommend|placement|limit|reentry|priority|goal|within|until|else|then|coupon|expire|offset|strategies|exclude|hours|quiet_hours|caps|times|per|variants|transactional|late|state|suppress|when_capped|diversity`

var mutations = []mutation{
	{"an unknown key", regexp.MustCompile(`\b(` + keywords + `):`), "${1}x:"},
	{"a key in capitals", regexp.MustCompile(`\b(start|steps|send|template|channels|reentry|within|goal|wait):`), "THE_$1:"},
	{"a duration in words", regexp.MustCompile(`\b(within|reentry|idle|per|expire|wait|late): ["']?[0-9]+[smhdw]["']?`), "$1: soon"},
	{"a duration without a unit", regexp.MustCompile(`\b(within|reentry|idle|per|expire|wait|late): ["']?([0-9]+)[smhdw]["']?([,}]|\n)`), "$1: $2$3"},
	{"a duration below zero", regexp.MustCompile(`\b(within|reentry|idle|per|expire|wait|late): ["']?([0-9]+[smhdw])["']?`), "$1: -$2"},
	{"a list for a number", regexp.MustCompile(`\b(priority|at_most|limit|times): [0-9]+`), "$1: [1, 2]"},
	{"a word for a number", regexp.MustCompile(`\b(priority|at_most|limit|times): [0-9]+`), "$1: many"},
	{"a word for true", regexp.MustCompile(`\b(restart|transactional): true`), "$1: sure"},
	{"a name that is not known", regexp.MustCompile(`\b(profile|event|session|order|item|catalog)([.(])`), "no_such_$1$2"},
	{"a field that is not known", regexp.MustCompile(`\b(profile|session)\.([a-z_]+)`), "$1.no_such_$2"},
	{"a condition cut short", regexp.MustCompile(`\b(if|while): "([^"]+)"`), `$1: "$2 &&"`},
	{"a condition that is a number", regexp.MustCompile(`\b(if|while): "([^"]+)"`), `$1: "1 + 2"`},
	{"a condition that is no text", regexp.MustCompile(`\b(if|while): "([^"]+)"`), `$1: [a, b]`},
	{"an empty condition", regexp.MustCompile(`\b(if|while): "([^"]+)"`), `$1: ""`},
	{"a condition with a tag", regexp.MustCompile(`\b(if|while): "([^"]+)"`), `$1: !has(x)`},
	{"a bracket that is not closed", regexp.MustCompile(`\b(if|while): "([^"]+)"`), `$1: "($2"`},
	{"a quote that is not closed", regexp.MustCompile(`\b(if|while): "([^"]+)"`), `$1: "$2`},
	{"an empty list", regexp.MustCompile(`\b(channels|steps|event): \[[^\[\]]*\]`), "$1: []"},
	{"a map for a list", regexp.MustCompile(`\b(channels): \[[^\[\]]*\]`), "$1: {a: 1}"},
	{"a tab", regexp.MustCompile(`(?m)^    (start|steps|while|exit|reentry|priority):`), "\t$1:"},
	{"a brace that is not closed", regexp.MustCompile(`(?m)\}$`), ""},
	{"a key that comes twice", regexp.MustCompile(`(?m)^(    (reentry|priority): .*)$`), "$1\n$1"},
	{"steps without a list", regexp.MustCompile(`(?m)^    steps:$`), "    steps: nothing\n    more:"},
	{"an alias to nothing", regexp.MustCompile(`\b(template): [a-z_]+`), "$1: *nobody"},
	{"a binary value", regexp.MustCompile(`\b(template|placement): [a-z_]+`), "$1: !!binary aGVsbG8="},
	{"a time of day that is none", regexp.MustCompile(`\b(at|from|to): "[0-9:]+"`), `$1: "25:99"`},
	{"a source of items that is none", regexp.MustCompile(`\bitems: (cart|event|order|run|viewed)`), "items: wishes"},
	{"a placement that is none", regexp.MustCompile(`placement: (home|cart|product)`), "placement: nowhere_$1"},
}

// invalidRules are whole files, by what is wrong.
var invalidRules = map[string]string{
	"a text":                         "just words\n",
	"a list":                         "- a\n- b\n",
	"a number":                       "42\n",
	"nul":                            "triggers:\x00 {}\n",
	"no UTF-8":                       "triggers: \xff\xfe\n",
	"a section that is none":         "rules: {}\n",
	"triggers as a list":             "triggers: [a, b]\n",
	"a trigger as a text":            "triggers: {a: b}\n",
	"a trigger without anything":     "triggers: {a: {}}\n",
	"a trigger with null":            "triggers: {a: null}\n",
	"no start":                       "triggers: {a: {steps: [{send: {template: t, channels: [email]}}]}}\n",
	"no steps":                       "triggers: {a: {start: {event: A}}}\n",
	"no template":                    "triggers: {a: {start: {event: A}, steps: [{send: {channels: [email]}}]}}\n",
	"no channels":                    "triggers: {a: {start: {event: A}, steps: [{send: {template: t}}]}}\n",
	"no send":                        "triggers: {a: {start: {event: A}, steps: [{wait: 1h}]}}\n",
	"two starts":                     "triggers: {a: {start: {event: A, date: birthday}, steps: [{send: {template: t, channels: [email]}}]}}\n",
	"two steps in one":               "triggers: {a: {start: {event: A}, steps: [{wait: 1h, send: {template: t, channels: [email]}}]}}\n",
	"then without if":                "triggers: {a: {start: {event: A}, steps: [{wait: 1h, then: []}]}}\n",
	"until without within":           "triggers: {a: {start: {event: A}, steps: [{until: {event: B}}, {send: {template: t, channels: [email]}}]}}\n",
	"a name with a space":            "triggers: {'a b': {start: {event: A}, steps: [{send: {template: t, channels: [email]}}]}}\n",
	"a name that is too long":        "triggers: {" + strings.Repeat("a", 65) + ": {start: {event: A}, steps: [{send: {template: t, channels: [email]}}]}}\n",
	"a date with no trait":           "triggers: {a: {start: {date: ''}, steps: [{send: {template: t, channels: [email]}}]}}\n",
	"a coupon that is none":          "triggers: {a: {start: {event: A}, steps: [{send: {template: t, channels: [email], coupon: c}}]}}\n",
	"a cap of nothing":               "policy: {caps: [{}]}\n",
	"a holdout of two":               "policy: {holdout: 2}\n",
	"a share below zero":             "policy: {holdout: -0.5}\n",
	"a share that is no number":      "policy: {holdout: .nan}\n",
	"quiet hours without an end":     "policy: {quiet_hours: {from: '21:00'}}\n",
	"a consent of maybe":             "policy: {consent: {email: maybe}}\n",
	"two documents":                  "triggers: {}\n---\ntriggers: {}\n",
	"a key that is a list":           "? [a, b]\n: c\n",
	"merging keys":                   "a: &a {x: 1}\ntriggers: {<<: *a}\n",
	"an alias of itself":             "triggers: &t {a: *t}\n",
	"a laugh":                        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ntriggers: *d\n",
	"a deep list":                    "triggers: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n",
	"a deep map":                     "triggers: " + strings.Repeat("{a: ", 3000) + strings.Repeat("}", 3000) + "\n",
	"a deep condition":               condition(strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000)),
	"a deep not":                     condition(strings.Repeat("!", 100000) + "true"),
	"a long condition":               condition(strings.Repeat("true && ", 50000) + "true"),
	"a condition with a list":        condition("[1, 2].exists(x"),
	"a macro too many":               condition("profile.viewed.exists(a, a.nothing == 1)"),
	"a call too many":                condition("exec('rm')"),
	"a wrong comparison":             condition("profile.known == 'yes'"),
	"a wrong sum":                    condition("now + now > now"),
	"a wrong type":                   condition("profile.id + 1 == 2"),
	"an assignment":                  condition("profile.id = 'a'"),
	"python's and":                   condition("profile.known and true"),
	"a bad regular expression":       condition("profile.id.matches('(')"),
	"too many variants":              "triggers: {a: {start: {event: A}, steps: [{send: {template: t, channels: [email], variants: {a: 0.7, b: 0.7}}}]}}\n",
	"a placement without a strategy": "placements: {home: {}}\n",
	"a strategy that is none":        "placements: {home: {strategies: [magic]}}\n",
	"a filter that does not compile": "placements: {home: {strategies: [session], filter: 'item.nothing > 1'}}\n",
	"a filter on a customer":         "placements: {home: {strategies: [session], filter: 'profile.known'}}\n",
}

func condition(text string) string {
	return "triggers: {a: {start: {event: A, if: " + strconv.Quote(text) + "}, steps: [{send: {template: t, channels: [email]}}]}}\n"
}

// mutants makes invalid files of the valid ones in the repository: name to
// text.
func mutants(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"../../rules/library/*.yaml", "../../rules/builtin/*.yaml", "../../rules/testdata/good/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(names))
		}
		for _, name := range names {
			text, err := os.ReadFile(name) //nolint:gosec // a file of the repository
			if err != nil {
				t.Fatal(err)
			}
			mutate(all, filepath.Base(name), withoutComments(string(text)))
		}
	}
	return all
}

// withoutComments leaves the lines that say something.
func withoutComments(text string) string {
	text = regexp.MustCompile(`(?m)^ *#.*\n`).ReplaceAllString(text, "")
	return regexp.MustCompile(`(?m) +# .*$`).ReplaceAllString(text, "")
}

func mutate(all map[string]string, name, text string) {
	for _, m := range mutations {
		for i, at := range m.pattern.FindAllStringSubmatchIndex(text, -1) {
			if free := strings.LastIndex(text[:at[0]], "data: {"); free >= 0 && !strings.Contains(text[free:at[0]], "}") && m.pattern == mutations[0].pattern {
				continue // names in a send's data are free
			}
			mutant := text[:at[0]] + string(m.pattern.ExpandString(nil, m.with, text, at)) + text[at[1]:]
			all[fmt.Sprintf("%s, %s, place %d", name, m.name, i+1)] = mutant
		}
	}
}

var problemLine = regexp.MustCompile(`^rules[/\\]a\.yaml:([0-9]+):([0-9]+): \S.{3,}$`)

// TestInvalidRulesAreRefused gives `check` hundreds of invalid files: each is
// refused, every problem with its line and column.
func TestInvalidRulesAreRefused(t *testing.T) {
	t.Setenv("RAPPORT_DATA", "")
	all := map[string]string{}
	mutants := mutants(t)
	for i, name := range slices.Sorted(maps.Keys(mutants)) {
		if i%3 == 0 { // enough: there are many of each kind
			all[name] = mutants[name]
		}
	}
	made := len(all)
	for name, text := range invalidRules {
		all[name] = text
	}
	if made < 450 || len(all) < 500 {
		t.Errorf("%d files were made, %d in all", made, len(all))
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("rules", 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range all {
		write(t, "rules/a.yaml", text)
		got := rapport(t, "check")
		if got.code != exitUsage {
			t.Errorf("%s: exit %d, %s%s\n%.600s", name, got.code, got.stdout, got.stderr, text)
			continue
		}
		lines := strings.Split(text, "\n")
		for line := range strings.Lines(got.stdout) {
			m := problemLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				t.Errorf("%s: %q has no file, line and column", name, line)
				continue
			}
			at, _ := strconv.Atoi(m[1])
			column, _ := strconv.Atoi(m[2])
			if at < 1 || at > len(lines) || column < 1 || column > len(lines[at-1])+1 {
				t.Errorf("%s: %q is outside of the file", name, line)
			}
		}
		if got.stdout == "" {
			t.Errorf("%s: nothing says what is wrong: %s", name, got.stderr)
		}
	}
}
