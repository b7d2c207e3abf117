package rules

import (
	"bytes"
	"strconv"

	"github.com/goccy/go-json"
	"github.com/valyala/fastjson"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// Starts by what did not happen, and by what changed of the customer.

// inactiveKey is the key of an inactive start's timer.
const inactiveKey = "\x00inactive"

// lastOf is when the customer last did what an inactive start waits for, 0 for
// never.
func lastOf(p *profiles.Profile, name string) int64 {
	if name == "*" {
		return p.LastAt
	}
	var last int64
	if name == "Order Completed" {
		last = orZero(p.Orders, &zeroOrders).LastAt
	}
	for _, c := range p.Counts {
		if c.Name == name {
			last = max(last, c.LastAt)
		}
	}
	return last
}

// inactiveTimer adds the timer of an inactive start; moments that are past are
// passed over.
func (s *Set) inactiveTimer(trig *Trigger, p *profiles.Profile, after int64, add func(Timer)) {
	last := lastOf(p, trig.start.inactive)
	if due := last + trig.start.after; last > 0 && due > after && p.AliasOf == "" && !handledInactive(p, trig.Name, last) {
		add(Timer{Due: due, Profile: p.Id, Trigger: trig.Name, Key: inactiveKey, Priority: trig.Priority})
	}
}

func handledInactive(p *profiles.Profile, trigger string, last int64) bool {
	st := stateOf(p, trigger)
	return st != nil && st.InactiveAt >= last
}

// startInactive begins the run of a customer who has been inactive.
func (s *Set) startInactive(t *Turn, trig *Trigger, due int64) {
	p := t.Profile
	last := lastOf(p, trig.start.inactive)
	if last == 0 || last+trig.start.after > t.Now || last+trig.start.after > due || handledInactive(p, trig.Name, last) {
		return
	}
	state(p, trig.Name).InactiveAt = last
	t.startAt(trig, "", strconv.FormatInt(last, 10), due)
}

// startAt begins a run without an event, if nothing is against it.
func (t *Turn) startAt(trig *Trigger, key, startedBy string, due int64) {
	p := t.Profile
	if _, running := findRun(p, trig.Name, key); running || len(p.Runs) >= maxRuns || !t.set.alive(trig, t.Now, t.Env) ||
		trig.wait(p, t.Now) || !t.holds(trig, trig.start.cond, &zeroEvent, nil) {
		return
	}
	run := t.newRun(trig, startedBy)
	run.Key = key
	if !t.holds(trig, trig.while, &zeroEvent, run) {
		return
	}
	t.begin(trig, run, due, &zeroEvent)
}

// isActive reports whether the event is the one that an inactive start's run
// ends by.
func (t *Turn) isActive(name string) bool {
	return t.Event.Name == name || name == "*" && t.Event.Behaviour()
}

// noteTraits keeps the values, before the event, of the traits that it sets and
// that starts ask for.
func (s *Set) noteTraits(t *Turn) {
	if t.Event.Kind != streams.Identify || len(t.Event.Traits) == 0 {
		return
	}
	for _, trig := range s.traits {
		name := trig.start.changes
		if _, noted := t.old[name]; noted || trig.start.quoted != nil && !bytes.Contains(t.Event.Traits, trig.start.quoted) {
			continue
		}
		if t.old == nil {
			t.old = map[string][]byte{}
		}
		t.old[name] = t.trait(name)
	}
}

// trait is a trait's value in JSON, nil for none.
func (t *Turn) trait(name string) []byte {
	if len(t.Profile.Traits) == 0 {
		return nil
	}
	v, err := t.parser.ParseBytes(t.Profile.Traits)
	if err != nil {
		return nil
	}
	return marshal(v.Get(name))
}

func marshal(v *fastjson.Value) []byte {
	if v == nil {
		return nil
	}
	return v.MarshalTo(nil)
}

// startTraits starts the triggers of the traits that the event has changed.
func (s *Set) startTraits(t *Turn) {
	if len(t.old) == 0 {
		return
	}
	for _, trig := range s.traits {
		old, noted := t.old[trig.start.changes]
		if !noted {
			continue
		}
		now := t.trait(trig.start.changes)
		if bytes.Equal(old, now) {
			continue
		}
		t.scope.changed = &change{old: plainJSON(old), now: plainJSON(now)}
		s.tryStart(t, trig)
		t.scope.changed = nil
	}
}

// plainJSON is a JSON value as conditions see it, nil for none.
func plainJSON(b []byte) any {
	var v any
	if len(b) == 0 || json.Unmarshal(b, &v) != nil {
		return nil
	}
	return v
}
