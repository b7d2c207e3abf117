package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
)

type timerKey struct{ profile, trigger, key string }

// TestTimers compares random pushes and pops with a plain map.
func TestTimers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var timers Timers
	model := map[timerKey]int64{}
	check := func(got Timer, ok bool, until func(Timer) bool) {
		t.Helper()
		want, wantOK := popModel(model, until)
		if ok != wantOK || got != want {
			t.Fatalf("got %v %v, want %v %v", got, ok, want, wantOK)
		}
	}
	for range 50000 {
		now, profile := int64(r.IntN(1000)), fmt.Sprint(r.IntN(30))
		switch n := r.IntN(60); {
		case n == 0:
			timers.Forget(profile)
			for k := range model {
				if k.profile == profile {
					delete(model, k)
				}
			}
		case n == 1: // as many as are asked for, or more where some have moved
			at, last := timers.Until(1+r.IntN(5), now)
			for tm, ok := timers.PopUntil(at, last); ok; tm, ok = timers.PopUntil(at, last) {
				check(tm, ok, func(tm Timer) bool { return tm.Due < at || tm.Due == at && tm.Profile <= last })
			}
			check(Timer{}, false, func(tm Timer) bool { return tm.Due < at || tm.Due == at && tm.Profile <= last })
			if last == LastProfile && at != now {
				t.Fatalf("until %d of %d", at, now)
			}
		case n < 10:
			tm, ok := timers.PopProfile(profile, now)
			check(tm, ok, func(tm Timer) bool { return tm.Due <= now && tm.Profile == profile })
		case n < 25:
			tm, ok := timers.PopDue(now)
			check(tm, ok, func(tm Timer) bool { return tm.Due <= now })
		default:
			tm := Timer{Due: now, Profile: profile, Trigger: fmt.Sprint(r.IntN(3)), Key: fmt.Sprint(r.IntN(2))}
			timers.Push(tm)
			model[timerKey{tm.Profile, tm.Trigger, tm.Key}] = tm.Due
		}
		if timers.Len() != len(model) {
			t.Fatalf("%d timers, want %d", timers.Len(), len(model))
		}
		if len(timers.heap) > 2*len(model)+129 {
			t.Fatalf("%d entries for %d timers", len(timers.heap), len(model))
		}
	}
}

// TestTimersUntil finds how far the first timers go.
func TestTimersUntil(t *testing.T) {
	var timers Timers
	if due, profile := timers.Until(3, 50); due != 50 || profile != LastProfile {
		t.Error(due, profile)
	}
	for i := range 100 {
		timers.Push(Timer{Due: int64(i * 37 % 100), Profile: fmt.Sprintf("p%02d", i*37%100), Trigger: "x"})
	}
	for n := 1; n <= 100; n++ {
		if due, profile := timers.Until(n, 1000); due != int64(n-1) || profile != fmt.Sprintf("p%02d", n-1) {
			t.Fatalf("the first %d go until %d %s", n, due, profile)
		}
	}
	if due, profile := timers.Until(12, 10); due != 10 || profile != LastProfile {
		t.Error(due, profile)
	}
}

func popModel(model map[timerKey]int64, which func(Timer) bool) (Timer, bool) {
	all := make([]Timer, 0, len(model))
	for k, due := range model {
		if tm := (Timer{due, k.profile, k.trigger, k.key, 0}); which(tm) {
			all = append(all, tm)
		}
	}
	if len(all) == 0 {
		return Timer{}, false
	}
	first := slices.MinFunc(all, Timer.compare)
	delete(model, timerKey{first.Profile, first.Trigger, first.Key})
	return first, true
}

