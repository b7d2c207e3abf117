package ruletest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// Options are what a script runs with until it says something else.
type Options struct {
	Config engine.Config // time zone, currency, region and so on
	Rules  *rules.Set    // nil: built in
}

// Difference is a command that printed something else than was expected.
type Difference struct {
	File    string   `json:"file"`
	Line    int      `json:"line"` // of the first line that differs
	Command string   `json:"command"`
	Want    []string `json:"want"`
	Got     []string `json:"got"`
}

// String is "file:line: ..." and the lines that differ, a "-" before those
// expected, a "+" before those printed.
func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: %s prints something else", d.File, d.Line, d.Command)
	want, got := d.Want, d.Got
	for len(want) > 0 && len(got) > 0 && want[0] == got[0] {
		want, got = want[1:], got[1:]
	}
	for len(want) > 0 && len(got) > 0 && want[len(want)-1] == got[len(got)-1] {
		want, got = want[:len(want)-1], got[:len(got)-1]
	}
	for _, line := range want {
		b.WriteString("\n  - " + line)
	}
	for _, line := range got {
		b.WriteString("\n  + " + line)
	}
	return b.String()
}

// Result is what a script did.
type Result struct {
	Checks      int // commands
	Differences []Difference
	Text        []byte // the script with what it printed now
}

// Run runs the script. An error is rules.Problems for what only shows when it
// runs: rules that are not valid, a time before the clock.
func (s *Script) Run(ctx context.Context, opts Options) (*Result, error) {
	w := &world{file: s.file, cfg: opts.Config, set: opts.Rules}
	w.cfg.Partitions = 1 // one clock for everybody
	r := &Result{}
	var text bytes.Buffer
	for _, b := range s.blocks {
		w.out = nil
		if err := w.run(ctx, b); err != nil {
			return nil, err
		}
		r.Checks++
		if !slices.Equal(w.out, b.output) {
			r.Differences = append(r.Differences, difference(s.file, b, w.out))
		}
		b.write(&text, w.out)
	}
	writeLines(&text, s.tail)
	r.Text = text.Bytes()
	return r, nil
}

func difference(file string, b *block, got []string) Difference {
	same := 0
	for same < len(got) && same < len(b.output) && got[same] == b.output[same] {
		same++
	}
	d := Difference{File: file, Line: b.printed + same, Command: strings.TrimSpace(b.name + " " + b.arg), Want: b.output, Got: got}
	if len(b.output) == 0 { // there is no such line: the ----
		d.Line = b.printed - 1
	}
	return d
}

// write writes the block with what it printed.
func (b *block) write(text *bytes.Buffer, output []string) {
	if text.Len() > 0 && (len(b.before) == 0 || strings.TrimSpace(b.before[0]) != "") {
		text.WriteByte('\n')
	}
	writeLines(text, b.before)
	fmt.Fprintln(text, strings.TrimSpace(b.name+" "+b.arg))
	writeLines(text, b.input)
	fmt.Fprintln(text, "----")
	writeLines(text, output)
}

func writeLines(text *bytes.Buffer, lines []string) {
	for _, line := range lines {
		text.WriteString(line)
		text.WriteByte('\n')
	}
}

// world is what a script runs in: a log with one partition.
type world struct {
	file   string
	cfg    engine.Config
	set    *rules.Set
	fold   *engine.Fold // made by the first command that needs it
	now    int64        // the clock, Unix ms
	live   bool
	events int
	last   string // id of the last message
	full   bool
	out    []string // what the command in hand printed
}

func (w *world) problem(line int, format string, args ...any) error {
	return rules.Problems{{File: w.file, Line: line, Column: 1, Text: fmt.Sprintf(format, args...)}}
}

func (w *world) run(ctx context.Context, b *block) error {
	switch b.name {
	case "config":
		return w.config(b)
	case "rules":
		return w.rules(b)
	case "new":
		*w = world{file: w.file, cfg: w.cfg, set: w.set}
		return nil
	}
	if w.fold == nil {
		w.fold = engine.NewFold(w.cfg, engine.FoldOptions{Rules: w.set, Watch: w.turn, DeadLetter: w.letter})
	}
	switch b.name {
	case "catalog":
		return w.fold.PutItems(ctx, b.items)
	case "log":
		return w.log(ctx, b)
	case "live":
		w.live = true
		return w.tick(ctx, b.line, b.moment)
	case "tick":
		return w.tick(ctx, b.line, b.moment)
	case "restart":
		w.fold.Restart()
	case "full":
		w.full = true
	case "profile":
		w.profile(b.who)
	case "decisions":
		w.decisions(b.who)
	default:
		panic("BUG: no such command: " + b.name)
	}
	return nil
}

