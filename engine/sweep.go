package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/rules"
)

// sweep is a look at all customers after the rules have changed: what they wait
// for now, who is in segments that are new, whose runs end as their triggers are
// gone. Before it, where triggers take in who matches already, those are counted.
type sweep struct {
	At   int64 `json:"at"`   // the partition's time when the rules changed
	Slot int   `json:"slot"` // customers of the slots before it have been seen
	// Rates are the triggers that take in who matches already, with how many a
	// day, until those are counted in Counts.
	Rates  map[string]float64 `json:"rates,omitempty"`
	Counts map[string]int64   `json:"counts,omitempty"`
}

// beginSweep looks at all customers: at once, or in steps.
func (w *worker) beginSweep(rates map[string]float64) {
	w.state.Work.Sweep = &sweep{At: w.state.Now, Rates: rates}
	if w.state.Work.On {
		w.ask()
		return
	}
	w.clearTimers()
	w.finishSweep()
}

// finishSweep does at once what is left of a sweep.
func (w *worker) finishSweep() {
	for w.state.Work.Sweep != nil {
		w.sweepTo(profiles.Slots)
	}
}

// sweepTo looks at the customers of the slots before one.
func (w *worker) sweepTo(slot int) {
	s := w.state.Work.Sweep
	if slot <= s.Slot {
		return
	}
	w.store.Publish()
	if len(s.Rates) > 0 {
		w.countExisting(slot)
	} else {
		w.sweepSlots(slot)
	}
	if s.Slot = slot; slot < profiles.Slots {
		return
	}
	if len(s.Rates) == 0 {
		w.state.Work.Sweep = nil
		return
	}
	w.launch(s.Rates, s.Counts)
	s.Slot, s.Rates, s.Counts = 0, nil, nil
}

// countExisting counts who matches triggers that take in who does already.
func (w *worker) countExisting(slot int) {
	s := w.state.Work.Sweep
	turn, counts := &rules.Turn{Now: s.At, Env: &w.env}, map[string]int64{}
	w.each(s.Slot, slot, func() { clear(counts) }, func(p *profiles.Profile) {
		turn.Profile = p
		for name := range s.Rates { // map order: counts
			if w.rules.Existing(turn, name, s.At) {
				counts[name]++
			}
		}
	})
	if s.Counts == nil {
		s.Counts = map[string]int64{}
	}
	addAll(s.Counts, counts)
}

// launch notes the triggers that take in who matches already, and over how long
// their customers are spread.
func (w *worker) launch(perDay map[string]float64, counts map[string]int64) {
	const day = 24 * 60 * 60 * 1000
	launches := maps.Clone(w.state.Rules.Launches)
	if launches == nil {
		launches = map[string]rules.Launch{}
	}
	for name, rate := range perDay { // map order: names differ
		spread := float64(counts[name]) * float64(w.cfg.Partitions) / rate * day
		launches[name] = rules.Launch{Number: w.state.Rules.Number, At: w.state.Work.Sweep.At, Spread: int64(spread)}
	}
	w.state.Rules.Launches, w.env.Launches = launches, launches
}

// sweepSlots brings customers under the rules in force.
func (w *worker) sweepSlots(slot int) {
	var removed []string
	fresh, members := w.freshSegments(), map[string]int64{}
	turn := &rules.Turn{Now: w.state.Work.Sweep.At, Env: &w.env}
	w.each(w.state.Work.Sweep.Slot, slot, func() {
		removed = nil
		clear(members)
	}, func(p *profiles.Profile) {
		w.timers.Forget(p.Id)
		w.waitFor(p)
		if w.rules.Removes(p) {
			removed = append(removed, strings.Clone(p.Id))
		}
		w.countFresh(turn, p, fresh, members)
	})
	w.addMembers(members)
	w.endRemoved(removed)
}

// sweepOne brings a customer under the rules in force whose turn has not come.
func (w *worker) sweepOne(p *profiles.Profile) {
	s := w.state.Work.Sweep
	if p.Rules == w.state.Rules.Number || len(s.Rates) == 0 && profiles.Slot(p.Id) < s.Slot {
		return
	}
	members := map[string]int64{}
	w.countFresh(&rules.Turn{Now: s.At, Env: &w.env}, p, w.freshSegments(), members)
	w.addMembers(members)
	w.timers.Forget(p.Id)
	w.waitFor(p)
	t := w.turn(p, nil)
	w.rules.Before(t)
	w.rules.EndRemoved(t)
	w.store.Changed(p)
	w.emit(t)
}

// freshSegments are those that came with the rules in force.
func (w *worker) freshSegments() (fresh []*rules.Segment) {
	for _, s := range w.rules.Segments() {
		if w.state.Rules.Births[s.Name].Number == w.state.Rules.Number {
			fresh = append(fresh, s)
		}
	}
	return fresh
}

// countFresh counts the segments that a customer was in when they came. One who
// was met since has been counted.
func (w *worker) countFresh(turn *rules.Turn, p *profiles.Profile, fresh []*rules.Segment, members map[string]int64) {
	if len(fresh) == 0 || p.AliasOf != "" || p.Rules == w.state.Rules.Number {
		return
	}
	turn.Profile = p
	for _, s := range fresh {
		if w.rules.Matches(turn, s) {
			members[s.Name]++
		}
	}
}

func (w *worker) addMembers(n map[string]int64) {
	if w.state.Rules.Members == nil {
		w.state.Rules.Members = map[string]int64{}
	}
	addAll(w.state.Rules.Members, n)
}

// each calls f with every profile of some slots, in no order; before it, and
// whenever it has to begin again, begin. No profile may be open.
func (w *worker) each(from, to int, begin func(), f func(p *profiles.Profile)) {
	all := func() {
		begin()
		w.store.RangeSlots(from, to, func(_ string, p *profiles.Profile) bool {
			f(p)
			return true
		})
	}
	if w.eachCold == nil {
		all()
		return
	}
	w.eachCold(all, func(p *profiles.Profile) {
		if slot := profiles.Slot(p.Id); slot >= from && slot < to {
			f(p)
		}
	})
}

// endRemoved ends the runs of triggers that there are no more.
func (w *worker) endRemoved(ids []string) {
	slices.Sort(ids)
	for _, id := range ids {
		p := w.open(id)
		t := w.turn(p, nil)
		w.rules.EndRemoved(t)
		w.store.Changed(p)
		w.emit(t)
	}
}
