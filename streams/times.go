package streams

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// historyPrefix starts a HeaderClock of history: "history:<unix ms>".
const historyPrefix = "history:"

// historySuffix ends a HeaderLogged of an event of history.
const historySuffix = ":history"

// Logged returns when the event of the record was first logged, in Unix ms,
// and whether that was history: HeaderLogged, else the time of a history tick
// that rides in it, else the record's own time.
func (r *Record) Logged() (ms int64, history bool) {
	if h := r.Header(HeaderLogged); h != nil {
		digits, history := bytes.CutSuffix(h, []byte(historySuffix))
		if ms, err := strconv.ParseInt(string(digits), 10, 64); err == nil {
			return ms, history
		}
	}
	if h, ok := bytes.CutPrefix(r.Header(HeaderClock), []byte(historyPrefix)); ok {
		if ms, err := strconv.ParseInt(string(h), 10, 64); err == nil {
			return ms, true
		}
	}
	return r.Time, false
}

// LoggedHeader returns the HeaderLogged of a forwarded record, which keeps
// what Logged says of it.
func LoggedHeader(ms int64, history bool) Header {
	v := strconv.AppendInt(nil, ms, 10)
	if history {
		v = append(v, historySuffix...)
	}
	return Header{Key: HeaderLogged, Value: v}
}

// readTimes sets At and LoggedAt.
func readTimes[S, N ~string](s *scratch[S, N], src *source, e *Event) error {
	e.LoggedAt = src.logged
	if src.stored {
		e.At = src.at
		return nil
	}
	field, stamp := "timestamp", info(s.call.Timestamp)
	if s.call.Timestamp == "" {
		field, stamp = "originalTimestamp", info(s.call.OriginalTimestamp)
	}
	if stamp == "" && s.call.Timestamp == "" && s.call.OriginalTimestamp == "" {
		e.At = src.logged
		return nil
	}
	at, err := parseTime(stamp, field)
	if err != nil {
		return err
	}
	if s.call.SentAt != "" && !src.history {
		sent, err := parseTime(info(s.call.SentAt), "sentAt")
		if err != nil {
			return err
		}
		if at = src.logged - (sent - at); at < 0 {
			return invalid("sentAt", "lies too far after "+field+"; send the device's time of sending")
		}
	}
	e.At = at
	if e.At > src.logged+MaxAhead {
		e.At = src.logged
	}
	return nil
}

// maxTime is the end of the year 9999 in Unix ms: later times count as it.
const maxTime = 253402300799999

// parseTime reads RFC 3339 or a number of ms since 1970.
func parseTime(s, field string) (int64, error) {
	ms, ok := int64(0), false
	if len(s) >= len("2006-01-02T15:04Z") && s[4] == '-' {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			ms, ok = t.UnixMilli(), true
		}
	} else if jsonNumber(s) && !strings.HasPrefix(s, ".") {
		if f, err := strconv.ParseFloat(s, 64); err == nil || math.IsInf(f, 1) {
			ms, ok = int64(min(max(f, -1), maxTime)), true
		}
	}
	switch {
	case !ok:
		return 0, invalid(field, "must be RFC 3339 (2006-01-02T15:04:05Z) or Unix milliseconds")
	case ms < 0:
		return 0, invalid(field, "must not be before 1970")
	}
	return ms, nil
}
