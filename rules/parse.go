package rules

import (
	"regexp"
	"slices"
)

var (
	sections    = []string{"segments", "policy", "coupons", "triggers", "placements"}
	triggerKeys = []string{"start", "restart", "while", "exit", "steps", "reentry", "late", "priority", "goal", "holdout", "state", "from", "to", "existing"}
	exitKeys    = []string{"event", "channel", "if", "key"}
	stepKeys    = []string{"wait", "send", "until", "if", "suppress", "set"}
	branchKeys  = []string{"then", "else"}
	sendKeys    = []string{"template", "channels", "if", "items", "at_most", "recommend", "coupon", "data", "variants", "hours", "expire", "when_capped", "transactional"}
	itemSources = []string{"cart", "event", "run", "order", "viewed"}
)

const (
	maxTriggers = 5000
	maxSteps    = 100
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// name checks a name that becomes part of ids, headers and metrics.
func (f *file) nameOK(e entry, of string) bool {
	if namePattern.MatchString(e.key) {
		return true
	}
	f.add(e.at, "%s %q: a name is 1 to 64 letters, digits, _ or -", of, e.key)
	return false
}

// trigger reads one trigger. It is used only when no problem was found.
func (f *file) trigger(e entry) *Trigger {
	f.nameOK(e, "trigger")
	t := &Trigger{Name: e.key, File: f.name, State: "on", Priority: defaultPriority,
		reentry: defaultReentry, late: defaultLate}
	t.Line, t.Column = position(e.at)
	what := "trigger " + e.key
	got := map[string]bool{}
	var existing entry
	for _, x := range f.mapping(e, what, triggerKeys, nil) {
		if got[x.key] = true; x.key == "existing" {
			existing = x
		}
		f.triggerKey(t, x)
	}
	for _, key := range []string{"start", "steps"} {
		if !got[key] && isMapping(e) && !hasTag(e) {
			f.add(e.at, "%s has no %s", what, key)
		}
	}
	if t.restart && t.start.kind() != "event" {
		f.add(e.at, "%s: restart is for starts by event", what)
	}
	if existing.key != "" && got["start"] {
		f.existingOK(t, existing)
	}
	t.describe()
	return t
}

func isMapping(e entry) bool {
	var p Problems
	_, ok := (&file{problems: &p}).entries(e, "")
	return ok
}

func (f *file) triggerKey(t *Trigger, x entry) {
	switch x.key {
	case "start":
		t.start = f.start(x)
	case "restart":
		t.restart = f.boolean(x)
	case "while":
		t.while = f.condition(x, siteRun)
	case "exit":
		t.exits = f.exits(x)
	case "steps":
		t.steps = f.steps(x)
	case "holdout":
		t.holdout, _ = f.fraction(x)
	case "existing":
		t.existing = f.existing(x)
	case "from":
		t.from = f.limit(x)
	case "to":
		t.to = f.limit(x)
	case "reentry":
		t.reentry = f.reentry(x)
	case "late":
		t.late, _ = f.duration(x)
	case "priority":
		t.Priority, _ = f.integer(x, 0, 1000)
	case "goal":
		t.goal = f.goal(x)
	case "state":
		t.State, _ = f.oneOf(x, "on", "shadow", "off")
		t.shadow = t.State == "shadow"
	}
}

func (f *file) reentry(e entry) int64 {
	s, ok := scalarText(e.val)
	if ok && s == "never" {
		return never
	}
	if _, valid := parseDuration(s); ok && !valid {
		f.add(e.val, "reentry is %q: it must be a time such as 72h or 14d, or never", s)
		return 0
	}
	ms, _ := f.duration(e)
	return ms
}

func (f *file) exits(e entry) []match {
	all := elements(e)
	if len(all) == 0 {
		f.add(e.val, "exit is an empty list: leave it out, or name an event, as in exit: {event: Order Completed}")
	}
	out := make([]match, 0, len(all))
	for _, x := range all {
		var m match
		for _, y := range f.mapping(x, "exit", exitKeys, nil) {
			f.matchKey(&m, y)
		}
		if isMapping(x) && !hasKey(x, "event") {
			f.add(x.at, "exit needs an event, as in exit: {event: Order Completed}")
		}
		out = append(out, m)
	}
	return out
}

// matchKey reads a key of what an event is matched by.
func (f *file) matchKey(m *match, y entry) {
	switch y.key {
	case "event":
		m.events = f.texts(y, "an event's name, such as Order Completed")
	case "channel":
		m.channels = f.texts(y, "a channel, such as web or pos")
	case "if":
		m.cond = f.condition(y, siteRun)
	case "key":
		m.key = f.texts(y, "the name of a property, such as order_id")
	}
}

func hasKey(e entry, key string) bool {
	var p Problems
	all, _ := (&file{problems: &p}).entries(e, "")
	return slices.ContainsFunc(all, func(x entry) bool { return x.key == key })
}

func hasNoKey(e entry) bool {
	var p Problems
	all, _ := (&file{problems: &p}).entries(e, "")
	return len(all) == 0
}

func (f *file) goal(e entry) *goal {
	g := &goal{}
	for _, x := range f.mapping(e, "goal", []string{"event", "within"}, nil) {
		switch x.key {
		case "event":
			g.events = f.texts(x, "an event's name, such as Order Completed")
		case "within":
			g.within, _ = f.duration(x)
		}
	}
	for _, key := range []string{"event", "within"} {
		if isMapping(e) && !hasKey(e, key) {
			f.add(e.at, "goal needs %s, as in goal: {event: Order Completed, within: 72h}", key)
		}
	}
	return g
}
