package rules

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// maxRuns bounds the runs of one customer: starts with a key make many.
const maxRuns = 100

// OnEvent evaluates t.Event, which t.Profile has taken in already: first the
// exits and the whiles of the customer's runs, then starts, each in the order
// of the triggers' priority, then name. The event's memory must last until the
// profile is encoded.
func (s *Set) OnEvent(t *Turn) {
	t.prepare(s)
	s.feedback(t)
	var flips []Flip
	if len(s.segments) > 0 && t.Profile.Events > 0 {
		flips = t.measure(changedBy(t.Profile, t.Event))
	}
	s.setDates(t)
	s.dispatch(t)
	s.startTraits(t)
	if t.traitsSet {
		t.traitsSet = false
		flips = append(flips[:len(flips):len(flips)], t.measure(readTraits)...)
	}
	if len(flips) > 0 {
		s.flipped(t, t.Event.MessageID, flips)
	}
}

// Before looks at t.Profile before t.Event, if there is one, changes it. It is
// called before each OnEvent, and before the profile takes the event in.
func (s *Set) Before(t *Turn) {
	if t.Env.number() != t.Profile.Rules {
		t.prepare(s)
		t.baseline()
	}
	if t.Event != nil && len(s.traits) > 0 {
		s.noteTraits(t)
	}
}

// dispatch gives the event to the customer's runs, then to starts.
func (s *Set) dispatch(t *Turn) {
	if len(t.Profile.Runs) > 0 {
		s.checkRuns(t)
	}
	s.reachGoals(t)
	list, ok := s.starts[t.Event.Name]
	if !ok {
		list = s.all
	}
	behaviour := t.Event.Behaviour()
	for _, trig := range list {
		if behaviour || trig.start.segment != "" || slices.Contains(trig.start.events, t.Event.Name) {
			s.tryStart(t, trig)
		}
	}
}

// checkRuns ends the runs that the event ends, and then lets those go on that
// waited for it.
func (s *Set) checkRuns(t *Turn) {
	for _, run := range s.ranked(t) {
		trig := t.triggerOf(run)
		switch {
		case trig == nil:
			t.end(run, ReasonRemoved, max(int(run.Step), 0))
		case t.exits(trig, run), trig.start.inactive != "" && t.isActive(trig.start.inactive):
			t.end(run, ReasonExited, trig.nextSend(int(run.Step)))
		case !t.holds(trig, trig.while, nil, run):
			t.end(run, ReasonCondition, trig.nextSend(int(run.Step)))
		}
	}
	for _, run := range s.ranked(t) {
		trig := t.triggerOf(run)
		if i := int(run.Step); i >= 0 && i < len(trig.steps) && trig.steps[i].kind == stepUntil && t.matches(trig, trig.steps[i].until, run) {
			t.advance(trig, run, trig.steps[i].yes, t.Now)
		}
	}
}

// triggerOf is the run's trigger as it was when the run began, nil where there is
// none of its name any more.
func (t *Turn) triggerOf(run *profiles.Run) *Trigger {
	now := t.set.byName[run.Trigger]
	if now == nil || t.Env == nil || run.Rules == t.Env.Number {
		return now
	}
	if past := t.Env.Past[run.Rules]; past != nil && past.byName[run.Trigger] != nil {
		return past.byName[run.Trigger]
	}
	return now
}

// Removes reports whether a run of the customer is of a trigger that the rules
// do not have.
func (s *Set) Removes(p *profiles.Profile) bool {
	return slices.ContainsFunc(p.Runs, func(r *profiles.Run) bool { return s.byName[r.Trigger] == nil })
}

// EndRemoved ends the runs of t.Profile whose triggers the rules do not have.
func (s *Set) EndRemoved(t *Turn) {
	t.prepare(s)
	for _, run := range slices.Clone(t.Profile.Runs) {
		if s.byName[run.Trigger] == nil {
			t.end(run, ReasonRemoved, max(int(run.Step), 0))
		}
	}
}

// ranked are the customer's runs in the order of their triggers.
func (s *Set) ranked(t *Turn) []*profiles.Run {
	t.runs = append(t.runs[:0], t.Profile.Runs...)
	if len(t.runs) > 1 {
		slices.SortStableFunc(t.runs, func(a, b *profiles.Run) int {
			return cmp.Compare(s.rank(a.Trigger), s.rank(b.Trigger))
		})
	}
	return t.runs
}

