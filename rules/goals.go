package rules

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// maxGoals bounds the runs of one customer whose goal may still be reached.
const maxGoals = 50

// goalGrace is how late an event may be logged and still reach a goal.
const goalGrace = 7 * day

// reach notes that the run's first message was decided: its goal counts from
// here, and `reentry` too.
func (t *Turn) reach(trig *Trigger, run *profiles.Run, due int64, holdout bool) {
	p := t.Profile
	s := state(p, run.Trigger)
	s.LastMessageAt = due
	if run.ReachedAt != 0 {
		return
	}
	run.ReachedAt = due
	t.Reached = append(t.Reached, Reach{Trigger: run.Trigger, Variant: run.Variant, Holdout: holdout})
	if trig.goal == nil {
		return
	}
	old := slices.IndexFunc(p.Goals, func(g *profiles.Goal) bool { return g.Until+goalGrace > t.Now })
	if old < 0 {
		old = len(p.Goals)
	}
	p.Goals = slices.Delete(p.Goals, 0, max(old, len(p.Goals)-maxGoals+1))
	p.Goals = append(p.Goals, &profiles.Goal{Trigger: run.Trigger, Key: run.Key, At: due, Until: due + trig.goal.within,
		Holdout: holdout, Variant: run.Variant})
}

// reachGoals gives the event to the runs whose goal it is: of several runs of a
// trigger, to the last that began its messages before it.
func (s *Set) reachGoals(t *Turn) {
	p, e := t.Profile, t.Event
	for i := len(p.Goals) - 1; i >= 0; i-- {
		g := p.Goals[i]
		trig := s.byName[g.Trigger]
		if trig == nil || trig.goal == nil || !slices.Contains(trig.goal.events, e.Name) ||
			e.At < g.At || e.At > g.Until || t.credited(g.Trigger) {
			continue
		}
		t.Goals = append(t.Goals, Reach{Trigger: g.Trigger, Variant: g.Variant, Holdout: g.Holdout, Revenue: t.revenue()})
		p.Goals = slices.Delete(p.Goals, i, i+1)
	}
}

// credited reports whether the event has reached a goal of the trigger already.
func (t *Turn) credited(trigger string) bool {
	return slices.ContainsFunc(t.Goals, func(r Reach) bool { return r.Trigger == trigger })
}

// revenue is what the event's order is worth, in the configured currency where
// the profile knows the order.
func (t *Turn) revenue() float64 {
	if o := findOrder(t.Profile, t.Event.OrderID); o != nil {
		return o.Total
	}
	return t.Event.Total
}

// feedback gives back what a message took from the caps that was not sent.
func (s *Set) feedback(t *Turn) {
	e := t.Event
	if e.Behaviour() || e.MessageRef == "" {
		return
	}
	status, ok := messageStatus[e.Name]
	if !ok {
		return
	}
	if status == "failed" || status == "skipped" {
		untouch(t.Profile, e.MessageRef)
	}
	if status == "opened" || status == "clicked" {
		t.Profile.Shown(e.MessageRef)
	}
	for _, m := range t.Profile.Messages {
		if m.Id == e.MessageRef {
			status = m.Status // as far as it got
		}
	}
	hash := xxhash.Sum64String(e.MessageRef)
	for _, run := range t.Profile.Runs {
		if run.LastMessage == hash && run.Sent > 0 {
			run.LastStatus = status
		}
	}
}

// messageStatus is what feedback says of a message.
var messageStatus = map[string]string{
	"Message Sent": "sent", "Message Delivered": "delivered", "Message Opened": "opened",
	"Message Clicked": "clicked", "Message Bounced": "bounced", "Message Failed": "failed",
	"Message Skipped": "skipped",
}
