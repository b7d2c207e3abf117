package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// TestTimers compares random pushes and pops with a plain map.
func TestTimers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var timers Timers
	model := map[timerKey]int64{}
	for range 20000 {
		if r.IntN(3) > 0 {
			tm := Timer{Due: int64(r.IntN(1000)), Profile: fmt.Sprint(r.IntN(30)), Trigger: fmt.Sprint(r.IntN(3)), Key: fmt.Sprint(r.IntN(2))}
			timers.Push(tm)
			model[timerKey{tm.Profile, tm.Trigger, tm.Key}] = tm.Due
		} else {
			now := int64(r.IntN(1000))
			got, ok := timers.PopDue(now)
			want, wantOK := popModel(model, now)
			if ok != wantOK || got != want {
				t.Fatalf("got %v %v, want %v %v", got, ok, want, wantOK)
			}
		}
		if timers.Len() != len(model) {
			t.Fatalf("%d timers, want %d", timers.Len(), len(model))
		}
		if len(timers.heap) > 2*len(model)+129 {
			t.Fatalf("%d entries for %d timers", len(timers.heap), len(model))
		}
	}
}

func popModel(model map[timerKey]int64, now int64) (Timer, bool) {
	all := make([]Timer, 0, len(model))
	for k, due := range model {
		if due <= now {
			all = append(all, Timer{due, k.profile, k.trigger, k.key, 0})
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