func (s *Set) rank(trigger string) int {
	if t := s.byName[trigger]; t != nil {
		return t.rank
	}
	return len(s.triggers)
}

// exits reports whether the event is an exit of the run.
func (t *Turn) exits(trig *Trigger, run *profiles.Run) bool {
	for i := range trig.exits {
		if t.matches(trig, &trig.exits[i], run) {
			return true
		}
	}
	return false
}

// matches reports whether the event is what the run waits for, or ends by.
// Feedback counts for the run's last message only.
func (t *Turn) matches(trig *Trigger, m *match, run *profiles.Run) bool {
	e := t.Event
	if m.segment != "" {
		return isSegment(e, m.segment, m.leaves) && t.holds(trig, m.cond, e, run)
	}
	if !slices.Contains(m.events, e.Name) || !anyOf(m.channels, e.Channel) {
		return false
	}
	if len(m.key) > 0 && t.key(m.key) != run.Key {
		return false
	}
	if strings.HasPrefix(e.Name, "Message ") && (e.MessageRef == "" || xxhash.Sum64String(e.MessageRef) != run.LastMessage) {
		return false
	}
	return t.holds(trig, m.cond, e, run)
}

// anyOf reports whether v is in the list; a nil list holds everything.
func anyOf(list []string, v string) bool { return list == nil || slices.Contains(list, v) }

// tryStart starts a run, or begins the current wait of one again.
func (s *Set) tryStart(t *Turn, trig *Trigger) {
	e := t.Event
	if !anyOf(trig.start.channels, e.Channel) || trig.start.segment != "" && !isSegment(e, trig.start.segment, trig.start.leaves) {
		return
	}
	key := t.key(trig.start.key)
	i, running := findRun(t.Profile, trig.Name, key)
	late := e.LoggedAt-e.At > trig.late && trig.marketing()
	if running {
		if trig.restart && !late && t.holds(trig, trig.start.cond, e, nil) {
			t.restart(t.triggerOf(t.Profile.Runs[i]), t.Profile.Runs[i])
		}
		return
	}
	if len(t.Profile.Runs) >= maxRuns || !s.alive(trig, t.Now, t.Env) || trig.wait(t.Profile, t.Now) || !t.holds(trig, trig.start.cond, e, nil) {
		return
	}
	run := t.newRun(trig, e.MessageID)
	run.Key, run.Event, run.EventAt, run.EventLoggedAt = key, e.Raw, e.At, e.LoggedAt
	switch {
	case !t.holds(trig, trig.while, e, run): // it begins no run
	case late:
		t.skip(trig, run, trig.nextSend(0), ReasonLate)
	default:
		t.begin(trig, run, t.Now, e)
	}
}

// wait reports whether reentry keeps the customer from a new run.
func (t *Trigger) wait(p *profiles.Profile, now int64) bool {
	state := stateOf(p, t.Name)
	if state == nil || state.LastMessageAt == 0 {
		return false
	}
	return t.reentry == never || now < state.LastMessageAt+t.reentry
}

// newRun makes a run of the turn's customer, which may or may not begin.
func (t *Turn) newRun(trig *Trigger, startedBy string) *profiles.Run {
	if t.spare == nil {
		t.spare = &profiles.Run{}
	}
	run := t.spare
	items := run.Items[:0]
	run.ResetVT()
	run.Items = items
	run.Trigger, run.Profile, run.StartedAt, run.StartedBy = trig.Name, t.Profile.Id, t.Now, startedBy
	run.Rules = t.Env.number()
	return run
}

// begin adds a run of newRun and takes its first steps. at is when
// it was due to start.
func (t *Turn) begin(trig *Trigger, run *profiles.Run, at int64, e *streams.Event) {
	p := t.Profile
	i, _ := findRun(p, run.Trigger, run.Key)
	p.Runs = slices.Insert(p.Runs, i, run)
	t.spare = nil
	if !trig.isDate() { // of a date trigger it means something else
		state(p, trig.Name).LastStartAt = t.Now
	}
	t.Started = append(t.Started, trig.Name)
	t.scope.setEventOf(run, e)
	t.advance(trig, run, 0, at)
}

