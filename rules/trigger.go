package rules

import (
	"fmt"
	"strings"
)

// Trigger is one trigger of a set. The exported fields describe it to people.
type Trigger struct {
	Name     string   `json:"name"`
	Start    string   `json:"start"` // "event", "date", "item", "inactive", "segment" or "trait"
	Events   []string `json:"events,omitempty"`
	Trait    string   `json:"trait,omitempty"` // of a date or trait start
	State    string   `json:"state"`           // "on", "shadow" or "off"
	Priority int      `json:"priority"`
	Steps    []string `json:"steps"` // one line a step: `wait 30m idle`, `send abandoned_cart to push, email`
	// Where the trigger is written.
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`

	start    start
	restart  bool
	while    *condition
	exits    []match
	steps    []step // nested ones too, depth first
	reentry  int64  // ms; never: once per person
	late     int64  // ms
	goal     *goal
	holdout  float64
	existing float64 // how many of those who match already, a day; 0: none
	from, to *limit
	shadow   bool
	rank     int // place in the order of priority, then name
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
	events   []string // "*": all; nil for other starts
	cond     *condition
	channels []string // nil: all
	key      []string // properties; nil: one run per customer

	trait  string // of a date start
	quoted []byte // the trait as JSON writes it; nil where it has several ways
	once   bool
	offset int // calendar days
	at     int // minutes after midnight

	segment  string // of a segment start
	leaves   bool   // it starts when the segment is exited
	changes  string // the trait of a trait start
	inactive string // the event of an inactive start; "*": any
	after    int64  // ms without it
	item     *itemStart
}

// match is an event of a run that something waits for: an exit, an until.
type match struct {
	events   []string
	channels []string
	cond     *condition
	key      []string // properties whose values must be the run's key
	segment  string   // instead of events: this segment is entered or exited
	leaves   bool     // exited
}

// goal is what the trigger is for; it is kept for attribution.
type goal struct {
	events []string
	within int64 // ms
}

// stepKind says what a step is.
type stepKind uint8

const (
	stepWait     stepKind = iota + 1 // for a time, for idleness, or until a time of day
	stepSend                         // a message
	stepUntil                        // for an event, or at most a time
	stepIf                           // a branch
	stepSuppress                     // stop messages in channels
	stepSet                          // set traits
)

// step is one step of a run. Steps lie flat, depth first: a step's index is its
// number in message ids.
type step struct {
	kind  stepKind
	wait  int64 // ms, of a wait or the longest of an until
	idle  bool  // the wait counts from the last activity
	clock *clockTime
	send  *send
	cond  *condition // of if
	until *match

	suppress []string // channels
	set      []setting

	next    int // the step after this one and what is nested in it; len(steps) is the end
	yes, no int // of if and until: where to go on
}

// clockTime is a time of day, on some days of the week.
type clockTime struct {
	minutes int
	days    weekdays
}

// setting is a trait and the value it is set to.
type setting struct {
	trait string
	value any // string, int64, float64 or bool
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
	expire        int64   // ms; 0: the policy's
	transactional bool
	coupon        string
	variants      []variant // in the order written
	hours         *hours
	whenCapped    string // wait, drop, or "" for the policy's
}

// variant is one version of a message and its share of the customers.
type variant struct {
	name  string
	share float64
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
	for i := range t.steps {
		s := &t.steps[i]
		all = append(all, s.cond)
		if s.until != nil {
			all = append(all, s.until.cond)
		}
		if s.send != nil {
			all = append(all, s.send.cond)
			for _, d := range s.send.data {
				all = append(all, d.expr)
			}
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
	for i := range t.steps {
		if s := t.steps[i].send; s != nil && !s.transactional {
			return true
		}
	}
	return false
}

// nextSend is the index of the send that a run would have reached from the i-th
// step on, -1 for none. Where the way parts, it is the first send of either.
func (t *Trigger) nextSend(i int) int {
	i = max(i, 0) // a run that still collects is before its first step
	for i < len(t.steps) {
		s := &t.steps[i]
		switch s.kind {
		case stepSend:
			return i
		case stepIf, stepUntil:
			for j := i + 1; j < s.next && j < len(t.steps); j++ {
				if t.steps[j].kind == stepSend {
					return j
				}
			}
		}
		i = s.next
	}
	return -1
}

// describe fills what people read.
func (t *Trigger) describe() {
	t.Start, t.Events, t.Trait = t.start.kind(), t.start.events, t.start.trait+t.start.changes
	for i := range t.steps {
		t.Steps = append(t.Steps, t.steps[i].String())
	}
}

// kind is the key that a start is written with.
func (s *start) kind() string {
	switch {
	case s.trait != "":
		return "date"
	case s.segment != "":
		return "segment"
	case s.changes != "":
		return "trait"
	case s.inactive != "":
		return "inactive"
	case s.item != nil:
		return "item"
	}
	return "event"
}

// String is the step in a few words.
func (s *step) String() string {
	switch s.kind {
	case stepSend:
		return fmt.Sprintf("send %s to %s", s.send.template, strings.Join(s.send.channels, ", "))
	case stepUntil:
		if s.until.segment != "" {
			return fmt.Sprintf("until segment %s within %s", s.until.segment, formatDuration(s.wait))
		}
		return fmt.Sprintf("until %s within %s", strings.Join(s.until.events, ", "), formatDuration(s.wait))
	case stepIf:
		return "if " + s.cond.src
	case stepSuppress:
		return "suppress " + strings.Join(s.suppress, ", ")
	case stepSet:
		return fmt.Sprintf("set %s", s.set[0].trait)
	}
	switch {
	case s.clock != nil:
		return fmt.Sprintf("wait until %02d:%02d%s", s.clock.minutes/60, s.clock.minutes%60, s.clock.days)
	case s.idle:
		return "wait " + formatDuration(s.wait) + " idle"
	}
	return "wait " + formatDuration(s.wait)
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
