package rules

import (
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A trigger that is new starts nothing for customers who match already, unless
// it says `existing: {rate: 5000/h}`: then each of them has a turn, spread over
// the time that the rate asks for. Nothing is stored for it in the customers'
// profiles before their turn comes: who matched when the trigger came, and when
// the turn is, follow from the profile and the launch.

// existingKey is the key of the timer of a customer who matched already.
const existingKey = "\x00existing"

// Launch is when a trigger with `existing` came into the rules, and over how
// long, in ms, the turns of those who matched then are spread.
type Launch struct {
	Number int64 `json:"n"` // of the rules
	At     int64 `json:"at"`
	Spread int64 `json:"spread"`
}

// existing reads `existing: {rate: 5000/h}`: how many of those who
// match already may start, a day.
func (f *file) existing(e entry) (perDay float64) {
	const must = "so many an hour or so, as in existing: {rate: 5000/h} (s, m, h or d)"
	if isMapping(e) && !hasKey(e, "rate") {
		f.add(e.at, "existing needs a rate: %s", must)
	}
	for _, x := range f.mapping(e, "existing", []string{"rate"}, nil) {
		text, ok := scalarText(x.val)
		number, unit, _ := strings.Cut(text, "/")
		n, err := strconv.Atoi(number)
		days, known := map[string]float64{"s": 86400, "m": 1440, "h": 24, "d": 1}[unit]
		if !ok || err != nil || n < 1 || n > 1e9 || !known {
			f.add(x.val, "rate is %q: it must be %s", text, must)
			continue
		}
		perDay = float64(n) * days
	}
	return perDay
}

// existingOK checks that a trigger with `existing` has a start that customers can
// match already.
func (f *file) existingOK(t *Trigger, at entry) {
	if kind := t.start.kind(); kind != "inactive" && (kind != "segment" || t.start.leaves) {
		f.add(at.at, "trigger %s: existing is for starts by inactive, or by a segment that is entered", t.Name)
	}
}

// Launches are the triggers of s with `existing` that old (may be nil) does not
// have, with how many of their customers may have their turn in a day.
func (s *Set) Launches(old *Set) map[string]float64 {
	list := map[string]float64{}
	for _, t := range s.triggers {
		if t.existing > 0 && s.byName[t.Name] != nil && (old == nil || old.byName[t.Name] == nil) {
			list[t.Name] = t.existing
		}
	}
	return list
}

// Existing reports whether the customer of t matched a trigger with `existing`
// at a time already.
func (s *Set) Existing(t *Turn, trigger string, at int64) bool {
	t.prepare(s)
	trig := s.byName[trigger]
	return trig != nil && t.Profile.AliasOf == "" && s.matched(t, trig, at)
}

// matched reports whether the customer matched by a time, and still does.
func (s *Set) matched(t *Turn, trig *Trigger, at int64) bool {
	p := t.Profile
	if name := trig.start.inactive; name != "" {
		last := lastOf(p, name)
		return last > 0 && last+trig.start.after <= at && !handledInactive(p, trig.Name, last)
	}
	if p.Events == 0 {
		return false
	}
	if b := t.Env.Births[trig.start.segment]; b.Number > p.Rules { // it was not looked at yet
		now := t.scope.now
		t.scope.now = b.At
		defer func() { t.scope.now = now }()
		return b.At <= at && t.holdsSegment(s.bySegment[trig.start.segment])
	}
	i, in := findSegment(p, trig.start.segment)
	return in && p.Segments[i].Since <= at
}

// existingTimers adds the turns of a customer who matched new triggers already.
func (s *Set) existingTimers(t *Turn, add func(Timer)) {
	p := t.Profile
	for name, l := range t.Env.Launches { // map order: each by itself
		trig := s.byName[name]
		if trig == nil || p.AliasOf != "" {
			continue
		}
		if st := stateOf(p, name); st != nil && st.ExistingAt >= l.At || !s.matched(t, trig, l.At) {
			continue
		}
		add(Timer{Due: l.turn(p.Id), Profile: p.Id, Trigger: name, Key: existingKey, Priority: trig.Priority})
	}
}

// turn is when it is a customer's turn: equal customers of a launch are spread
// evenly, whatever they are called.
func (l Launch) turn(id string) int64 {
	return l.At + 1 + int64(float64(xxhash.Sum64String(id))/(1<<64)*float64(l.Spread))
}

// startExisting begins the run of a customer who matched before the trigger came.
func (s *Set) startExisting(t *Turn, trig *Trigger, due int64) {
	l, ok := t.Env.Launches[trig.Name]
	if st := stateOf(t.Profile, trig.Name); !ok || st != nil && st.ExistingAt >= l.At || !s.matched(t, trig, l.At) {
		return
	}
	st := state(t.Profile, trig.Name)
	st.ExistingAt = l.At
	startedBy := "existing:" + strconv.FormatInt(l.Number, 10)
	if name := trig.start.inactive; name != "" {
		st.InactiveAt = lastOf(t.Profile, name)
		startedBy = strconv.FormatInt(st.InactiveAt, 10)
	}
	t.startAt(trig, "", startedBy, due)
}
