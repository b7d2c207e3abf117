package rules

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// Names of the events that a change of segment is.
const (
	segmentEntered = "Segment Entered"
	segmentExited  = "Segment Exited"
)

// segmentKey is the key of the timer of a customer's next change of segment by
// time alone. Its trigger is "", so that it comes before the runs' own.
const segmentKey = "\x00segments"

// Segment is one segment of a set.
type Segment struct {
	Name string `json:"name"`
	If   string `json:"if"`
	File string `json:"file"`
	Line int    `json:"line"`

	column int
	cond   *condition
	reads  facts
	flips  *flips // nil: no time is read
}

// segment reads one segment.
func (f *file) segment(e entry) *Segment {
	f.nameOK(e, "segment")
	s := &Segment{Name: e.key, File: f.name}
	s.Line, s.column = position(e.at)
	for _, x := range f.mapping(e, "segment "+e.key, []string{"if"}, nil) {
		if s.cond = f.condition(x, siteSegment); s.cond != nil {
			s.If = s.cond.src
			s.reads = readBy(s.cond.ast)
			s.flips = flipsOf(s.cond.ast)
		}
	}
	if isMapping(e) && !hasKey(e, "if") && !hasTag(e) {
		f.add(e.at, `segment %s has no if, as in %s: {if: "profile.orders.count > 0"}`, e.key, e.key)
	}
	return s
}

// Flip is a customer who entered or exited a segment.
type Flip struct {
	Segment string
	Entered bool
	// Quiet is one that was found only now: it is no event.
	Quiet bool
	Event []byte // the event, as on the log; nil if Quiet
}

// maxFlips bounds how often segments are measured in one turn: one may read
// another.
const maxFlips = 5

// measure evaluates the segments that read any of these facts and returns the
// names of those that changed.
func (t *Turn) measure(changed facts) []Flip {
	first := len(t.Flips)
	for range maxFlips {
		n := len(t.Flips)
		for _, s := range t.set.segments {
			if s.reads&changed != 0 {
				t.measureOne(s, false)
			}
		}
		if changed = readSegments; len(t.Flips) == n {
			break
		}
	}
	return t.Flips[first:]
}

func (t *Turn) measureOne(s *Segment, quiet bool) {
	is := t.holdsSegment(s)
	i, was := findSegment(t.Profile, s.Name)
	if is == was {
		return
	}
	p := t.Profile
	if is {
		p.Segments = slices.Insert(p.Segments, i, &profiles.Membership{Name: s.Name, Since: t.Now})
	} else {
		p.Segments = slices.Delete(p.Segments, i, i+1)
	}
	t.Flips = append(t.Flips, Flip{Segment: s.Name, Entered: is, Quiet: quiet})
}

func (t *Turn) holdsSegment(s *Segment) bool {
	t.scope.at(&zeroEvent, nil)
	ok, failure := s.cond.eval(&t.scope)
	if failure != "" {
		t.Failures = append(t.Failures, Failure{Trigger: s.Name, Kind: failure})
	}
	return ok
}

func findSegment(p *profiles.Profile, name string) (int, bool) {
	return slices.BinarySearchFunc(p.Segments, name, func(m *profiles.Membership, name string) int {
		return strings.Compare(m.Name, name)
	})
}

// baseline brings the customer's segments up to the rules in force: those new
// or changed since the rules that the profile was last measured by take in who
// matched when they came, and that is no event.
func (t *Turn) baseline() {
	p, number := t.Profile, t.Env.number()
	if p.Rules == number {
		return
	}
	if p.Events > 0 || len(p.Segments) > 0 {
		now := t.Now
		for _, s := range t.set.segments {
			if b := t.Env.Births[s.Name]; b.Number > p.Rules {
				t.Now, t.scope.now = b.At, b.At
				t.measureOne(s, true)
			}
		}
		t.Now, t.scope.now = now, now
		p.Segments = slices.DeleteFunc(p.Segments, func(m *profiles.Membership) bool { return t.set.bySegment[m.Name] == nil })
	}
	p.Rules = number
}

