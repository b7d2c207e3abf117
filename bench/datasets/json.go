package datasets

import (
	"bytes"
	"strconv"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

const hexDigits = "0123456789abcdef"

// appendEscaped appends s, which is valid UTF-8, as the inside of a JSON string.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c >= 0x20 {
			dst = append(dst, '\\', c)
		} else {
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(dst, s[from:]...)
}

// appendText appends s, which is valid UTF-8, as a JSON string.
func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// object writes the members of a JSON object one after the other.
type object struct {
	b []byte
}

// open begins an object: {, or "name":{ as a member.
func (o *object) open(name string) {
	o.name(name)
	o.b = append(o.b, '{')
}

// array begins an array as a member.
func (o *object) array(name string) {
	o.name(name)
	o.b = append(o.b, '[')
}

func (o *object) close()      { o.b = append(o.b, '}') }
func (o *object) closeArray() { o.b = append(o.b, ']') }

// name appends "name": and a comma where something stands before it; an empty
// name is an element of an array or the whole.
func (o *object) name(name string) {
	if n := len(o.b); n > 0 && o.b[n-1] != '{' && o.b[n-1] != '[' {
		o.b = append(o.b, ',')
	}
	if name != "" {
		o.b = append(append(append(o.b, '"'), name...), '"', ':')
	}
}

// text appends a member unless its value is empty. Names need no escaping.
func (o *object) text(name string, value []byte) {
	if len(value) > 0 {
		o.name(name)
		o.b = appendText(o.b, value)
	}
}

// string is text for a constant.
func (o *object) string(name, value string) {
	o.name(name)
	o.b = appendText(o.b, value)
}

func (o *object) number(name string, f float64) {
	o.name(name)
	o.b = strconv.AppendFloat(o.b, f, 'f', -1, 64)
}

// time appends a member with a time in RFC 3339, UTC.
func (o *object) time(name string, ms int64) {
	o.name(name)
	o.b = append(o.b, '"')
	o.b = time.UnixMilli(ms).UTC().AppendFormat(o.b, time.RFC3339Nano)
	o.b = append(o.b, '"')
}

// begin starts a call: its type, id, time and, unless empty, event name.
func (o *object) begin(kind, format string, line int, ms int64, event string) {
	o.b = append(o.b[:0], `{"type":"`...)
	o.b = append(append(o.b, kind...), `","messageId":"`...)
	o.b = append(append(o.b, format...), ':')
	o.b = append(strconv.AppendInt(o.b, int64(line), 10), '"')
	o.time("timestamp", ms)
	if event != "" {
		o.string("event", event)
	}
}

// maxTime is the end of the year 9999 in Unix ms.
const maxTime = 253402300799999

// parseInt reads a number without sign of at most 18 digits.
func parseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// parseTime reads a time since 1970 in units of unit ms.
func parseTime(b []byte, unit int64) (int64, bool) {
	n, ok := parseInt(b)
	if !ok || n <= 0 || n > maxTime/unit {
		return 0, false
	}
	return n * unit, true
}

// identifier checks a value that names somebody or something.
func identifier(b []byte) ([]byte, bool) {
	b = bytes.TrimSpace(b)
	return b, len(b) > 0 && len(b) <= 100
}
