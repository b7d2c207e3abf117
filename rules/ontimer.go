package rules

import (
	"strconv"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// dueOf is when the run's wait ends: a wait for idleness counts from the
// customer's last activity, never from before the wait.
func dueOf(run *profiles.Run, p *profiles.Profile) int64 {
	if run.IdleMs > 0 {
		return max(p.LastAt, run.StepAt) + run.IdleMs
	}
	return run.DueAt
}

// OnTimer evaluates a timer of t.Profile that is due; t.Event is nil. One that
// the profile no longer waits for does nothing.
func (s *Set) OnTimer(t *Turn, tm Timer) {
	if t.Profile.AliasOf != "" {
		return // what it waited for went along to another
	}
	t.prepare(s)
	t.due, t.measured = tm.Due, tm.Due
	if tm.Key == segmentKey {
		s.onSegmentTimer(t, tm.Due)
		return
	}
	trig := s.byName[tm.Trigger]
	if trig != nil && s.startTimer(t, trig, tm) {
		s.flipTraits(t)
		return
	}
	i, ok := findRun(t.Profile, tm.Trigger, tm.Key)
	if !ok {
		return
	}
	run := t.Profile.Runs[i]
	trig = t.triggerOf(run)
	due := dueOf(run, t.Profile)
	switch {
	case due > t.Now:
	case trig == nil:
		t.end(run, ReasonRemoved, max(int(run.Step), 0))
	default:
		t.resume(trig, run, due)
		s.flipTraits(t)
	}
}

// startTimer evaluates the timer of a start, and reports whether it is one.
func (s *Set) startTimer(t *Turn, trig *Trigger, tm Timer) bool {
	switch {
	case trig.isDate() && tm.Key == dateKey:
		s.startDate(t, trig, tm.Due)
	case trig.start.inactive != "" && tm.Key == inactiveKey:
		s.startInactive(t, trig, tm.Due)
	case trig.start.item != nil && tm.Key == runsOutKey:
		s.startRunsOut(t, trig, tm.Due)
	case tm.Key == existingKey:
		s.startExisting(t, trig, tm.Due)
	default:
		return false
	}
	return true
}

// flipTraits measures segments after a step of a timer's turn has set traits.
func (s *Set) flipTraits(t *Turn) {
	if t.traitsSet {
		t.traitsSet = false
		if flips := t.measure(readTraits); len(flips) > 0 {
			s.flipped(t, "segment:"+strconv.FormatInt(t.due, 10), flips)
		}
	}
}

// resume lets a run go on whose wait has ended.
func (t *Turn) resume(trig *Trigger, run *profiles.Run, due int64) {
	i := int(run.Step)
	switch {
	case i < 0: // it has collected its items
		i = 0
	case i >= len(trig.steps): // shorter since: it is at its end
	case trig.steps[i].kind == stepUntil:
		i = trig.steps[i].no
	case trig.steps[i].kind == stepWait:
		i = trig.steps[i].next
	}
	t.advance(trig, run, i, due)
}

// Expire drops what tm stood for, reason expired: it is for the timers that the
// first live tick after history finds due before it. One that is due at that
// tick fires as ever.
func (s *Set) Expire(t *Turn, tm Timer) {
	if tm.Due >= t.Now || t.Profile.AliasOf != "" {
		s.OnTimer(t, tm)
		return
	}
	t.prepare(s)
	t.due, t.measured = tm.Due, tm.Due
	trig := s.byName[tm.Trigger]
	switch {
	case tm.Key == segmentKey:
		s.onSegmentTimer(t, tm.Due)
		return
	case tm.Key == inactiveKey || tm.Key == runsOutKey || tm.Key == existingKey:
		return
	case trig != nil && trig.isDate() && tm.Key == dateKey:
		s.passDate(t, trig, tm.Due)
		return
	}
	i, ok := findRun(t.Profile, tm.Trigger, tm.Key)
	if !ok {
		return
	}
	run := t.Profile.Runs[i]
	trig = t.triggerOf(run)
	switch {
	case dueOf(run, t.Profile) > t.Now:
	case trig == nil:
		t.end(run, ReasonRemoved, max(int(run.Step), 0))
	default:
		t.end(run, ReasonExpired, trig.nextSend(int(run.Step)))
	}
}

// Timers calls add with every timer that p waits for at now: the waits of its
// runs, and the next start of each date trigger. It is called when a profile
// is loaded and after each turn; Timers.Push sorts out repeats. env is the one
// of the turns.
func (s *Set) Timers(p *profiles.Profile, now int64, env *Env, add func(Timer)) {
	s.runTimers(p, add)
	for _, trig := range s.dates {
		s.dateTimer(trig, p, now, env, add)
	}
	s.quietTimers(p, now, env, add)
	if len(s.timed) > 0 || env != nil && len(env.Launches) > 0 {
		t := Turn{Now: now, Profile: p, Env: env}
		t.prepare(s)
		s.segmentTimer(&t, now, add)
		if env != nil {
			s.existingTimers(&t, add)
		}
	}
}

// quietTimers adds those of starts that come when nothing happens.
func (s *Set) quietTimers(p *profiles.Profile, after int64, env *Env, add func(Timer)) {
	for _, trig := range s.inactives {
		s.inactiveTimer(trig, p, after, add)
	}
	for _, trig := range s.runsOut {
		s.runsOutTimer(trig, p, after, env, add)
	}
}

// TurnTimers is Timers after a turn: it leaves out what the turn cannot have
// changed. Of a timer's turn, dates due at the same moment or later have not
// started yet, even if the turn's time is past theirs.
func (s *Set) TurnTimers(t *Turn, add func(Timer)) {
	if t.set == nil { // nothing was evaluated
		t.prepare(s)
	}
	s.runTimers(t.Profile, add)
	after := t.Now
	if t.Event == nil {
		after = t.due - 1
	}
	s.quietTimers(t.Profile, after, t.Env, add)
	if len(s.timed) > 0 && (t.Event == nil || len(t.Flips) > 0 || s.timedReads&changedBy(t.Profile, t.Event) != 0) {
		s.segmentTimer(t, t.measured, add)
	}
	if t.Event != nil && len(t.Event.Traits) == 0 && t.Event.Timezone == "" {
		return
	}
	for _, trig := range s.dates {
		s.dateTimer(trig, t.Profile, after, t.Env, add)
	}
}

func (s *Set) runTimers(p *profiles.Profile, add func(Timer)) {
	for _, run := range p.Runs {
		if trig := s.byName[run.Trigger]; trig != nil {
			add(Timer{Due: dueOf(run, p), Profile: p.Id, Trigger: run.Trigger, Key: run.Key, Priority: trig.Priority})
		}
	}
}
