package streams

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Reasons of dead letters: a closed set, used as metric labels.
const (
	ReasonMalformed    = "malformed"     // not JSON, not UTF-8, nested too deeply
	ReasonTooLarge     = "too_large"     // over MaxEvent
	ReasonNoIdentifier = "no_identifier" // names no customer that may be believed
	ReasonInvalid      = "invalid"       // a field with a wrong type or an impossible value
	ReasonUndelivered  = "undelivered"   // a message that its sink refused or did not take in time
)

// DeadLetter is the value of a record on `deadletter`.
type DeadLetter struct {
	Reason string // one of the Reason... constants
	Detail string // what is wrong and what to change
	// Number is the source: an effect number, or "<topic>/<partition>/<offset>",
	// or "" when the record was refused before it was logged. A replay may write
	// a letter again: count by Number.
	Number string
	At     int64  // Unix ms
	Event  []byte // the record's value as received, perhaps cut to MaxEvent
}

type wireDeadLetter struct {
	Reason string          `json:"reason"`
	Detail string          `json:"detail"`
	Number string          `json:"number,omitempty"`
	At     wireTime        `json:"at"`
	Event  json.RawMessage `json:"event,omitempty"`
	Bytes  []byte          `json:"bytes,omitempty"`
}

// wireTime is Unix ms, written as RFC 3339 in UTC like every time of the API;
// letters of before were written with the number.
type wireTime int64

func (t wireTime) MarshalJSON() ([]byte, error) {
	const last = 253402300799999 // of the year 9999; a record may claim any time
	return json.Marshal(time.UnixMilli(min(max(int64(t), 0), last)).UTC())
}

func (t *wireTime) UnmarshalJSON(b []byte) error {
	var ms int64
	if json.Unmarshal(b, &ms) == nil {
		*t = wireTime(ms)
		return nil
	}
	var at time.Time
	if err := json.Unmarshal(b, &at); err != nil {
		return err
	}
	*t = wireTime(at.UnixMilli())
	return nil
}

// MarshalJSON writes {"reason","detail","number","at","event"}. The event is
// the JSON value as received, or a string with its text where that is no valid
// JSON, or `bytes` in base64 where it is no UTF-8 either.
func (d DeadLetter) MarshalJSON() ([]byte, error) {
	w := wireDeadLetter{Reason: d.Reason, Detail: d.Detail, Number: d.Number, At: wireTime(d.At)}
	switch {
	case len(d.Event) == 0:
	case !utf8.Valid(d.Event):
		w.Bytes = d.Event
	case len(d.Event) > 0 && d.Event[0] == '{' && json.Valid(d.Event):
		w.Event = d.Event
	default:
		text, err := json.Marshal(string(d.Event))
		if err != nil {
			return nil, fmt.Errorf("cannot encode dead letter: %w", err)
		}
		w.Event = text
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *DeadLetter) UnmarshalJSON(b []byte) error {
	var w wireDeadLetter
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("cannot decode dead letter: %w", err)
	}
	*d = DeadLetter{Reason: w.Reason, Detail: w.Detail, Number: w.Number, At: int64(w.At), Event: w.Event}
	switch {
	case w.Bytes != nil:
		d.Event = w.Bytes
	case len(w.Event) > 0 && w.Event[0] == '"':
		var s string
		if err := json.Unmarshal(w.Event, &s); err != nil {
			return fmt.Errorf("cannot decode dead letter: %w", err)
		}
		d.Event = []byte(s)
	}
	return nil
}