func TestParseDate(t *testing.T) {
	for s, want := range map[string]calendarDate{
		"1990-05-17": {1990, time.May, 17}, " 1990-05-17 ": {1990, time.May, 17}, "05-17": {0, time.May, 17}, "02-29": {0, time.February, 29},
		"1990-05-17T23:30:00-05:00": {1990, time.May, 17}, "1990-05-17T23:30:00.123Z": {1990, time.May, 17},
	} {
		if got, ok := parseDate(s); !ok || got != want {
			t.Errorf("%q: got %v %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "17.05.1990", "1990-5-17", "1990-02-30", "02-30", "1991-02-29", "13-01", "0000-01-01", "5-17", "1990-05-17 10:00", "99999-01-01"} {
		if got, ok := parseDate(s); ok {
			t.Errorf("%q: got %v, want none", s, got)
		}
	}
}

// TestOccasions checks when dates are due, across clock changes, zones and leap
// years.
func TestOccasions(t *testing.T) {
	s := BuiltIn()
	trigger := func(offset, at int, once bool) *Trigger {
		return &Trigger{Name: "d", start: start{trait: "d", quoted: []byte(`"d"`), offset: offset, at: at, once: once}}
	}
	for _, c := range []struct {
		date, zone, after, want string
		trig                    *Trigger
	}{
		{"1990-05-17", "Europe/Kyiv", "2026-01-01T00:00:00Z", "2026-05-10T07:00:00Z", trigger(-7, 600, false)},
		{"1990-05-17", "Europe/Kyiv", "2026-05-10T07:00:00Z", "2027-05-10T07:00:00Z", trigger(-7, 600, false)},
		{"1990-01-03", "Europe/Kyiv", "2026-05-10T07:00:00Z", "2026-12-27T08:00:00Z", trigger(-7, 600, false)},
		{"12-30", "UTC", "2026-01-01T00:00:00Z", "2026-01-06T10:00:00Z", trigger(7, 600, false)},
		{"02-29", "UTC", "2026-01-01T00:00:00Z", "2026-02-28T10:00:00Z", trigger(0, 600, false)},
		{"02-29", "UTC", "2027-12-01T00:00:00Z", "2028-02-29T10:00:00Z", trigger(0, 600, false)},
		{"2000-02-29", "UTC", "2099-12-01T00:00:00Z", "2100-02-28T10:00:00Z", trigger(0, 600, false)},
		{"02-29", "UTC", "2026-01-01T00:00:00Z", "2026-03-01T10:00:00Z", trigger(1, 600, false)},
		{"03-29", "Europe/Kyiv", "2026-01-01T00:00:00Z", "2026-03-29T01:30:00Z", trigger(0, 210, false)}, // 03:30 is skipped: 04:30
		{"10-25", "Europe/Kyiv", "2026-01-01T00:00:00Z", "2026-10-25T00:30:00Z", trigger(0, 210, false)}, // 03:30 comes twice: the first
		{"03-29", "Europe/Kyiv", "2026-01-01T00:00:00Z", "2026-03-29T02:00:00Z", trigger(0, 300, false)},
		{"03-08", "America/New_York", "2026-01-01T00:00:00Z", "2026-03-08T07:30:00Z", trigger(0, 150, false)},
		{"06-01", "Pacific/Kiritimati", "2026-01-01T00:00:00Z", "2026-05-31T20:00:00Z", trigger(0, 600, false)},
		{"06-01", "Pacific/Niue", "2026-01-01T00:00:00Z", "2026-06-01T21:00:00Z", trigger(0, 600, false)},
		{"06-01", "Nowhere/Town", "2026-01-01T00:00:00Z", "2026-06-01T07:00:00Z", trigger(0, 600, false)}, // the default
		{"06-01", "Local", "2026-01-01T00:00:00Z", "2026-06-01T07:00:00Z", trigger(0, 600, false)},
		{"2026-06-01", "UTC", "2026-01-01T00:00:00Z", "2026-06-01T10:00:00Z", trigger(0, 600, true)},
		{"2026-06-01", "UTC", "2026-06-01T10:00:00Z", "", trigger(0, 600, true)},
		{"06-01", "UTC", "2026-01-01T00:00:00Z", "", trigger(0, 600, true)},
		{"2030-06-01", "UTC", "2026-01-01T00:00:00Z", "", trigger(0, 600, false)},
	} {
		p := &profiles.Profile{Timezone: c.zone, Traits: []byte(fmt.Sprintf(`{"d":%q}`, c.date))}
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if o, ok := s.nextOccasion(c.trig, p, after.UnixMilli(), &Env{Timezone: "Europe/Kyiv"}); ok {
			got = time.UnixMilli(o.due).UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s in %s after %s, offset %d at %d: got %s, want %s", c.date, c.zone, c.after, c.trig.start.offset, c.trig.start.at, got, c.want)
		}
	}
}
