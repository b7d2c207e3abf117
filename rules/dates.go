package rules

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// dateKey is the key of a date start's timer. No run has it: keys are made of
// printable values.
const dateKey = "\x00date"

// A date does not start a trigger again within so many days of the day that it
// last started it for, even if the customer's date changed in between.
const dateGap = 300 * day

// zoneShift is more than moving to another time zone can move a moment.
const zoneShift = 27 * hour

// occasion is one day that a date trigger starts for.
type occasion struct {
	year int   // of the day: what started the run
	day  int64 // the day as sent (29 February moved to 28), Unix ms of its beginning in UTC
	due  int64 // when the run starts, Unix ms
}

// calendarDate is a trait's date; year 0 where it has none.
type calendarDate struct {
	year  int
	month time.Month
	day   int
}

// parseDate reads 1990-05-17, an RFC 3339 time (its date as written) or 05-17.
func parseDate(s string) (calendarDate, bool) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return calendarDate{t.Year(), t.Month(), t.Day()}, t.Year() > 0
		}
	}
	// A leap year, so that 02-29 is a date.
	if t, err := time.Parse(time.DateOnly, "2000-"+s); err == nil && len(s) == 5 {
		return calendarDate{0, t.Month(), t.Day()}, true
	}
	return calendarDate{}, false
}

// in is the date's day in a year: 29 February is 28 where there is none.
func (d calendarDate) in(year int) time.Time {
	t := time.Date(year, d.month, d.day, 0, 0, 0, 0, time.UTC)
	if t.Month() != d.month {
		t = t.AddDate(0, 0, -1)
	}
	return t
}

// dateOf is the customer's date for a trigger.
func dateOf(t *Trigger, p *profiles.Profile) (calendarDate, bool) {
	if len(p.Traits) == 0 || !bytes.Contains(p.Traits, t.start.quoted) {
		return calendarDate{}, false
	}
	return parseDate(fastjson.GetString(p.Traits, t.start.trait))
}

// localTime is that minute of that day in a zone. A time that a clock change
// skips is the one that the clock shows instead (02:30 becomes 03:30, and a
// day that crossing the date line leaves out the next); of one that comes
// twice, the first.
func localTime(d time.Time, minutes int, loc *time.Location) int64 {
	t := time.Date(d.Year(), d.Month(), d.Day(), minutes/60, minutes%60, 0, 0, loc)
	earlier := t.Add(-3 * time.Hour)
	_, before := earlier.Zone()
	// Read with the offset that held before a change, a skipped time comes out
	// after it, and a time that comes twice is its first.
	first := time.Date(d.Year(), d.Month(), d.Day(), minutes/60, minutes%60, 0, 0, time.FixedZone("", before))
	if _, now := first.In(loc).Zone(); now == before || t.Hour()*60+t.Minute() != minutes || t.Day() != d.Day() {
		return first.UnixMilli()
	}
	return t.UnixMilli()
}

// nextOccasion is the first occasion due after a time, for which the trigger
// has not run.
func (s *Set) nextOccasion(t *Trigger, p *profiles.Profile, after int64, env *Env) (occasion, bool) {
	d, ok := dateOf(t, p)
	if !ok {
		return occasion{}, false
	}
	loc, state := s.zoneOf(p, env), stateOf(p, t.Name)
	first, last := t.years(d, after)
	for year := first; year <= last; year++ {
		o := t.occasion(d, year)
		late := state != nil && state.LastStartAt > o.roughly(t)-2*day && o.day > after-2*day
		if o.roughly(t) < after-2*day && !late || blocked(state, o.day) {
			continue
		}
		o.due = o.moment(t, loc)
		if late && state.LastStartAt > o.due {
			due, ok := t.lateStart(o, state.LastStartAt, loc)
			if !ok {
				continue
			}
			o.due = due
		}
		if o.due > after {
			return o, true
		}
	}
	return occasion{}, false
}

// blocked reports whether the trigger ran for this day, or one too near.
func blocked(state *profiles.TriggerState, day int64) bool {
	return state != nil && state.LastDateAt != 0 && day-state.LastDateAt < dateGap
}

// years are those of the occasions around a time; first > last for none.
func (t *Trigger) years(d calendarDate, around int64) (first, last int) {
	if t.start.once {
		if d.year == 0 {
			return 1, 0
		}
		return d.year, d.year
	}
	year := time.UnixMilli(around).UTC().Year()
	return max(year-1, d.year), year + 2
}

// occasion is the one of a year; due is not known yet.
func (t *Trigger) occasion(d calendarDate, year int) occasion {
	return occasion{year: year, day: d.in(year).UnixMilli()}
}

// roughly is within two days of when the occasion is due, in any zone.
func (o occasion) roughly(t *Trigger) int64 { return o.day + int64(t.start.offset)*day }

