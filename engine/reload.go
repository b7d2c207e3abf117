package engine

import (
	"slices"

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
	w.finishSweep()
	if w.state.Work.On {
		w.fireUntil(w.state.Now, rules.LastProfile) // by the rules that they were set by
	}
	r := &w.state.Rules
	births, members := map[string]rules.Birth{}, map[string]int64{}
	for _, s := range set.Segments() {
		if b, ok := r.Births[s.Name]; ok && b.If == s.If {
			births[s.Name], members[s.Name] = b, r.Members[s.Name]
		} else {
			births[s.Name] = rules.Birth{Number: number, At: w.state.Now, If: s.If}
		}
	}
	rates := set.Launches(w.rules)
	launches := map[string]rules.Launch{}
	for _, t := range set.Triggers() {
		if l, ok := r.Launches[t.Name]; ok && rates[t.Name] == 0 {
			launches[t.Name] = l
		}
	}
	w.env.Past[r.Number] = w.rules
	r.Past = append(r.Past, r.Number)
	if old := len(r.Past) - maxPast; old > 0 {
		for _, n := range r.Past[:old] {
			delete(w.env.Past, n)
		}
		r.Past = slices.Delete(r.Past, 0, old)
	}
	r.Number, r.Births, r.Members, r.Launches = number, births, members, launches
	if !set.HasItemStarts() || !w.rules.HasItemStarts() {
		w.interests, w.found = rules.Interests{}, found{}
	}
	w.use(set)
	w.beginSweep(rates)
}

// use makes a set the one that the worker evaluates.
func (w *worker) use(set *rules.Set) {
	w.rules = set
	cfg := *w.cfg
	cfg.Profile.Counted = counted(set)
	w.cfg = &cfg
	w.env.Number, w.env.Births, w.env.Launches = w.state.Rules.Number, w.state.Rules.Births, w.state.Rules.Launches
}

// setTimers builds anew what is derived from the profiles.
func (w *worker) setTimers() { w.each(0, profiles.Slots, w.clearTimers, w.waitFor) }

// clearTimers forgets what is derived from the profiles.
func (w *worker) clearTimers() {
	w.env.Number, w.env.Births, w.env.Launches = w.state.Rules.Number, w.state.Rules.Births, w.state.Rules.Launches
	w.timers, w.interests, w.found = rules.Timers{}, rules.Interests{}, found{}
}

// waitFor notes what a customer waits for: moments, and changes of items.
func (w *worker) waitFor(p *profiles.Profile) {
	w.setExpiry(p)
	w.rules.Timers(p, w.passed(p), &w.env, w.timers.Push)
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
