package reference

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Model decides what rules ask for. Make one with New.
type Model struct {
	rules     *Rules
	zone      string
	live      bool
	now       int64
	ticks     []int64 // of a live log
	customers map[string]*Customer
	catalogue map[string]*Item
	changes   int64                      // of the catalogue
	touched   map[string]map[string]bool // by product: who ever had to do with it
	zones     map[string]*time.Location

	// Decisions are all that was decided so far, in order of time for each
	// customer.
	Decisions []Decision
}

// New makes a model with nothing in it. zone is that of customers who have none
// of their own; live says that time passes by the ticks of a live log, else by
// those of history.
func New(rules *Rules, zone string, live bool) *Model {
	return &Model{rules: rules, zone: zone, live: live, customers: map[string]*Customer{}, catalogue: map[string]*Item{}, touched: map[string]map[string]bool{},
		zones: map[string]*time.Location{}}
}

// Live reports whether time passes by the ticks of a live log.
func (m *Model) Live() bool { return m.live }

func (m *Model) decide(d Decision) { m.Decisions = append(m.Decisions, d) }

// Tick says what time it is, in Unix ms.
func (m *Model) Tick(now int64) {
	if now <= m.now {
		return
	}
	m.now = now
	if m.live {
		m.ticks = append(m.ticks, now)
	}
}

// Finish lets the time pass for everybody.
func (m *Model) Finish() {
	for _, id := range slices.Sorted(maps.Keys(m.customers)) {
		m.pass(m.customer(id))
	}
}

// customer is who an identifier stands for.
func (m *Model) customer(id string) *Customer {
	c := m.customers[id]
	if c == nil {
		c = newCustomer(id)
		m.customers[id] = c
	}
	for c.target != nil {
		c = c.target
	}
	return c
}

func (m *Model) item(id string) *Item { return m.catalogue[id] }

// Take takes an event in: first what it says of the customer, then what it ends,
// then what waited for it, then what it starts, then who is the same.
func (m *Model) Take(e *Event) {
	for _, id := range e.IDs {
		m.pass(m.customer(id))
	}
	id := e.IDs[0]
	if id == "" { // feedback that names its message alone
		return
	}
	c := m.customer(id)
	if at, known := c.seen[e.ID]; known && at > m.now-day {
		return
	}
	c.seen[e.ID] = m.now
	w := &walk{m: m, c: c, now: m.now}
	old := c.traits
	if e.behaviour() {
		c.traits = maps.Clone(old)
		c.do(e, m.now, m.item)
	} else {
		w.feedback(e)
	}
	for _, l := range e.lines() {
		if m.touched[l.ID] == nil {
			m.touched[l.ID] = map[string]bool{}
		}
		m.touched[l.ID][c.id] = true
	}
	flips := w.segments()
	w.dispatch(e)
	w.traits(e, old)
	if w.changes {
		flips = append(flips, w.ofTraits()...)
	}
	w.flip(flips, e.ID)
	c.now = m.now
	if e.behaviour() {
		for _, id := range e.IDs[1:] {
			m.link(id, e.IDs[0])
		}
	}
}

// feedback notes what became of a message.
func (w *walk) feedback(e *Event) {
	status := strings.ToLower(strings.TrimPrefix(e.Name, "Message "))
	for i := range w.c.messages {
		if w.c.messages[i].id == e.Message && (status == "failed" || status == "skipped") {
			w.c.messages[i].counts = false
		}
	}
}

// traits starts what waits for a change of traits.
func (w *walk) traits(e *Event, old map[string]said) {
	if e.Name != "identify" {
		return
	}
	for _, t := range w.m.rules.triggers {
		if t.start.kind == "trait" {
			if name := t.start.names[0]; old[name].value != w.c.traits[name].value {
				w.start(t, e)
			}
		}
	}
}

// segments looks at all segments anew and says which changed.
func (w *walk) segments() []string {
	w.c.measured = w.now
	return w.look(func(*segment) bool { return true })
}

// ofTraits looks at those that a trait set by a step may have changed: the others
// have their own time.
func (w *walk) ofTraits() []string { return w.look(func(s *segment) bool { return s.traits }) }

func (w *walk) look(which func(s *segment) bool) (flips []string) {
	if len(w.c.events) == 0 {
		return nil // nobody did anything yet
	}
	for _, s := range w.m.rules.segments {
		if !which(s) {
			continue
		}
		if is := s.cond.Holds(w.view(nil, nil)); is != w.c.segments[s.name] {
			w.c.segments[s.name] = is
			flips = append(flips, s.name)
		}
	}
	return flips
}

// flip makes events of segments that changed.
func (w *walk) flip(names []string, cause string) {
	at := w.now
	if w.event != nil {
		at = max(at, w.event.At)
	}
	for i := 0; i < len(names); i++ {
		e := &Event{ID: cause + ":" + names[i], Name: exited, Channel: "other", At: at, Logged: at, Properties: map[string]any{"segment": names[i]}}
		if w.c.segments[names[i]] {
			e.Name = entered
		}
		w.changes = false
		w.dispatch(e)
		if w.changes {
			names = append(names, w.ofTraits()...)
		}
	}
}

// link says that two identifiers are one customer's.
func (m *Model) link(a, b string) {
	c, o := m.customer(a), m.customer(b)
	if c == o {
		return
	}
	if !stronger(c.id, o.id) {
		c, o = o, c
	}
	m.pass(c)
	m.pass(o)
	m.merge(c, o)
}

var strength = []string{"user", "card", "phone", "email", "anonymous"}

