package reference

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// run is a customer's walk through a trigger.
type run struct {
	trigger   *trigger
	key       string
	profile   string // the customer's id when it began
	startedBy string
	startedAt int64
	event     *Event // the last that started it
	step      *step  // that it waits at, or whose message is held; nil: it collects items
	stepAt    int64
	due       int64 // of a wait that is not for idleness
	heldSince int64 // when the message that is held was due; 0: none is
	variant   string
	sent      int
	last      string // id of the last message
	status    string // of it
	matches   []matched
}

// matched is an item that a run is about.
type matched struct {
	id, kind string
	old      float64
	at       int64
	strength int
}

// walk is a customer at one moment, with what has happened just then.
type walk struct {
	m       *Model
	c       *Customer
	now     int64
	event   *Event
	changes bool // a step has set traits
}

// view is what a condition sees: of a run its last start event, unless another
// is given.
func (w *walk) view(e *Event, r *run) *View {
	if e == nil {
		e = &Event{}
		if r != nil && r.event != nil {
			e = r.event
		}
	}
	return &View{Model: w.m, Customer: w.c, Now: w.now, Event: e, run: r}
}

func (w *walk) holds(c *Cond, e *Event, r *run) bool { return c == nil || c.Holds(w.view(e, r)) }

// dispatch gives an event to the customer's runs, then to starts.
func (w *walk) dispatch(e *Event) {
	w.event = e
	for _, r := range w.ranked() {
		switch {
		case w.exits(r), r.trigger.start.kind == "inactive" && active(r.trigger.start.names[0], e):
			w.end(r, "exited", r.step)
		case !w.holds(r.trigger.while, nil, r):
			w.end(r, "condition", r.step)
		}
	}
	for _, r := range w.ranked() {
		if r.step != nil && r.step.kind == "until" && w.matches(&r.step.until, r) {
			w.advance(r, r.step.yes(), w.now)
		}
	}
	for _, t := range w.m.rules.triggers {
		if w.starts(t, e) {
			w.start(t, e)
		}
	}
}

// ranked are the customer's runs as events meet them.
func (w *walk) ranked() []*run {
	list := slices.Clone(w.c.runs)
	slices.SortFunc(list, func(a, b *run) int {
		return cmp.Or(cmp.Compare(b.trigger.priority, a.trigger.priority), cmp.Compare(a.trigger.name, b.trigger.name), cmp.Compare(a.key, b.key))
	})
	return list
}

func active(name string, e *Event) bool { return e.Name == name || name == "*" && e.behaviour() }

func (w *walk) exits(r *run) bool {
	return slices.ContainsFunc(r.trigger.exits, func(m match) bool { return w.matches(&m, r) })
}

// matches reports whether the event is what the run waits for, or ends by.
func (w *walk) matches(m *match, r *run) bool {
	e := w.event
	if m.segment != "" {
		return changes(e, m.segment, m.leaves) && w.holds(m.cond, e, r)
	}
	if !slices.Contains(m.names, e.Name) || m.channels != nil && !slices.Contains(m.channels, e.Channel) {
		return false
	}
	if m.key != nil && keyOf(e, m.key) != r.key {
		return false
	}
	if feedback(e.Name) && (r.last == "" || e.Message != r.last) {
		return false
	}
	return w.holds(m.cond, e, r)
}

// changes reports whether the event is that the segment was entered, or left.
func changes(e *Event, segment string, leaves bool) bool {
	name := entered
	if leaves {
		name = exited
	}
	return e.Name == name && e.Properties["segment"] == segment
}

// keyOf joins the properties that tell runs of one trigger apart.
func keyOf(e *Event, names []string) string {
	var parts []string
	for _, name := range names {
		if v := e.Properties[name]; v != nil {
			parts = append(parts, fmt.Sprint(v))
		} else {
			parts = append(parts, "")
		}
	}
	return strings.Trim(strings.Join(parts, "\x1f"), "\x1f")
}

// starts reports whether a trigger listens to an event.
func (w *walk) starts(t *trigger, e *Event) bool {
	s := &t.start
	switch s.kind {
	case "segment":
		return changes(e, s.names[0], s.leaves)
	case "event":
		return slices.Contains(s.names, e.Name) || slices.Contains(s.names, "*") && e.behaviour()
	}
	return false
}

