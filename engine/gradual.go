package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// What concerns very many customers of a live partition at once is done little
// by little, so that events that come meanwhile do not wait: the timers that are
// due at a tick, the customers who may be interested in items that have changed,
// and all customers when the rules change. How far the next step goes is
// written to the partition's own log before it is taken, as a record behind what
// others have written by then; so each step is taken at the same place in every
// fold, whatever the memory of the one who decided on it held. There is one such
// record under way at a time.
//
// A customer who is met before his turn is brought up to date first, so that for
// each customer everything happens in the order in which it would have happened
// at once.

const (
	// crowdSize is how many customers a live partition must have had for its work
	// to be done little by little.
	crowdSize = 10_000
	// stepSize is how many customers a step is about, more or less.
	stepSize = 500
	// stepPatience is how long, by the partition's clock in ms, a step is waited
	// for before it is asked for again.
	stepPatience = 60_000
)

// gradual is a partition's work that is done little by little; part of its state.
type gradual struct {
	// Created is how many customers the partition has ever had; On says that its
	// work is done little by little.
	Created int64 `json:"created"`
	On      bool  `json:"on,omitempty"`
	// Asked is when the step that is under way was asked for, 0 for none; Step is
	// its number. Others that may still come are void.
	Asked int64 `json:"asked,omitempty"`
	Step  int64 `json:"step,omitempty"`
	// Due and Profile say which timers have fired: those due before Due, and of
	// those due then the profiles' up to Profile.
	Due     int64  `json:"due,omitempty"`
	Profile string `json:"profile,omitempty"`
	// Drop is before when timers were due on a log of history that no longer fire.
	Drop int64 `json:"drop,omitempty"`
	// Told is the last change of an item that all who may be interested have been
	// told of; of the next one, those up to ToldTo have.
	Told   int64  `json:"told"`
	ToldTo string `json:"told_to,omitempty"`
	// Sweep is under way since the rules have changed.
	Sweep *sweep `json:"sweep,omitempty"`
}

// nextStep is the value of a KindStep record: how far a step goes.
type nextStep struct {
	Number  int64  `json:"n"`
	Due     int64  `json:"due,omitempty"` // see gradual
	Profile string `json:"profile,omitempty"`
	Change  int64  `json:"change,omitempty"` // of items: all before it, and
	Told    string `json:"told,omitempty"`   // of this one customers up to that
	Slot    int    `json:"slot,omitempty"`   // customers of the slots before it are swept
}

// itemChange is a change of an item that customers are still to be told of.
type itemChange struct {
	number int64
	id     string
}

// behind reports whether there are steps to take.
func (w *worker) behind() bool {
	g := &w.state.Work
	return g.On && (g.Sweep != nil || g.Told < w.state.Catalog || !w.allFired())
}

// allFired reports whether all timers that are due by now have fired.
func (w *worker) allFired() bool {
	return w.state.Work.Due >= w.state.Now && w.state.Work.Profile == rules.LastProfile
}

// ask asks for the next step, if there is one and none is under way.
func (w *worker) ask() {
	g := &w.state.Work
	if !w.behind() || g.Asked > 0 && w.state.Now < g.Asked+stepPatience {
		return
	}
	next := w.plan()
	g.Step++
	next.Number = g.Step
	value, err := json.Marshal(&next)
	if err != nil {
		panic("BUG: cannot encode a step: " + err.Error())
	}
	g.Asked = max(w.state.Now, 1)
	w.outbox.event(w.id, "step", value, []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindStep)}})
}

// plan says how far the next step goes. It is the one thing here that may depend
// on what the worker happens to have in memory.
func (w *worker) plan() (s nextStep) {
	if sweep := w.state.Work.Sweep; sweep != nil {
		s.Slot = profiles.Slots
		if n := w.store.Len(); n == w.store.InMemory() { // else one look at the store is enough
			s.Slot = min(s.Slot, sweep.Slot+max(1, w.cfg.Step*profiles.Slots/max(n, 1)))
		}
		return s
	}
	s.Due, s.Profile = w.timers.Until(w.cfg.Step, w.state.Now)
	s.Change, s.Told = w.state.Catalog, rules.LastProfile
	left, from := w.cfg.Step, w.state.Work.ToldTo
	for _, c := range w.changes {
		ids := w.interested(c.id, from)
		if left -= len(ids) + 1; left <= 0 {
			s.Change, s.Told = c.number, rules.LastProfile
			if n := len(ids) + left; n > 0 && n < len(ids) {
				s.Told = ids[n-1]
			}
			break
		}
		from = ""
	}
	return s
}

// onStep takes a step, and asks for the next one.
func (w *worker) onStep(rec *streams.Record) {
	var s nextStep
	if err := json.Unmarshal(rec.Value, &s); err != nil {
		w.deadLetter(rec, fmt.Errorf("cannot read a step: %w", err))
		return
	}
	if !w.state.Work.On || w.state.Work.Asked == 0 || s.Number != w.state.Work.Step {
		return
	}
	w.state.Work.Asked = 0
	if w.state.Work.Sweep != nil {
		w.sweepTo(min(s.Slot, profiles.Slots))
	} else {
		w.fireUntil(s.Due, s.Profile)
		w.tellUntil(s.Change, s.Told)
	}
	w.ask()
}

