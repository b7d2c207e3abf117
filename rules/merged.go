package rules

import (
	"slices"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// OnMerge evaluates a customer who has just taken over what another identifier
// had collected; t.Event is nil. A run ends if an event of its exit happened
// after its start, as far as the customer's history tells (a condition or a key
// of an exit it cannot tell, so such an exit does not count), or if its while is
// false for the merged profile. Segments are measured anew: those that either was in
// are no news. Before is called before the profile takes anything over.
func (s *Set) OnMerge(t *Turn) {
	t.prepare(s)
	history := t.Profile.History()
	if len(s.segments) > 0 && len(history) > 0 {
		if flips := t.measure(readAll); len(flips) > 0 {
			s.flipped(t, history[0].MessageID, flips)
		}
	}
	for _, run := range s.ranked(t) {
		trig := t.triggerOf(run)
		switch {
		case trig == nil:
			t.end(run, ReasonRemoved, max(int(run.Step), 0))
		case trig.exited(run, history):
			t.end(run, ReasonExited, trig.nextSend(int(run.Step)))
		case !t.holds(trig, trig.while, nil, run):
			t.end(run, ReasonCondition, trig.nextSend(int(run.Step)))
		}
	}
}

// Supersede notes that runs of t.Profile had to give way to others of their
// trigger and key, those of an identifier that turned out to be the same
// customer's.
func (s *Set) Supersede(t *Turn, runs []*profiles.Run) {
	t.prepare(s)
	for _, run := range runs {
		step := max(int(run.Step), 0)
		if trig := t.triggerOf(run); trig != nil {
			step = trig.nextSend(step)
		}
		t.Ended = append(t.Ended, run.Trigger)
		if step >= 0 {
			t.skipped(run, step, ReasonSuperseded)
		}
	}
}

// exited reports whether the history has an event that ends the run.
func (t *Trigger) exited(run *profiles.Run, history []profiles.Event) bool {
	start := run.EventAt
	if start == 0 {
		start = run.StartedAt
	}
	for i := range t.exits {
		x := &t.exits[i]
		if x.cond != nil || len(x.key) > 0 {
			continue
		}
		for _, e := range history {
			if e.At > start && slices.Contains(x.events, e.Name) && anyOf(x.channels, e.Channel) {
				return true
			}
		}
	}
	return false
}
