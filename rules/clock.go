package rules

import (
	"strings"
	"time"
)

// weekdays is a set of days of the week, bit n for time.Weekday n; 0 is all.
type weekdays uint8

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (w weekdays) has(d time.Weekday) bool { return w == 0 || w&(1<<d) != 0 }

// String is " on mon, tue", "" for all days.
func (w weekdays) String() string {
	if w == 0 {
		return ""
	}
	var names []string
	for i, name := range dayNames {
		if w.has(time.Weekday(i)) {
			names = append(names, name)
		}
	}
	return " on " + strings.Join(names, ", ")
}

// hours is a part of each day, from a minute up to before another; it passes
// midnight where to is not after from, and is the whole day where they are equal.
type hours struct {
	from, to int
	days     weekdays // of the day that the hours begin on
}

// holds reports whether a local time is in the hours.
func (h *hours) holds(t time.Time) bool {
	m, d := t.Hour()*60+t.Minute(), t.Weekday()
	switch {
	case h.from == h.to:
	case h.from < h.to:
		if m < h.from || m >= h.to {
			return false
		}
	case m < h.to: // after midnight: they began yesterday
		d = (d + 6) % 7
	case m < h.from:
		return false
	}
	return h.days.has(d)
}

// nextClock is the first moment after t at which clocks in t's zone show these
// minutes. A time that a clock change skips is the one shown instead (see
// localTime); one that comes twice is either.
func nextClock(t time.Time, minutes int) time.Time {
	wait := (minutes-t.Hour()*60-t.Minute()+1440-1)%1440 + 1 // 1 to 1440 minutes
	next := t.Truncate(time.Minute).Add(time.Duration(wait) * time.Minute)
	if next.Hour()*60+next.Minute() == minutes {
		return next
	}
	for i := range 4 { // a clock change lies between
		d := time.Date(t.Year(), t.Month(), t.Day()+i, 0, 0, 0, 0, time.UTC)
		if at := localTime(d, minutes, t.Location()); at > t.UnixMilli() {
			return time.UnixMilli(at).In(t.Location())
		}
	}
	return next
}

// from is the first moment at or after t at which clocks show the time of day,
// on one of the days.
func (c *clockTime) from(t time.Time) time.Time {
	at := t
	if t.Hour()*60+t.Minute() != c.minutes || t.Second() != 0 || t.Nanosecond() != 0 {
		at = nextClock(t, c.minutes)
	}
	for range 14 {
		if c.days.has(at.Weekday()) {
			return at
		}
		at = nextClock(at, c.minutes)
	}
	return at
}

// open is the first moment at or after t, in t's zone, that is in no quiet hours
// and in the allowed hours; false where there is none within nine days. Either
// may be nil.
func open(t time.Time, quiet, allowed *hours) (time.Time, bool) {
	limit := t.AddDate(0, 0, 9)
	for !t.After(limit) {
		switch {
		case quiet != nil && quiet.holds(t):
			t = nextClock(t, quiet.to)
		case allowed != nil && !allowed.holds(t):
			t = nextClock(t, allowed.from)
		default:
			return t, true
		}
	}
	return t, false
}