// fireUntil fires the timers that are due before a time, and those due then of
// profiles up to one.
func (w *worker) fireUntil(due int64, profile string) {
	g := &w.state.Work
	if due > w.state.Now {
		due, profile = w.state.Now, rules.LastProfile
	}
	if due > g.Due || due == g.Due && profile > g.Profile {
		g.Due, g.Profile = due, profile
	}
	for {
		tm, ok := w.timers.PopUntil(g.Due, g.Profile)
		if !ok {
			break
		}
		w.fire(tm, tm.Due < g.Drop)
	}
}

// fireLater lets the timers that are due at a live tick fire in steps, if there
// are so many customers. Until before the tick all have fired.
func (w *worker) fireLater(before int64, first bool) bool {
	g := &w.state.Work
	if !g.On {
		if g.Created < w.cfg.Crowd {
			return false
		}
		g.On, g.Due, g.Profile = true, before, rules.LastProfile
	}
	if first {
		g.Drop = w.state.Now
	}
	w.ask()
	return true
}

// passed is up to when a customer's timers have fired.
func (w *worker) passed(p *profiles.Profile) int64 {
	g := &w.state.Work
	if !g.On {
		return w.state.Now
	}
	if p.Id > g.Profile {
		return max(g.Due-1, p.PassedAt)
	}
	return max(g.Due, p.PassedAt)
}

// catchUp brings a customer up to date whose turn has not come, before anything
// happens to him.
func (w *worker) catchUp(id string) {
	g := &w.state.Work
	if !g.On || g.Sweep == nil && w.allFired() {
		return
	}
	p := w.store.Lookup(id)
	if p == nil || p.AliasOf != "" {
		return
	}
	if g.Sweep != nil {
		w.sweepOne(p)
	}
	for tm, ok := w.timers.PopProfile(id, w.state.Now); ok; tm, ok = w.timers.PopProfile(id, w.state.Now) {
		w.fire(tm, tm.Due < g.Drop)
	}
	if p = w.store.Lookup(id); p != nil && p.PassedAt < w.state.Now {
		p.PassedAt = w.state.Now
		w.store.Changed(p)
	}
}

// tellLater notes a change of an item that customers are to be told of.
func (w *worker) tellLater(c *streams.CatalogChange) {
	if len(w.changes) == 0 && !w.rules.HasItemStarts() {
		w.state.Work.Told = w.state.Catalog
		return
	}
	w.changes = append(w.changes, itemChange{c.Number, strings.Clone(c.ID)})
}

// tellUntil tells customers of the changes before one, and of that one customers
// up to a profile.
func (w *worker) tellUntil(number int64, profile string) {
	g := &w.state.Work
	for len(w.changes) > 0 && w.changes[0].number <= number {
		c, to := w.changes[0], rules.LastProfile
		if c.number == number {
			to = profile
		}
		if to > g.ToldTo {
			w.tell(&streams.CatalogChange{Number: c.number, ID: c.id, Old: w.catalogue.At(c.id, c.number-1), New: w.catalogue.At(c.id, c.number)}, to)
			g.ToldTo = to
		}
		if g.ToldTo != rules.LastProfile {
			return
		}
		g.Told, g.ToldTo, w.changes = c.number, "", w.changes[1:]
	}
	if len(w.changes) == 0 {
		g.Told, g.ToldTo, w.changes = w.state.Catalog, "", nil
	}
}

// tell evaluates a change for customers up to one who have not been told of it.
func (w *worker) tell(c *streams.CatalogChange, to string) {
	if !w.rules.HasItemStarts() || !w.rules.Concerns(c) {
		return
	}
	for _, id := range w.interested(c.ID, w.state.Work.ToldTo) {
		if id > to {
			return
		}
		w.catchUp(id)
		w.tellOne(id, c)
	}
}

// interested are the customers after one who may be interested in an item.
func (w *worker) interested(item, after string) []string {
	if mark := w.interests.Mark(item); w.found.item != item || w.found.mark != mark {
		w.found = found{item, mark, w.interests.Find(item)}
	}
	i, found := slices.BinarySearch(w.found.ids, after)
	if found {
		i++
	}
	return w.found.ids[i:]
}

// found are the customers who may be interested in an item, as long as its mark
// is this.
type found struct {
	item string
	mark [2]int
	ids  []string
}

// pendingChanges are the changes of items that customers of a restored partition
// are still to be told of.
func (w *worker) pendingChanges() {
	w.changes = nil
	told := w.state.Work.Told
	if told >= w.state.Catalog {
		return
	}
	w.catalogue.Range(func(id string, versions []recommender.Version) bool {
		for _, v := range versions {
			if v.Number > told && v.Number <= w.state.Catalog {
				w.changes = append(w.changes, itemChange{v.Number, id})
			}
		}
		return true
	})
	slices.SortFunc(w.changes, func(a, b itemChange) int { return int(a.number - b.number) })
}
