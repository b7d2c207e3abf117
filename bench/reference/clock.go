package reference

import (
	"slices"
	"strings"
	"time"
)

// zone is the customer's time zone.
func (w *walk) zone() *time.Location {
	for _, name := range []any{w.c.traits["timezone"].value, w.c.zone.value, w.m.zone} {
		if s, ok := name.(string); ok && s != "" {
			if loc := w.m.load(s); loc != nil {
				return loc
			}
		}
	}
	return time.UTC
}

// load is the zone of a name, nil where nobody knows it.
func (m *Model) load(name string) *time.Location {
	loc, known := m.zones[name]
	if !known {
		loc, _ = time.LoadLocation(name)
		m.zones[name] = loc
	}
	return loc
}

// in reports whether clocks show a time of the hours.
func (h *hours) in(t time.Time) bool {
	now := t.Hour()*60 + t.Minute()
	today, yesterday := h.on(t.Weekday()), h.on((t.Weekday()+6)%7)
	switch {
	case h.from == h.to:
		return today
	case h.from < h.to:
		return today && now >= h.from && now < h.to
	}
	return today && now >= h.from || yesterday && now < h.to
}

func (h *hours) on(d time.Weekday) bool { return onDay(h.days, d) }

func onDay(days []string, d time.Weekday) bool {
	return len(days) == 0 || slices.Contains(days, strings.ToLower(d.String()[:3]))
}

// minutes calls f with each minute from a time on, until it answers true, for
// ten days at most. The first is the time itself.
func minutes(from int64, loc *time.Location, f func(t time.Time) bool) int64 {
	for at := from; at < from+10*day; at = at - at%minute + minute {
		if f(time.UnixMilli(at).In(loc)) {
			return at
		}
	}
	return notDue
}

// untilOpen is the first minute from now on that is not quiet and in the hours.
func untilOpen(now int64, quiet, only *hours, loc *time.Location) int64 {
	if quiet == nil && only == nil {
		return now
	}
	return minutes(now, loc, func(t time.Time) bool { return (quiet == nil || !quiet.in(t)) && (only == nil || only.in(t)) })
}

// untilClock is the first moment from a time on at which clocks show a time of
// day, on one of the days.
func untilClock(from int64, clock int, days []string, loc *time.Location) int64 {
	return minutes(from, loc, func(t time.Time) bool {
		return t.Hour()*60+t.Minute() == clock && t.Second() == 0 && t.Nanosecond() == 0 && onDay(days, t.Weekday())
	})
}
