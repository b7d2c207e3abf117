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

// readSource reads from the headers when the event was logged: what
// HeaderFirst says, else the time of a history tick that rides in the record,
// else the record's own time.
func readSource(rec *Record) (src source) {
	src.logged = min(max(rec.Time, 0), maxTime)
	src.trust(string(rec.Header(HeaderTrust)))
	if first := rec.Header(HeaderFirst); first != nil {
		if logged, at, id, ok := ParseFirst(first); ok {
			src.logged, src.at, src.messageID, src.stored = logged, at, id, true
			return src
		}
	}
	if ms, ok := ParseHistory(rec.Header(HeaderClock)); ok {
		src.logged, src.history = ms, true
	}
	return src
}

// HistoryClock is the HeaderClock value of a tick of history at ms.
func HistoryClock(ms int64) []byte {
	return strconv.AppendInt(append(make([]byte, 0, 24), historyPrefix...), ms, 10)
}

// ParseHistory reads the value of a HeaderClock of history, in Unix ms; false
// for any other, and for a time before 1970 or after the year 9999, which would
// stop the clock for good.
func ParseHistory(clock []byte) (ms int64, ok bool) {
	digits, ok := bytes.CutPrefix(clock, []byte(historyPrefix))
	if !ok {
		return 0, false
	}
	ms, err := strconv.ParseInt(string(digits), 10, 64)
	return ms, err == nil && validTime(ms)
}

func validTime(ms int64) bool { return ms >= 0 && ms <= maxTime }

// FirstHeader returns the HeaderFirst of a forward of e.
func FirstHeader(e *Event) Header {
	v := strconv.AppendInt(nil, e.LoggedAt, 10)
	v = strconv.AppendInt(append(v, ' '), e.At, 10)
	return Header{Key: HeaderFirst, Value: append(append(v, ' '), e.MessageID...)}
}

// ParseFirst reads the value of HeaderFirst; false when it is malformed. Times
// are Unix ms, from 1970 to the year 9999.
func ParseFirst(v []byte) (logged, at int64, messageID string, ok bool) {
	a, rest, ok1 := strings.Cut(string(v), " ")
	b, id, ok2 := strings.Cut(rest, " ")
	logged, err1 := strconv.ParseInt(a, 10, 64)
	at, err2 := strconv.ParseInt(b, 10, 64)
	return logged, at, id, ok1 && ok2 && err1 == nil && err2 == nil && id != "" && validTime(logged) && validTime(at)
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
		if ms, ok = parseUTC(s); !ok {
			if t, err := time.Parse(time.RFC3339, s); err == nil {
				ms, ok = t.UnixMilli(), true
			}
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

// parseUTC reads the form in which nearly all times come,
// "2006-01-02T15:04:05.999Z", several times faster than time.Parse, to which
// it leaves every other form and every error.
func parseUTC(s string) (ms int64, ok bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || len(s) > len("2006-01-02T15:04:05.999999999Z") || s[len(s)-1] != 'Z' ||
		s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	ok = true
	part := func(from, to int) (n int) {
		for _, c := range []byte(s[from:to]) {
			ok = ok && c >= '0' && c <= '9'
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day := part(0, 4), part(5, 7), part(8, 10)
	hour, minute, second := part(11, 13), part(14, 16), part(17, 19)
	if fraction := s[19 : len(s)-1]; fraction != "" {
		ok = ok && fraction[0] == '.' && len(fraction) > 1
		part(20, len(s)-1) // digits only
		for i, scale := 1, int64(100); i < len(fraction) && scale > 0; i, scale = i+1, scale/10 {
			ms += int64(fraction[i]-'0') * scale
		}
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if !ok || month < 1 || month > 12 || t.Day() != day || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return t.UnixMilli() + ms, true
}
