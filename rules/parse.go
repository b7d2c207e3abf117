package rules

import (
	"regexp"
	"slices"
	"strings"
)

var (
	laterSections    = []string{"segments", "policy", "coupons"}
	triggerKeys      = []string{"start", "restart", "while", "exit", "steps", "reentry", "late", "priority", "goal", "state"}
	laterTriggerKeys = []string{"holdout", "from", "to", "existing"}
	eventStartKeys   = []string{"event", "if", "channel", "key"}
	dateStartKeys    = []string{"date", "every", "offset", "at"}
	laterStartKeys   = []string{"item", "inactive", "segment", "trait", "when", "for", "min", "min_amount", "max", "from", "before", "interest", "within", "collect"}
	laterStarts      = []string{"item", "inactive", "segment", "trait"}
	exitKeys         = []string{"event", "channel", "if", "key"}
	stepKeys         = []string{"wait", "send"}
	laterStepKeys    = []string{"until", "if", "then", "else", "suppress", "set"}
	sendKeys         = []string{"template", "channels", "if", "items", "at_most", "recommend", "data", "expire", "transactional"}
	laterSendKeys    = []string{"coupon", "variants", "hours", "when_capped", "holdout"}
	itemSources      = []string{"cart", "event", "run", "order", "viewed"}
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
	for _, x := range f.mapping(e, what, triggerKeys, laterTriggerKeys) {
		got[x.key] = true
		f.triggerKey(t, x)
	}
	for _, key := range []string{"start", "steps"} {
		if !got[key] && isMapping(e) && !hasTag(e) {
			f.add(e.at, "%s has no %s", what, key)
		}
	}
	if t.isDate() && t.restart {
		f.add(e.at, "%s: restart is for starts by event", what)
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
	case "reentry":
		t.reentry = f.reentry(x)
	case "late":
		t.late, _ = f.duration(x)
	case "priority":
		t.Priority, _ = f.integer(x, 0, 1000)
	case "goal":
		t.goal = f.goal(x)
	case "state":
		if s, ok := scalarText(x.val); ok && s == "shadow" {
			f.add(x.val, "state shadow is not supported by this version yet; supported are on, off")
			return
		}
		t.State, _ = f.oneOf(x, "on", "off")
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

// start reads what begins a run: an event or a date.
func (f *file) start(e entry) start {
	all, ok := f.entries(e, "start")
	if !ok {
		return start{}
	}
	kinds := 0
	allowed := slices.Concat([]string{"event"}, []string{"date"})
	for _, x := range all {
		switch {
		case x.key == "event":
			allowed = eventStartKeys
			kinds++
		case x.key == "date":
			allowed = dateStartKeys
			kinds++
		case slices.Contains(laterStarts, x.key):
			kinds++
		}
	}
	if kinds != 1 {
		f.add(e.at, "start needs exactly one of event, date")
		allowed = slices.Concat(eventStartKeys, dateStartKeys)
	}
	s := start{at: 10 * 60}
	for _, x := range f.mapping(e, "start", allowed, laterStartKeys) {
		f.startKey(&s, x)
	}
	return s
}

func (f *file) startKey(s *start, x entry) {
	switch x.key {
	case "event":
		s.events = f.texts(x, `an event's name, such as Product Viewed, or "*" for all`)
	case "if":
		s.cond = f.condition(x, siteStart)
	case "channel":
		s.channels = f.texts(x, "a channel, such as web or pos")
	case "key":
		s.key = f.texts(x, "the name of a property, such as order_id")
	case "date":
		s.trait, _ = f.text(x, "the name of a trait, such as birthday")
		if namePattern.MatchString(s.trait) {
			s.quoted = []byte(`"` + s.trait + `"`)
		}
	case "every":
		every, _ := f.oneOf(x, "year", "once")
		s.once = every == "once"
	case "offset":
		s.offset, _ = f.days(x)
	case "at":
		s.at, _ = f.clock(x)
	}
}

func (f *file) exits(e entry) []exit {
	all := elements(e)
	if len(all) == 0 {
		f.add(e.val, "exit is an empty list: leave it out, or name an event, as in exit: {event: Order Completed}")
	}
	out := make([]exit, 0, len(all))
	for _, x := range all {
		var ex exit
		for _, y := range f.mapping(x, "exit", exitKeys, nil) {
			switch y.key {
			case "event":
				ex.events = f.texts(y, "an event's name, such as Order Completed")
			case "channel":
				ex.channels = f.texts(y, "a channel, such as web or pos")
			case "if":
				ex.cond = f.condition(y, siteRun)
			case "key":
				ex.key = f.texts(y, "the name of a property, such as order_id")
			}
		}
		if isMapping(x) && !hasKey(x, "event") {
			f.add(x.at, "exit needs an event, as in exit: {event: Order Completed}")
		}
		out = append(out, ex)
	}
	return out
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

func (f *file) steps(e entry) []step {
	all := f.list(e, "steps")
	out := make([]step, 0, len(all))
	sends := 0
	for _, x := range all {
		s := f.step(x)
		if s.send != nil {
			sends++
		}
		out = append(out, s)
	}
	switch {
	case len(all) > maxSteps:
		f.add(e.at, "steps has %d of them: at most %d", len(all), maxSteps)
	case len(all) == 0 && isList(e), sends == 0 && noLater(all):
		f.add(e.at, "steps has no send: a trigger must send something")
	}
	return out
}

func isList(e entry) bool { var p Problems; return (&file{problems: &p}).list(e, "") != nil }

// noLater reports that steps holds only what this version can read.
func noLater(all []entry) bool {
	return len(all) > 0 && !slices.ContainsFunc(all, func(e entry) bool {
		return !isMapping(e) || !hasKey(e, "wait")
	})
}

func (f *file) step(e entry) step {
	var s step
	keys := f.mapping(entry{"step", e.at, e.val}, "a step", stepKeys, laterStepKeys)
	if isMapping(e) && hasNoKey(e) {
		f.add(e.val, "a step is one of %s", strings.Join(stepKeys, ", "))
	}
	if len(keys) > 1 {
		f.add(keys[1].at, "a step is one of %s: begin a new one with -", strings.Join(stepKeys, ", "))
	}
	for _, x := range keys {
		switch x.key {
		case "wait":
			s.wait, s.idle = f.wait(x)
		case "send":
			s.send = f.send(x)
		}
	}
	return s
}

func (f *file) wait(e entry) (ms int64, idle bool) {
	if !isMapping(e) {
		ms, _ = f.duration(e)
		return ms, false
	}
	if hasNoKey(e) {
		f.add(e.val, "wait must be a time, as in wait: 30m, or wait: {idle: 30m}")
	}
	for _, x := range f.mapping(e, "wait", []string{"idle"}, []string{"until", "days"}) {
		ms, _ = f.duration(x)
		return ms, true
	}
	return 0, true
}
