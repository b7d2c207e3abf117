package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/rules"
)

// rulesState is what a partition keeps of its rules.
type rulesState struct {
	// Number is that of the rules in force; 0: those built in, or that the
	// process began with.
	Number int64 `json:"number"`
	// Past are the numbers of earlier ones, the newest last: runs go on by the
	// rules that they began with.
	Past []int64 `json:"past,omitempty"`
	// Births has when each segment came, by name.
	Births map[string]rules.Birth `json:"births,omitempty"`
	// Launches has when each trigger with existing came, by name.
	Launches map[string]rules.Launch `json:"launches,omitempty"`
	// Members is how many customers are in each segment.
	Members map[string]int64 `json:"members,omitempty"`
}

// maxPast is how many earlier rules a partition keeps for runs in progress;
// one that is older goes on by the rules of now.
const maxPast = 16

// setRules changes the rules between two batches.
func (w *worker) setRules(set *rules.Set) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adopt(set, w.state.Rules.Number+1)
	w.store.Publish()
}

// adopt lets rules run in the partition from here on, under a number. Segments
// that are new, or that say something else now, take in who matches already.
func (w *worker) adopt(set *rules.Set, number int64) {
	r := &w.state.Rules
	births, members := map[string]rules.Birth{}, map[string]int64{}
	var fresh []*rules.Segment
	for _, s := range set.Segments() {
		if b, ok := r.Births[s.Name]; ok && b.If == s.If {
			births[s.Name], members[s.Name] = b, r.Members[s.Name]
			continue
		}
		births[s.Name] = rules.Birth{Number: number, At: w.state.Now, If: s.If}
		fresh = append(fresh, s)
	}
	launched := set.Launches(w.rules)
	w.env.Past[r.Number] = w.rules
	r.Past = append(r.Past, r.Number)
	if old := len(r.Past) - maxPast; old > 0 {
		for _, n := range r.Past[:old] {
			delete(w.env.Past, n)
		}
		r.Past = slices.Delete(r.Past, 0, old)
	}
	r.Number, r.Births, r.Members = number, births, members
	w.use(set)
	w.store.Publish()
	w.launch(set, launched)
	turn := &rules.Turn{Now: w.state.Now, Env: &w.env}
	kept := maps.Clone(members)
	var removed []string
	w.sweep(func() {
		removed = nil
		clear(members)
		maps.Copy(members, kept)
		w.clearTimers()
	}, func(p *profiles.Profile) {
		w.waitFor(p)
		if set.Removes(p) {
			removed = append(removed, strings.Clone(p.Id))
		}
		if len(fresh) > 0 && p.AliasOf == "" {
			turn.Profile = p
			for _, s := range fresh {
				if set.Matches(turn, s) {
					members[s.Name]++
				}
			}
		}
	})
	w.endRemoved(removed)
}

// sweep calls f with every profile of the partition, in no order; before it, and
// whenever it has to begin again, begin. No profile may be open.
func (w *worker) sweep(begin func(), f func(p *profiles.Profile)) {
	all := func() {
		begin()
		w.store.Range(func(_ string, p *profiles.Profile) bool {
			f(p)
			return true
		})
	}
	if w.eachCold != nil {
		w.eachCold(all, f)
	} else {
		all()
	}
}

// launch notes the triggers that are new and take in who matches already, and
// over how long their customers are spread; those that are gone are forgotten.
func (w *worker) launch(set *rules.Set, perDay map[string]float64) {
	r := &w.state.Rules
	launches := map[string]rules.Launch{}
	for _, t := range set.Triggers() {
		if l, ok := r.Launches[t.Name]; ok && perDay[t.Name] == 0 {
			launches[t.Name] = l
		}
	}
	counts := map[string]int64{}
	if len(perDay) > 0 {
		turn := &rules.Turn{Now: w.state.Now, Env: &w.env}
		w.sweep(func() { clear(counts) }, func(p *profiles.Profile) {
			turn.Profile = p
			for name := range perDay { // map order: counts
				if set.Existing(turn, name, w.state.Now) {
					counts[name]++
				}
			}
		})
	}
	const day = 24 * 60 * 60 * 1000
	for name, rate := range perDay { // map order: names differ
		spread := float64(counts[name]) * float64(w.cfg.Partitions) / rate * day
		launches[name] = rules.Launch{Number: r.Number, At: w.state.Now, Spread: int64(spread)}
	}
	r.Launches, w.env.Launches = launches, launches
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

// use makes a set the one that the worker evaluates.
func (w *worker) use(set *rules.Set) {
	w.rules = set
	cfg := *w.cfg
	cfg.Profile.Counted = counted(set)
	w.cfg = &cfg
	w.env.Number, w.env.Births = w.state.Rules.Number, w.state.Rules.Births
}

// setTimers builds anew what is derived from the profiles.
func (w *worker) setTimers() { w.sweep(w.clearTimers, w.waitFor) }

// clearTimers forgets what is derived from the profiles.
func (w *worker) clearTimers() {
	w.env.Number, w.env.Births, w.env.Launches = w.state.Rules.Number, w.state.Rules.Births, w.state.Rules.Launches
	w.timers, w.interests = rules.Timers{}, rules.Interests{}
}

// waitFor notes what a customer waits for: moments, and changes of items.
func (w *worker) waitFor(p *profiles.Profile) {
	w.setExpiry(p)
	w.rules.Timers(p, w.state.Now, &w.env, w.timers.Push)
	if w.rules.HasItemStarts() {
		w.interests.Add(p)
	}
}

// countFlips counts who entered and exited segments. One that was found only
// now was counted when the segment came.
func (w *worker) countFlips(t *rules.Turn) {
	for i := range t.Flips {
		f := &t.Flips[i]
		if f.Quiet {
			continue
		}
		if w.state.Rules.Members == nil {
			w.state.Rules.Members = map[string]int64{}
		}
		if f.Entered {
			w.state.Rules.Members[f.Segment]++
		} else {
			w.state.Rules.Members[f.Segment]--
		}
	}
}