// start begins a run, or the wait of one again.
func (w *walk) start(t *trigger, e *Event) {
	s := &t.start
	if s.channels != nil && !slices.Contains(s.channels, e.Channel) || !w.holds(s.cond, e, nil) {
		return
	}
	key, late := keyOf(e, s.key), e.Logged-e.At > t.late && t.promotes()
	if r := w.c.running(t, key); r != nil {
		if t.restart && !late {
			r.event = e
			if r.step != nil && r.heldSince == 0 {
				w.rest(r, r.step)
			}
		}
		return
	}
	if w.waits(t) {
		return
	}
	r := w.newRun(t, key, e.ID, e)
	switch {
	case !w.holds(t.while, nil, r):
	case late:
		w.not(r, nextSend(t.first), "late")
	default:
		w.begin(r, w.now)
	}
}

func (t *trigger) promotes() bool {
	return slices.ContainsFunc(t.steps, func(s *step) bool { return s.kind == "send" && !s.send.transactional })
}

// waits reports whether the trigger may not start for the customer yet.
func (w *walk) waits(t *trigger) bool {
	last := w.c.pastOf(t.name).messageAt
	return last != never && (t.reentry < 0 || w.now < last+t.reentry)
}

func (c *Customer) running(t *trigger, key string) *run {
	for _, r := range c.runs {
		if r.trigger == t && r.key == key {
			return r
		}
	}
	return nil
}

func (w *walk) newRun(t *trigger, key, startedBy string, e *Event) *run {
	return &run{trigger: t, key: key, profile: w.c.id, startedBy: startedBy, startedAt: w.now, event: e}
}

func (w *walk) begin(r *run, due int64) {
	w.c.runs = append(w.c.runs, r)
	w.advance(r, r.trigger.first, due)
}

// begun starts a run without an event.
func (w *walk) begun(t *trigger, startedBy string, due int64) {
	if w.c.running(t, "") != nil || w.waits(t) || !w.holds(t.start.cond, nil, nil) {
		return
	}
	switch r := w.newRun(t, "", startedBy, nil); {
	case w.holds(t.while, nil, r):
		w.begin(r, due)
	case t.start.kind == "date": // somebody will ask why
		w.not(r, nextSend(t.first), "condition")
	}
}

// advance takes steps up to a wait or the end. due is when the first was due.
func (w *walk) advance(r *run, s *step, due int64) {
	for s != nil {
		if len(r.matches) > 0 && !w.requalify(r) || !w.holds(r.trigger.while, nil, r) {
			w.end(r, "condition", s)
			return
		}
		switch s.kind {
		case "wait", "idle", "clock":
			w.rest(r, s)
			return
		case "until":
			if u := &s.until; u.segment != "" && w.c.segments[u.segment] != u.leaves && w.holds(u.cond, nil, r) {
				s = s.yes()
				continue
			}
			w.rest(r, s)
			return
		case "if":
			if w.holds(s.cond, nil, r) {
				s = s.yes()
			} else {
				s = s.no()
			}
			continue
		case "suppress":
			for _, channel := range s.stop {
				w.c.stopped[channel] = true
			}
		case "set":
			for name, value := range s.traits {
				w.c.traits[name] = said{value, max(w.now, w.c.traits[name].at)}
			}
			w.changes = true
		case "send":
			reason := w.send(r, s, due)
			if reason == held {
				return
			}
			if reason != "" {
				w.not(r, s, reason)
			}
		}
		s = s.next()
	}
	w.c.drop(r)
}

// rest begins a wait.
func (w *walk) rest(r *run, s *step) {
	r.step, r.stepAt = s, w.now
	from := w.now
	if r.event != nil {
		from = max(from, r.event.At)
	}
	switch s.kind {
	case "clock":
		r.due = untilClock(from, s.clock, s.days, w.zone())
	default:
		r.due = from + s.long
	}
}

// dueAt is when a run's wait is over.
func (c *Customer) dueAt(r *run) int64 {
	if r.step != nil && r.step.kind == "idle" {
		return max(c.lastAt(), r.stepAt) + r.step.long
	}
	return r.due
}

// goOn lets a run go on whose wait is over.
func (w *walk) goOn(r *run, due int64) {
	switch s := r.step; {
	case s == nil:
		w.advance(r, r.trigger.first, due)
	case s.kind == "send":
		w.advance(r, s, due)
	case s.kind == "until":
		w.advance(r, s.no(), due)
	default:
		w.advance(r, s.next(), due)
	}
}

// end ends a run early; the send that it would have reached is not made.
func (w *walk) end(r *run, reason string, at *step) {
	if at == nil {
		at = r.trigger.first
	}
	w.c.drop(r)
	w.not(r, nextSend(at), reason)
}

func (c *Customer) drop(r *run) {
	c.runs = slices.DeleteFunc(c.runs, func(o *run) bool { return o == r })
}

func (w *walk) not(r *run, s *step, reason string) {
	if s != nil {
		w.m.decide(Decision{Profile: w.c.id, Trigger: r.trigger.name, Step: s.index, At: w.now, Reason: reason})
	}
}