// moment is when the occasion is due in a zone.
func (o occasion) moment(t *Trigger, loc *time.Location) int64 {
	return localTime(time.UnixMilli(o.roughly(t)).UTC(), t.start.at, loc)
}

// lateStart is when an occasion starts whose date was set after its moment: at
// the next `at`, if its day is not past then.
func (t *Trigger) lateStart(o occasion, set int64, loc *time.Location) (int64, bool) {
	today := time.UnixMilli(set).In(loc)
	for i := range 2 {
		d := time.Date(today.Year(), today.Month(), today.Day()+i, 0, 0, 0, 0, time.UTC)
		if d.UnixMilli() > o.day {
			break
		}
		if due := localTime(d, t.start.at, loc); due > set {
			return due, true
		}
	}
	return 0, false
}

// setDates notes, for each date trigger whose date t.Event sets, that it was
// set at t.Now, where the moment of the nearest day has just passed: see
// lateStart. TriggerState.LastStartAt of a date trigger has this meaning only.
func (s *Set) setDates(t *Turn) {
	if len(s.dates) == 0 || len(t.Event.Traits) == 0 && t.Event.Timezone == "" {
		return
	}
	for _, trig := range s.dates {
		d, ok := dateOf(trig, t.Profile)
		if !ok {
			continue
		}
		set := bytes.Contains(t.Event.Traits, trig.start.quoted)
		s.setDate(t, trig, d, set)
	}
}

func (s *Set) setDate(t *Turn, trig *Trigger, d calendarDate, set bool) {
	first, last := trig.years(d, t.Now)
	for year := first; year <= last; year++ {
		o := trig.occasion(d, year)
		if o.day < t.Now-2*day || o.roughly(trig) > t.Now+2*day || blocked(stateOf(t.Profile, trig.Name), o.day) {
			continue
		}
		loc := s.zoneOf(t.Profile, t.Env)
		o.due = o.moment(trig, loc)
		// Without a new date, a new zone may have moved the moment into the past.
		if o.due > t.Now || !set && t.Now-o.due > zoneShift {
			continue
		}
		if _, ok := trig.lateStart(o, t.Now, loc); ok {
			state(t.Profile, trig.Name).LastStartAt = t.Now
		}
	}
}

// startDate begins the run of a date whose timer is due.
func (s *Set) startDate(t *Turn, trig *Trigger, due int64) {
	o, ok := s.nextOccasion(trig, t.Profile, due-1, t.Env)
	if !ok || o.due > t.Now {
		return
	}
	state(t.Profile, trig.Name).LastDateAt = o.day
	if _, running := findRun(t.Profile, trig.Name, ""); running || !s.alive(trig, t.Now, t.Env) || trig.wait(t.Profile, t.Now) {
		return
	}
	run := t.newRun(trig, strconv.Itoa(o.year))
	if !t.holds(trig, trig.while, &zeroEvent, run) {
		t.skip(trig, run, trig.nextSend(0), ReasonCondition)
		return
	}
	t.begin(trig, run, o.due, &zeroEvent)
}

// passDate marks a date whose moment was in history as dealt with.
func (s *Set) passDate(t *Turn, trig *Trigger, due int64) {
	o, ok := s.nextOccasion(trig, t.Profile, due-1, t.Env)
	if !ok || o.due > due {
		return
	}
	state(t.Profile, trig.Name).LastDateAt = o.day
	t.skip(trig, t.newRun(trig, ""), trig.nextSend(0), ReasonExpired)
}

// dateTimer is the timer of the customer's next occasion.
func (s *Set) dateTimer(trig *Trigger, p *profiles.Profile, now int64, env *Env, add func(Timer)) {
	if o, ok := s.nextOccasion(trig, p, now, env); ok {
		add(Timer{Due: o.due, Profile: p.Id, Trigger: trig.Name, Key: dateKey, Priority: trig.Priority})
	}
}

// stateOf is what the customer's profile remembers of a trigger, nil for nothing.
func stateOf(p *profiles.Profile, trigger string) *profiles.TriggerState {
	if i, ok := findState(p, trigger); ok {
		return p.Triggers[i]
	}
	return nil
}

// state is stateOf, made where there is none.
func state(p *profiles.Profile, trigger string) *profiles.TriggerState {
	i, ok := findState(p, trigger)
	if !ok {
		p.Triggers = slices.Insert(p.Triggers, i, &profiles.TriggerState{Trigger: trigger})
	}
	return p.Triggers[i]
}

func findState(p *profiles.Profile, trigger string) (int, bool) {
	return slices.BinarySearchFunc(p.Triggers, trigger, func(t *profiles.TriggerState, name string) int {
		return strings.Compare(t.Trigger, name)
	})
}
