package rules

import (
	"fmt"
	"strings"
)

// Trigger is one trigger of a set. The exported fields describe it to people.
type Trigger struct {
	Name     string   `json:"name"`
	Start    string   `json:"start"` // "event" or "date"
	Events   []string `json:"events,omitempty"`
	Trait    string   `json:"trait,omitempty"` // of a date start
	State    string   `json:"state"`           // "on" or "off"
	Priority int      `json:"priority"`
	Steps    []string `json:"steps"` // one line a step: `wait 30m idle`, `send abandoned_cart to push, email`
	// Where the trigger is written.
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`

	start   start
	restart bool
	while   *condition
	exits   []exit
	steps   []step
	reentry int64 // ms; never: once per person
	late    int64 // ms
	goal    *goal
	rank    int // place in the order of priority, then name
}

const (
	never           = int64(-1)
	defaultReentry  = 24 * hour
	defaultLate     = hour
	defaultExpire   = 24 * hour
	defaultPriority = 50
)

// start is what begins a run.
type start struct {
	events   []string // "*": all; nil for a date start
	cond     *condition
	channels []string // nil: all
	key      []string // properties; nil: one run per customer

	trait  string // of a date start
	quoted []byte // the trait as JSON writes it; nil where it has several ways
	once   bool
	offset int // calendar days
	at     int // minutes after midnight
}

// exit is an event that ends a run.
type exit struct {
	events   []string
	channels []string
	cond     *condition
	key      []string // properties whose values must be the run's key
}

// goal is what the trigger is for; it is kept for attribution.
type goal struct {
	events []string
	within int64 // ms
}

// step is a wait or a send.
type step struct {
	wait int64 // ms; 0 for a send
	idle bool  // the wait counts from the last activity
	send *send
}

// send is a message to be decided.
type send struct {
	template      string
	channels      []string
	cond          *condition
	items         string // cart, event, run, order, viewed, or "" for none
	atMost        int    // 0: all
	recommend     *Recommend
	data          []datum // by name
	expire        int64   // ms
	transactional bool
}

// datum is one value of a send's data.
type datum struct {
	name string
	expr *condition
}

// isDate reports whether the trigger starts on a date.
func (t *Trigger) isDate() bool { return t.start.trait != "" }

// conditions are all expressions of the trigger.
func (t *Trigger) conditions() []*condition {
	all := []*condition{t.start.cond, t.while}
	for _, x := range t.exits {
		all = append(all, x.cond)
	}
	for _, s := range t.steps {
		if s.send == nil {
			continue
		}
		all = append(all, s.send.cond)
		for _, d := range s.send.data {
			all = append(all, d.expr)
		}
	}
	out := all[:0]
	for _, c := range all {
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

// marketing reports whether a send of the trigger needs consent.
func (t *Trigger) marketing() bool {
	for _, s := range t.steps {
		if s.send != nil && !s.send.transactional {
			return true
		}
	}
	return false
}

// describe fills what people read.
func (t *Trigger) describe() {
	t.Start, t.Events, t.Trait = "event", t.start.events, t.start.trait
	if t.isDate() {
		t.Start = "date"
	}
	for _, s := range t.steps {
		switch {
		case s.send != nil:
			t.Steps = append(t.Steps, fmt.Sprintf("send %s to %s", s.send.template, strings.Join(s.send.channels, ", ")))
		case s.idle:
			t.Steps = append(t.Steps, "wait "+formatDuration(s.wait)+" idle")
		default:
			t.Steps = append(t.Steps, "wait "+formatDuration(s.wait))
		}
	}
}

// formatDuration writes ms as the rule language does: 30m, 1h30m, 14d.
func formatDuration(ms int64) string {
	var b strings.Builder
	for _, u := range []struct {
		name string
		ms   int64
	}{{"d", day}, {"h", hour}, {"m", minute}, {"s", second}} {
		if n := ms / u.ms; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			ms %= u.ms
		}
	}
	return b.String()
}