// config replaces the configuration.
func (w *world) config(b *block) error {
	if w.fold != nil {
		return w.problem(b.line, "config must come before what happens, or after new")
	}
	cfg, err := engine.ParseConfig(w.file, b.yaml())
	var problems *engine.ConfigError
	if errors.As(err, &problems) {
		var list rules.Problems
		for _, p := range problems.Problems {
			list = append(list, rules.Problem(p))
		}
		return list
	}
	if err != nil {
		return err
	}
	w.cfg = cfg
	w.cfg.Partitions = 1
	return nil
}

// yaml is the block's input with the lines that it has in the script.
func (b *block) yaml() []byte {
	return []byte(strings.Repeat("\n", b.line) + strings.Join(b.input, "\n") + "\n")
}

// rules replaces the rules by the files named, relative to the script, and the
// input.
func (w *world) rules(b *block) error {
	files := map[string][]byte{}
	for _, name := range strings.Fields(b.arg) {
		path := filepath.Join(filepath.Dir(w.file), filepath.FromSlash(name))
		text, err := os.ReadFile(path) //nolint:gosec // the script names the file
		if err != nil {
			return w.problem(b.line, "cannot read rules: %v", err)
		}
		files[path] = text
	}
	files[w.file] = b.yaml()
	set, err := rules.Parse(files)
	if err != nil {
		return err
	}
	w.set = set
	if w.fold != nil {
		w.fold.SetRules(set)
	}
	return nil
}

// lastTime is the end of the year 9999, Unix ms: no clock shows more.
const lastTime = 253402300799999

// reach is the time that a moment means; the clock must not go back.
func (w *world) reach(line int, m moment) (int64, error) {
	t := m.at
	if t == 0 {
		if w.now == 0 {
			return 0, w.problem(line, "the clock has not begun: the first time must be one of the calendar")
		}
		t = w.now + m.later
	}
	if t > lastTime {
		return 0, w.problem(line, "that is after the year 9999")
	}
	if t < w.now {
		return 0, w.problem(line, "%s is before the clock, which shows %s; an event that came late is written with how long ago it was, as in %s-2h",
			format(t), format(w.now), format(w.now))
	}
	return t, nil
}

func (w *world) tick(ctx context.Context, line int, m moment) error {
	t, err := w.reach(line, m)
	if err != nil {
		return err
	}
	return w.apply(ctx, t, nil, nil)
}

// apply moves the clock to t and folds a record, if there is one.
func (w *world) apply(ctx context.Context, t int64, key, value []byte) error {
	w.now = t
	clock := streams.HistoryClock(t)
	if w.live {
		clock = []byte("live")
	}
	return w.fold.Apply(ctx, []streams.Record{{
		Topic: "events", Time: t, Key: key, Value: value, LeaderEpoch: -1,
		Headers: []streams.Header{{Key: streams.HeaderClock, Value: clock}},
	}})
}

func (w *world) log(ctx context.Context, b *block) error {
	for i := range b.events {
		e := &b.events[i]
		t, err := w.reach(e.line, e.when)
		if err != nil {
			return err
		}
		w.events++
		value, err := json.Marshal(w.call(e, t))
		if err != nil {
			return fmt.Errorf("cannot encode an event: %w", err)
		}
		if err := w.apply(ctx, t, []byte(e.who[0].String()), value); err != nil {
			return err
		}
	}
	return nil
}

// calls are the names of events that are calls of their own.
var calls = []string{"identify", "page", "screen", "alias", "group"}

// call is the Segment call of an event logged at t.
func (w *world) call(e *event, t int64) map[string]any {
	call := map[string]any{"type": "track", "messageId": e.id, "timestamp": time.UnixMilli(t - e.ago).UTC()}
	if e.id == "" {
		call["messageId"] = "m" + strconv.Itoa(w.events)
	}
	body := "properties"
	switch {
	case !slices.Contains(calls, e.name):
		call["event"] = e.name
	case e.name == "identify" || e.name == "group":
		body = "traits"
		fallthrough
	default:
		call["type"] = e.name
	}
	if e.properties != nil {
		call[body] = json.RawMessage(strings.ReplaceAll(string(e.properties), `"$last"`, strconv.Quote(w.last)))
	}
	context := map[string]any{}
	if e.context != nil {
		_ = json.Unmarshal(e.context, &context) // it is an object: the parser looked
	}
	who := make([]map[string]string, len(e.who))
	for i, id := range e.who {
		who[i] = map[string]string{"type": id.Type, "id": id.Value}
	}
	context["externalIds"] = who
	call["context"] = context
	return call
}
