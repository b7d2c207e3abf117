package rules

import (
	"cmp"
	"slices"
	"strings"

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
	if len(t.Profile.Runs) > 0 {
		s.checkRuns(t)
	}
	s.setDates(t)
	list, ok := s.starts[t.Event.Name]
	if !ok {
		list = s.all
	}
	behaviour := t.Event.Behaviour()
	for _, trig := range list {
		if behaviour || slices.Contains(trig.start.events, t.Event.Name) {
			s.tryStart(t, trig)
		}
	}
}

// checkRuns ends the runs that the event ends.
func (s *Set) checkRuns(t *Turn) {
	for _, run := range s.ranked(t) {
		trig := s.byName[run.Trigger]
		switch {
		case trig == nil:
			t.end(run, ReasonRemoved, max(int(run.Step), 0))
		case t.exits(trig, run):
			t.end(run, ReasonExited, trig.nextSend(int(run.Step)+1))
		case !t.holds(trig, trig.while, nil, run):
			t.end(run, ReasonCondition, trig.nextSend(int(run.Step)+1))
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
		x := &trig.exits[i]
		if !slices.Contains(x.events, t.Event.Name) || !anyOf(x.channels, t.Event.Channel) {
			continue
		}
		if len(x.key) > 0 && t.key(x.key) != run.Key {
			continue
		}
		if t.holds(trig, x.cond, t.Event, run) {
			return true
		}
	}
	return false
}

// anyOf reports whether v is in the list; a nil list holds everything.
func anyOf(list []string, v string) bool { return list == nil || slices.Contains(list, v) }

// tryStart starts a run, or begins the current wait of one again.
func (s *Set) tryStart(t *Turn, trig *Trigger) {
	e := t.Event
	if !anyOf(trig.start.channels, e.Channel) {
		return
	}
	key := t.key(trig.start.key)
	i, running := findRun(t.Profile, trig.Name, key)
	late := e.LoggedAt-e.At > trig.late && trig.marketing()
	if running {
		if trig.restart && !late && t.holds(trig, trig.start.cond, e, nil) {
			t.restart(trig, t.Profile.Runs[i])
		}
		return
	}
	if len(t.Profile.Runs) >= maxRuns || trig.wait(t.Profile, t.Now) || !t.holds(trig, trig.start.cond, e, nil) {
		return
	}
	run := t.newRun(trig, e.MessageID)
	run.Key, run.Event, run.EventAt, run.EventLoggedAt = key, e.Raw, e.At, e.LoggedAt
	switch {
	case !t.holds(trig, trig.while, e, run): // it begins no run
	case late:
		t.skip(trig, trig.nextSend(0), ReasonLate)
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
	run.Trigger, run.Profile, run.StartedAt, run.StartedBy = trig.Name, t.Profile.Id, t.Now, startedBy
	run.Key, run.Event, run.EventAt, run.EventLoggedAt = "", nil, 0, 0
	return run
}

// begin adds a run of newRun and takes its first steps. at is when
// it was due to start.
func (t *Turn) begin(trig *Trigger, run *profiles.Run, at int64, e *streams.Event) {
	p := t.Profile
	i, _ := findRun(p, run.Trigger, run.Key)
	p.Runs = slices.Insert(p.Runs, i, run)
	t.spare = nil
	if !trig.isDate() {
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
	run.StepAt = t.Now
	t.scope.setEventOf(run, e)
	if i := int(run.Step); i < len(trig.steps) && run.IdleMs == 0 {
		run.DueAt = max(run.EventAt, run.StepAt) + trig.steps[i].wait
	}
}

// advance takes the run's steps from the i-th on, up to a wait or the end. due
// is when the first of them was due.
func (t *Turn) advance(trig *Trigger, run *profiles.Run, i int, due int64) {
	for ; i < len(trig.steps); i++ {
		if !t.holds(trig, trig.while, nil, run) {
			t.end(run, ReasonCondition, trig.nextSend(i))
			return
		}
		st := &trig.steps[i]
		if st.send == nil {
			run.Step, run.StepAt, run.DueAt, run.IdleMs = int32(i), t.Now, 0, 0
			if st.idle {
				run.IdleMs = st.wait
			} else {
				run.DueAt = max(run.EventAt, run.StepAt) + st.wait
			}
			return
		}
		if reason := t.send(trig, run, i, due); reason != "" {
			t.skip(trig, i, reason)
		}
	}
	t.end(run, "", -1)
}

// nextSend is the index of the first send from the i-th step on, -1 for none.
func (t *Trigger) nextSend(i int) int {
	for ; i < len(t.steps); i++ {
		if t.steps[i].send != nil {
			return i
		}
	}
	return -1
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
		t.Skips = append(t.Skips, Skip{Trigger: run.Trigger, Step: step, Reason: reason})
	}
}

func (t *Turn) skip(trig *Trigger, step int, reason string) {
	if step >= 0 {
		t.Skips = append(t.Skips, Skip{Trigger: trig.Name, Step: step, Reason: reason})
	}
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
