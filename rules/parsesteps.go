package rules

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// steps reads a trigger's steps and lays them flat, nested ones after the step
// that holds them.
func (f *file) steps(e entry) []step {
	var out []step
	f.block(&out, e)
	acts := slices.ContainsFunc(out, func(s step) bool { return s.kind != stepWait && s.kind != stepIf && s.kind != stepUntil })
	switch {
	case len(out) > maxSteps:
		f.add(e.at, "steps has %d of them, nested ones too: at most %d", len(out), maxSteps)
	case !acts && isList(e):
		f.add(e.at, "steps has no send: a trigger must send something, or suppress or set")
	}
	return out
}

// block reads a list of steps, at the end of out.
func (f *file) block(out *[]step, e entry) {
	for _, x := range f.list(e, "steps") {
		f.step(out, x)
	}
}

func isList(e entry) bool { var p Problems; return (&file{problems: &p}).list(e, "") != nil }

// step reads one step and what is nested in it.
func (f *file) step(out *[]step, e entry) {
	at := len(*out)
	*out = append(*out, step{})
	keys := f.mapping(entry{"step", e.at, e.val}, "a step", slices.Concat(stepKeys, branchKeys), nil)
	if isMapping(e) && hasNoKey(e) {
		f.add(e.val, "a step is one of %s", strings.Join(stepKeys, ", "))
	}
	var s step
	var first string
	for _, x := range keys {
		switch {
		case slices.Contains(branchKeys, x.key):
		case first != "":
			f.add(x.at, "a step is one of %s: begin a new one with -", strings.Join(stepKeys, ", "))
		default:
			first = x.key
			f.stepKey(&s, x)
		}
	}
	then := len(*out)
	middle := f.branch(out, keys, first, "then")
	end := f.branch(out, keys, first, "else")
	s.next, s.yes, s.no = end, then, middle
	if then == middle { // no `then`: past `else`
		s.yes = end
	}
	(*out)[at] = s
	leave(*out, then, middle, end)
}

// leave makes the steps of `then`, from then up to middle, go on at end.
func leave(steps []step, then, middle, end int) {
	for i := then; i < middle; i++ {
		s := &steps[i]
		for _, to := range []*int{&s.next, &s.yes, &s.no} {
			if *to == middle {
				*to = end
			}
		}
	}
}

// branch reads `then` or `else` of a step and returns where the steps end.
func (f *file) branch(out *[]step, keys []entry, first, name string) int {
	for _, x := range keys {
		if x.key != name {
			continue
		}
		if first != "if" && first != "until" {
			f.add(x.at, "%s belongs to if or until", name)
			continue
		}
		f.block(out, x)
	}
	return len(*out)
}

func (f *file) stepKey(s *step, x entry) {
	switch x.key {
	case "wait":
		s.kind = stepWait
		f.wait(s, x)
	case "send":
		s.kind, s.send = stepSend, f.send(x)
	case "until":
		s.kind, s.until = stepUntil, &match{}
		f.untilStep(s, x)
	case "if":
		s.kind, s.cond = stepIf, f.condition(x, siteRun)
		if s.cond == nil {
			s.cond = &condition{}
		}
	case "suppress":
		s.kind, s.suppress = stepSuppress, f.suppressStep(x)
	case "set":
		s.kind, s.set = stepSet, f.settings(x)
	}
}

func (f *file) wait(s *step, e entry) {
	if !isMapping(e) {
		s.wait, _ = f.duration(e)
		return
	}
	if hasNoKey(e) {
		f.add(e.val, `wait must be a time, as in wait: 30m, or wait: {idle: 30m}, or wait: {until: "10:00"}`)
	}
	var c clockTime
	keys := f.mapping(e, "wait", []string{"idle", "until", "days"}, nil)
	for _, x := range keys {
		switch x.key {
		case "idle":
			s.idle = true
			s.wait, _ = f.duration(x)
		case "until":
			c.minutes, _ = f.clock(x)
			s.clock = &c
		case "days":
			c.days = f.weekdays(x)
		}
	}
	switch {
	case s.idle && s.clock != nil:
		f.add(keys[1].at, "wait is either idle or until")
	case s.clock == nil && hasKey(e, "days"):
		f.add(e.at, `days go with until, as in wait: {until: "10:00", days: [mon, tue]}`)
	}
}

func (f *file) weekdays(e entry) weekdays {
	var out weekdays
	for _, name := range f.several(e, dayNames) {
		out |= 1 << slices.Index(dayNames, name)
	}
	return out
}

