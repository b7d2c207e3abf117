package datasets

import (
	"bytes"
	"errors"
	"strconv"

	gojson "github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
)

// segment reads Segment calls as JSON lines. A call without messageId gets
// segment:<line>. What is no valid call passes as it is, keyed by its line, and
// ends as a dead letter with its reason like any other. Blank lines are
// skipped.
type segment struct {
	lines   *lineReader
	decoder streams.Decoder
	event   streams.Event
}

func newSegment(l *lineReader) Reader { return &segment{lines: l} }

// Next implements Reader.
func (s *segment) Next(ev *Event) error {
	for {
		line, err := s.lines.next()
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			s.read(line, ev)
			return nil
		}
	}
}

func (s *segment) read(line []byte, ev *Event) {
	ev.Line, ev.At = s.lines.line, 0
	// Read as if logged at the end of time, so that no time lies ahead.
	clock := streams.Header{Key: streams.HeaderClock, Value: endOfTime}
	rec := streams.Record{Value: line, Headers: []streams.Header{clock}}
	if err := s.decoder.Decode(&rec, &s.event); err != nil {
		var invalid *streams.InvalidError
		if !errors.As(err, &invalid) {
			panic("BUG: decoding fails with " + err.Error())
		}
		ev.JSON = append(ev.JSON[:0], line...)
		ev.Key = strconv.AppendInt(append(ev.Key[:0], "segment:"...), int64(ev.Line), 10)
		return
	}
	id := s.event.Identifiers[0]
	ev.Key = append(append(append(ev.Key[:0], id.Type...), ':'), id.Value...)
	if s.event.At < maxTime {
		ev.At = s.event.At
	}
	var call struct {
		MessageID any `json:"messageId"`
	}
	if err := gojson.Unmarshal(line, &call); err != nil || call.MessageID != nil && call.MessageID != "" {
		ev.JSON = append(ev.JSON[:0], line...)
		return
	}
	// At the end: of two members of a name the later one counts.
	ev.JSON = append(append(ev.JSON[:0], line[:len(line)-1]...), `,"messageId":"segment:`...)
	ev.JSON = append(strconv.AppendInt(ev.JSON, int64(ev.Line), 10), '"', '}')
}

var endOfTime = []byte("history:" + strconv.Itoa(maxTime))
