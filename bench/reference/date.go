package reference

import "time"

// date is the next day that a date trigger starts for, and when, after the
// customer's own time.
func (w *walk) date(t *trigger) (day time.Time, at int64) {
	if t.start.kind != "date" {
		return day, notDue
	}
	text, _ := w.c.traits[t.start.names[0]].value.(string)
	born, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, notDue
	}
	year := time.UnixMilli(w.c.now).UTC().Year()
	for y := max(year-1, born.Year()); y <= year+2; y++ {
		day = time.Date(y, born.Month(), born.Day(), 0, 0, 0, 0, time.UTC)
		if day.Month() != born.Month() { // 29 February
			day = day.AddDate(0, 0, -1)
		}
		if last := w.c.pastOf(t.name).dateAt; last != never && day.UnixMilli()-last < 300*24*hour {
			continue
		}
		at := w.clockOn(day.AddDate(0, 0, t.start.offset), t)
		if told := w.c.told[t.start.names[0]]; told >= at { // said too late: at the next hour, while there is time
			if at = w.clockOn(time.UnixMilli(told).In(w.zone()), t); at <= told {
				at = w.clockOn(time.UnixMilli(told).In(w.zone()).AddDate(0, 0, 1), t)
			}
			if at >= w.clockOn(day.AddDate(0, 0, 1), t) {
				continue
			}
		}
		if at > w.c.now {
			return day, at
		}
	}
	return day, notDue
}

// clockOn is the trigger's time of day on a day, for the customer.
func (w *walk) clockOn(d time.Time, t *trigger) int64 {
	return time.Date(d.Year(), d.Month(), d.Day(), t.start.clock/60, t.start.clock%60, 0, 0, w.zone()).UnixMilli()
}
