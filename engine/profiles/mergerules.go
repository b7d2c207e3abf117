package profiles

import (
	"cmp"
	"slices"
	"strings"
)

// mergeTriggers keeps the later of what each trigger did last.
func (p *Profile) mergeTriggers(x *Profile) {
	for _, theirs := range x.Triggers {
		i, found := slices.BinarySearchFunc(p.Triggers, theirs.Trigger, func(t *TriggerState, name string) int { return strings.Compare(t.Trigger, name) })
		if !found {
			p.Triggers = slices.Insert(p.Triggers, i, theirs)
			continue
		}
		own := p.Triggers[i]
		own.LastStartAt = max(own.LastStartAt, theirs.LastStartAt)
		own.LastEndAt = max(own.LastEndAt, theirs.LastEndAt)
		own.LastMessageAt = max(own.LastMessageAt, theirs.LastMessageAt)
		own.LastDateAt = max(own.LastDateAt, theirs.LastDateAt)
		own.InactiveAt = max(own.InactiveAt, theirs.InactiveAt)
		own.ExistingAt = max(own.ExistingAt, theirs.ExistingAt)
		for _, mark := range theirs.Items {
			if i := slices.IndexFunc(own.Items, func(m *ItemMark) bool { return m.Item == mark.Item }); i >= 0 {
				own.Items[i].At = max(own.Items[i].At, mark.At)
			} else {
				own.Items = append(own.Items, mark)
			}
		}
	}
}

// mergeRuns takes x's runs over; of two of one trigger and key the older stays.
func (p *Profile) mergeRuns(x *Profile) (dropped []*Run) {
	for _, theirs := range x.Runs {
		i, found := slices.BinarySearchFunc(p.Runs, theirs, compareRuns)
		if !found {
			p.Runs = slices.Insert(p.Runs, i, theirs)
			continue
		}
		own := p.Runs[i]
		if cmp.Or(cmp.Compare(theirs.StartedAt, own.StartedAt), strings.Compare(theirs.StartedBy, own.StartedBy)) < 0 {
			p.Runs[i], theirs = theirs, own
		}
		dropped = append(dropped, theirs)
	}
	return dropped
}

func compareRuns(a, b *Run) int {
	return cmp.Or(strings.Compare(a.Trigger, b.Trigger), strings.Compare(a.Key, b.Key))
}

// mergeCaps takes over what caps count, the goals that may still be reached and
// the messages that wait for the customer; a segment that either was in stays
// until the rules say otherwise.
func (p *Profile) mergeCaps(x *Profile) {
	for _, t := range x.Touches {
		if !slices.ContainsFunc(p.Touches, func(own *Touch) bool { return own.Message == t.Message }) {
			p.Touches = append(p.Touches, t)
		}
	}
	slices.SortStableFunc(p.Touches, func(a, b *Touch) int { return cmp.Compare(a.At, b.At) })
	p.Goals = append(p.Goals, x.Goals...)
	slices.SortStableFunc(p.Goals, func(a, b *Goal) int { return cmp.Compare(a.At, b.At) })
	for _, m := range x.Inbox {
		if !slices.ContainsFunc(p.Inbox, func(own *Pending) bool { return own.Id == m.Id }) {
			p.Inbox = append(p.Inbox, m)
		}
	}
	slices.SortStableFunc(p.Inbox, func(a, b *Pending) int { return cmp.Compare(a.At, b.At) })
	for _, s := range x.Segments {
		i, found := slices.BinarySearchFunc(p.Segments, s.Name, func(own *Membership, name string) int { return strings.Compare(own.Name, name) })
		if found {
			p.Segments[i].Since = min(p.Segments[i].Since, s.Since)
		} else {
			p.Segments = slices.Insert(p.Segments, i, s)
		}
	}
}

// mergeDecisions merges the latest decisions of both, newest first.
func (p *Profile) mergeDecisions(x *Profile) {
	if len(x.Decisions) == 0 {
		return
	}
	all := append(p.DecisionList(), x.DecisionList()...)
	slices.SortStableFunc(all, func(a, b *Decision) int { return cmp.Compare(b.At, a.At) })
	log := DecisionLog{Decisions: all[:min(len(all), maxDecisions)]}
	b, err := log.MarshalVT()
	if err != nil {
		panic("BUG: cannot encode decisions: " + err.Error())
	}
	p.Decisions = b
}