func stronger(a, b string) bool {
	typeA, _, _ := strings.Cut(a, ":")
	typeB, _, _ := strings.Cut(b, ":")
	return cmp.Or(cmp.Compare(slices.Index(strength, typeA), slices.Index(strength, typeB)), cmp.Compare(a, b)) < 0
}

// merge makes one customer of two: c takes over what o had.
func (m *Model) merge(c, o *Customer) {
	if len(o.events) == 0 {
		o.target = c
		return
	}
	w := &walk{m: m, c: c, now: m.now}
	runs := o.runs
	o.runs = nil
	c.absorb(o, m.now)
	for _, theirs := range runs {
		own := c.running(theirs.trigger, theirs.key)
		if own != nil {
			if cmp.Or(cmp.Compare(theirs.startedAt, own.startedAt), cmp.Compare(theirs.startedBy, own.startedBy)) < 0 {
				c.drop(own)
				c.runs = append(c.runs, theirs)
				theirs = own
			}
			w.not(theirs, nextSend(theirs.at()), "superseded")
			continue
		}
		c.runs = append(c.runs, theirs)
	}
	latest := slices.Clone(c.events)
	slices.SortStableFunc(latest, func(a, b deed) int { return cmp.Compare(b.at, a.at) })
	latest = latest[:min(len(latest), 20)]
	if len(latest) > 0 {
		w.flip(w.segments(), latest[0].id)
	}
	for _, r := range w.ranked() {
		switch {
		case r.ended(latest):
			w.end(r, "exited", r.step)
		case !w.holds(r.trigger.while, nil, r):
			w.end(r, "condition", r.step)
		}
	}
	c.now = m.now
}

// at is the step that a run is at.
func (r *run) at() *step {
	if r.step == nil {
		return r.trigger.first
	}
	return r.step
}

// ended reports whether what the customer did of late ends a run. What an exit's
// condition or key says of it nobody knows any more.
func (r *run) ended(latest []deed) bool {
	start := r.startedAt
	if r.event != nil {
		start = r.event.At
	}
	for _, x := range r.trigger.exits {
		if x.cond != nil || x.key != nil {
			continue
		}
		for _, e := range latest {
			if e.at > start && slices.Contains(x.names, e.name) && (x.channels == nil || slices.Contains(x.channels, e.channel)) {
				return true
			}
		}
	}
	return false
}

// pass lets the time pass for a customer: in history through each moment that he
// waits for, in a live log from tick to tick.
func (m *Model) pass(c *Customer) {
	if !m.live {
		m.fire(c, m.now, false)
		return
	}
	first, _ := slices.BinarySearch(m.ticks, c.now+1)
	for _, tick := range m.ticks[first:] {
		m.fire(c, tick, true)
	}
}

// fire does what is due until a time, the first first.
func (m *Model) fire(c *Customer, until int64, atOnce bool) {
	for {
		due := m.next(c, until)
		if due.at > until {
			break
		}
		w := &walk{m: m, c: c, now: max(due.at, c.now)}
		if atOnce {
			w.now = until
		}
		due.do(w)
	}
	c.now = max(c.now, until)
}

// due is something that a customer waits for.
type due struct {
	at       int64
	priority int
	name     string
	key      string
	do       func(w *walk)
}

// next is what the customer waits for first.
func (m *Model) next(c *Customer, until int64) due {
	first := due{at: notDue}
	note := func(d due) {
		if cmp.Or(cmp.Compare(d.at, first.at), cmp.Compare(first.priority, d.priority), cmp.Compare(d.name, first.name), cmp.Compare(d.key, first.key)) < 0 {
			first = d
		}
	}
	for _, r := range c.runs {
		at := c.dueAt(r)
		note(due{at, r.trigger.priority, r.trigger.name, r.key, func(w *walk) {
			w.goOn(r, at)
			w.settle(at)
		}})
	}
	for _, t := range m.rules.triggers {
		if t.start.kind == "inactive" {
			last := c.lastOf(t.start.names[0])
			at := last + t.start.long
			if last == 0 || at <= c.now || at > until || c.pastOf(t.name).inactiveAt >= last {
				continue
			}
			note(due{at, t.priority, t.name, "", func(w *walk) {
				w.c.pastOf(t.name).inactiveAt = last
				w.begun(t, strconv.FormatInt(last, 10), at)
				w.settle(at)
			}})
		}
	}
	for _, t := range m.rules.triggers {
		w := &walk{m: m, c: c, now: c.now}
		if day, at := w.date(t); at <= until {
			note(due{at, t.priority, t.name, "", func(w *walk) {
				w.c.pastOf(t.name).dateAt = day.UnixMilli()
				w.begun(t, strconv.Itoa(day.Year()), at)
				w.settle(at)
			}})
		}
	}
	if at := m.flips(c); at <= until {
		note(due{at, 1 << 40, "", "", func(w *walk) { w.flip(w.segments(), "segment:"+strconv.FormatInt(at, 10)) }})
	}
	return first
}

// settle makes events of the segments that steps have changed by setting traits.
func (w *walk) settle(due int64) {
	if w.changes {
		w.changes = false
		w.flip(w.ofTraits(), "segment:"+strconv.FormatInt(due, 10))
	}
}

// flips is when a segment of the customer may change by time alone.
func (m *Model) flips(c *Customer) int64 {
	if c.measured == never {
		return notDue
	}
	first := notDue
	w := &walk{m: m, c: c, now: c.now}
	for _, s := range m.rules.segments {
		if s.cond.Moments == nil {
			continue
		}
		for _, at := range s.cond.Moments(w.view(nil, nil)) {
			for _, at := range []int64{at, at + 1} {
				if at > c.measured {
					first = min(first, at)
				}
			}
		}
	}
	return first
}