// flipped gives the events of segments to the runs and starts, each as if it
// were one of the log, until no more follow.
func (s *Set) flipped(t *Turn, cause string, flips []Flip) {
	event, first := t.Event, len(t.Flips)-len(flips)
	t.cause = event
	for i := first; i < len(t.Flips) && i < first+maxFlips*len(s.segments); i++ {
		f := &t.Flips[i]
		if f.Quiet || f.Event != nil {
			continue
		}
		t.Event = s.segmentEvent(t, f, cause)
		s.dispatch(t)
		if t.traitsSet {
			t.traitsSet = false
			t.measure(readTraits)
		}
	}
	t.Event, t.cause = event, nil
}

// segmentEvent makes the event of a flip.
func (s *Set) segmentEvent(t *Turn, f *Flip, cause string) *streams.Event {
	name := segmentExited
	if f.Entered {
		name = segmentEntered
	}
	id := cause + ":" + f.Segment
	typ, value, _ := strings.Cut(t.Profile.Id, ":")
	at := t.Now
	if t.cause != nil {
		at = max(at, t.cause.At) // no earlier than the event that it came of
	}
	raw, err := json.Marshal(map[string]any{
		"type": "track", "event": name, "messageId": id,
		"timestamp":  time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"),
		"properties": map[string]any{"segment": f.Segment},
		"context":    map[string]any{"channel": "other", "externalIds": []any{map[string]any{"type": typ, "id": value}}},
	})
	if err != nil {
		panic("BUG: cannot encode an event: " + err.Error())
	}
	f.Event = raw
	properties := []byte(`{"segment":` + strconv.Quote(f.Segment) + `}`)
	return &streams.Event{Kind: streams.Track, Name: name, MessageID: id, Channel: "other", At: at, LoggedAt: max(at, t.Now),
		Properties: properties, Raw: raw}
}

// isSegment reports whether the event is a change of this segment, in this
// direction.
func isSegment(e *streams.Event, segment string, leaves bool) bool {
	name := segmentEntered
	if leaves {
		name = segmentExited
	}
	return e.Name == name && string(e.Properties) == `{"segment":`+strconv.Quote(segment)+`}`
}

// nextFlip is when a segment of the customer may next change by time alone.
func (s *Set) nextFlip(t *Turn, after int64) (int64, bool) {
	due := int64(math.MaxInt64)
	for _, x := range s.timed {
		due = min(due, x.flips.next(&t.scope, after))
	}
	return due, due < math.MaxInt64
}

// segmentTimer adds the timer of the customer's next change of segment.
func (s *Set) segmentTimer(t *Turn, after int64, add func(Timer)) {
	if len(s.timed) == 0 || t.Profile.AliasOf != "" {
		return
	}
	if due, ok := s.nextFlip(t, after); ok {
		add(Timer{Due: due, Profile: t.Profile.Id, Key: segmentKey, Priority: math.MaxInt})
	}
}

// onSegmentTimer measures the segments that read the time.
func (s *Set) onSegmentTimer(t *Turn, due int64) {
	t.measured = t.Now
	first := len(t.Flips)
	for _, x := range s.timed {
		t.measureOne(x, false)
	}
	if len(t.Flips) > first {
		t.measure(readSegments)
	}
	s.flipped(t, "segment:"+strconv.FormatInt(due, 10), t.Flips[first:])
}

// Matches reports whether the customer of t matches a segment at t.Now.
func (s *Set) Matches(t *Turn, x *Segment) bool {
	t.prepare(s)
	t.scope.at(&zeroEvent, nil)
	ok, _ := x.cond.eval(&t.scope)
	return ok
}

// Segments are all segments, by name.
func (s *Set) Segments() []*Segment { return s.segments }