// hours reads a part of the day with these keys.
func (f *file) hours(e entry, what string, keys []string) *hours {
	h := &hours{}
	for _, x := range f.mapping(e, what, keys, nil) {
		switch x.key {
		case "from":
			h.from, _ = f.clock(x)
		case "to":
			h.to, _ = f.clock(x)
		case "days":
			h.days = f.weekdays(x)
		}
	}
	for i, key := range []string{"from", "to"} {
		other := []string{"to", "from"}[i]
		daysOnly := hasKey(e, "days") && !hasKey(e, other)
		if isMapping(e) && !hasKey(e, key) && !daysOnly {
			f.add(e.at, `%s needs %s, as in %s: {from: "21:00", to: "09:00"}`, what, key, what)
		}
	}
	if isMapping(e) && hasKey(e, "from") && hasKey(e, "to") && h.from == h.to {
		f.add(e.at, "%s begins and ends at the same time", what)
	}
	return h
}

func (f *file) untilStep(s *step, e entry) {
	allowed := []string{"event", "segment", "when", "within", "channel", "if", "key"}
	for _, x := range f.mapping(e, "until", allowed, nil) {
		switch x.key {
		case "within":
			s.wait, _ = f.duration(x)
		case "segment":
			s.until.segment, _ = f.text(x, "the name of a segment")
			f.segmentRef(x)
		case "when":
			when, _ := f.oneOf(x, "enter", "exit")
			s.until.leaves = when == "exit"
		default:
			f.matchKey(s.until, x)
		}
	}
	if !isMapping(e) {
		return
	}
	if hasKey(e, "event") == hasKey(e, "segment") {
		f.add(e.at, "until needs an event or a segment, as in until: {event: Message Opened, within: 2d}")
	}
	if !hasKey(e, "within") {
		f.add(e.at, "until needs within, the longest wait, as in until: {event: Message Opened, within: 2d}")
	}
	if hasKey(e, "segment") {
		for _, key := range []string{"channel", "key"} {
			if hasKey(e, key) {
				f.add(e.at, "%s in until goes with an event", key)
			}
		}
	} else if hasKey(e, "when") {
		f.add(e.at, "when in until goes with a segment")
	}
}

func (f *file) suppressStep(e entry) []string {
	var out []string
	for _, x := range f.mapping(e, "suppress", []string{"channels"}, nil) {
		out = f.channels(x)
	}
	if isMapping(e) && !hasKey(e, "channels") {
		f.add(e.at, "suppress needs channels, as in suppress: {channels: [email]}")
	}
	return out
}

// settings reads traits and the values that they are set to.
func (f *file) settings(e entry) []setting {
	all, ok := f.entries(e, "set")
	if !ok {
		return []setting{{}}
	}
	out := make([]setting, 0, len(all))
	for _, x := range all {
		f.nameOK(x, "trait")
		if v, ok := f.scalar(x); ok {
			out = append(out, setting{x.key, v})
		}
	}
	if len(all) == 0 {
		f.add(e.val, "set is empty: name a trait, as in set: {vip: true}")
	}
	if len(out) == 0 {
		return []setting{{}}
	}
	return out
}

// scalar is a text, a number, true or false.
func (f *file) scalar(e entry) (any, bool) {
	switch n := e.val.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.FloatNode:
		if !math.IsNaN(n.Value) && !math.IsInf(n.Value, 0) {
			return n.Value, true
		}
	case *ast.IntegerNode:
		switch v := n.Value.(type) {
		case int64:
			return v, true
		case uint64:
			if v <= math.MaxInt64 {
				return int64(v), true
			}
		}
	}
	f.wrong(e, "a text, a number, true or false")
	return nil, false
}

// limit is a day (2026-12-01) or a moment (RFC 3339).
func (f *file) limit(e entry) *limit {
	const must = "a day such as 2026-12-01, or a moment such as 2026-12-01T09:00:00+02:00"
	s, ok := f.text(e, must)
	if !ok {
		return nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return &limit{day: t}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		f.add(e.val, "%s is %q: it must be %s", e.key, s, must)
		return nil
	}
	return &limit{ms: t.UnixMilli()}
}

// channels is one channel or several.
func (f *file) channels(e entry) []string {
	for _, c := range elements(e) {
		if name, ok := scalarText(c.val); ok && name != "" && !namePattern.MatchString(name) {
			f.add(c.val, "channel %q: a name is 1 to 64 letters, digits, _ or -", name)
		}
	}
	return f.texts(e, "a channel, such as email or webhook")
}

// segmentRef notes that a segment is named, to be checked once all are known.
func (f *file) segmentRef(x entry) {
	if name, ok := scalarText(x.val); ok && f.defs != nil {
		line, column := position(x.val)
		f.defs.inSegments = append(f.defs.inSegments, named{name, f.name, line, column})
	}
}