// restart begins the run's current wait again, because of t.Event.
func (t *Turn) restart(trig *Trigger, run *profiles.Run) {
	e := t.Event
	run.Event, run.EventAt, run.EventLoggedAt = e.Raw, e.At, e.LoggedAt
	t.scope.setEventOf(run, e)
	if i := int(run.Step); i >= 0 && i < len(trig.steps) && run.HeldDue == 0 {
		t.rest(&trig.steps[i], run, i)
	}
}

// advance takes the run's steps from the i-th on, up to a wait or the end. due
// is when the first of them was due.
func (t *Turn) advance(trig *Trigger, run *profiles.Run, i int, due int64) {
	for i < len(trig.steps) {
		if len(run.Matches) > 0 && !t.requalify(trig, run) || !t.holds(trig, trig.while, nil, run) {
			t.end(run, ReasonCondition, trig.nextSend(i))
			return
		}
		st := &trig.steps[i]
		next := st.next
		switch st.kind {
		case stepWait:
			t.rest(st, run, i)
			return
		case stepUntil:
			if m := st.until; m.segment != "" && t.inSegment(m.segment) != m.leaves && t.holds(trig, m.cond, nil, run) {
				next = st.yes
				break
			}
			t.rest(st, run, i)
			return
		case stepIf:
			if next = st.no; t.holds(trig, st.cond, nil, run) {
				next = st.yes
			}
		case stepSuppress:
			for _, channel := range st.suppress {
				t.Profile.Suppress(channel, "trigger", t.Now)
			}
		case stepSet:
			t.setTraits(trig, st.set)
		default:
			reason := t.send(trig, run, i, due)
			if reason == held {
				return
			}
			if reason != "" {
				t.skip(trig, run, i, reason)
			}
		}
		i = next
	}
	t.end(run, "", -1)
}

func (t *Turn) inSegment(name string) bool {
	_, in := findSegment(t.Profile, name)
	return in
}

// rest begins the wait at step i.
func (t *Turn) rest(st *step, run *profiles.Run, i int) {
	run.Step, run.StepAt, run.DueAt, run.IdleMs = int32(i), t.Now, 0, 0
	from := max(run.EventAt, run.StepAt)
	switch {
	case st.idle:
		run.IdleMs = st.wait
	case st.clock != nil:
		loc := t.set.zoneOf(t.Profile, t.Env)
		run.DueAt = st.clock.from(time.UnixMilli(from).In(loc)).UnixMilli()
	default:
		run.DueAt = from + st.wait
	}
}

// end removes a run. A reason says why the send at a step (if not -1) was not made.
func (t *Turn) end(run *profiles.Run, reason string, step int) {
	p := t.Profile
	if i := slices.Index(p.Runs, run); i >= 0 {
		p.Runs = slices.Delete(p.Runs, i, i+1)
	}
	state(p, run.Trigger).LastEndAt = t.Now
	t.Ended = append(t.Ended, run.Trigger)
	if reason != "" && step >= 0 {
		t.skipped(run, step, reason)
	}
}

// skip notes that a send of the run, which goes on or did not begin, was not made.
func (t *Turn) skip(_ *Trigger, run *profiles.Run, step int, reason string) {
	if step >= 0 {
		t.skipped(run, step, reason)
	}
}

func (t *Turn) skipped(run *profiles.Run, step int, reason string) {
	t.Skips = append(t.Skips, Skip{Trigger: run.Trigger, Step: step, Reason: reason})
	t.Profile.Decide(&profiles.Decision{At: t.Now, Trigger: run.Trigger, Step: int32(step), Reason: reason, Key: run.Key, Variant: run.Variant})
}

// holds evaluates a condition; one that is not there holds, one that cannot be
// told does not, and is noted. A nil event is the run's last start event.
func (t *Turn) holds(trig *Trigger, c *condition, e *streams.Event, run *profiles.Run) bool {
	if c == nil {
		return true
	}
	t.scope.at(e, run)
	ok, failure := c.eval(&t.scope)
	if failure != "" {
		t.Failures = append(t.Failures, Failure{Trigger: trig.Name, Kind: failure})
	}
	return ok
}

// findRun finds a run among the profile's, which are in order of trigger, then key.
func findRun(p *profiles.Profile, trigger, key string) (int, bool) {
	return slices.BinarySearchFunc(p.Runs, trigger, func(r *profiles.Run, name string) int {
		return cmp.Or(strings.Compare(r.Trigger, name), strings.Compare(r.Key, key))
	})
}
