package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// effect is a view of a customer as another partition forwards it.
func effect(number, prev, item string) streams.Record {
	headers := []streams.Header{
		{Key: streams.HeaderKind, Value: []byte(streams.KindForward)}, {Key: streams.HeaderEffect, Value: []byte(number)},
	}
	if prev != "" {
		headers = append(headers, streams.Header{Key: streams.HeaderPrev, Value: []byte(prev)})
	}
	return streams.Record{Topic: kafka.TopicEvents, Key: []byte("user:1"), Headers: headers, Time: noon,
		Value: []byte(`{"type":"track","event":"Product Viewed","userId":"1","messageId":"` + number + `","timestamp":1770033600000,"properties":{"product_id":"` + item + `"}}`)}
}

func liveTick(s int64) streams.Record {
	return streams.Record{Time: noon + s*1000, Headers: []streams.Header{{Key: streams.HeaderClock, Value: clockLive}}}
}

func viewedBy(t *testing.T, w *worker) string {
	t.Helper()
	p, ok := w.store.Read("user:1")
	if !ok {
		return ""
	}
	var ids []string
	for _, v := range p.Viewed {
		ids = append(ids, v.Id)
	}
	slices.Sort(ids)
	return strings.Join(ids, "")
}

func fold(t *testing.T, s *simulation, recs ...streams.Record) {
	t.Helper()
	for _, rec := range recs {
		s.append(0, rec)
	}
	from := int(s.workers[0].state.Offset)
	if err := s.workers[0].process(t.Context(), slices.Clone(s.logs[0][from:])); err != nil {
		t.Fatal(err)
	}
}

func TestRepeatsAreDroppedByNumber(t *testing.T) {
	s := newSimulation(t, 1)
	a, b := effect("events/3/0/5/0", "", "a"), effect("events/3/0/5/1", "events/3/0/5/0", "b")
	other := effect("events/2/0/1/0", "", "c")
	fold(t, s, a, b, a, other, b, other)
	if got := viewedBy(t, s.workers[0]); got != "abc" || s.workers[0].counts.Repeated != 3 {
		t.Errorf("viewed %s, %d repeats", got, s.workers[0].counts.Repeated)
	}
	s.snapshot(t, 0)
	s.restart(t, 0)
	if fold(t, s, a, b); s.workers[0].counts.Repeated != 2 {
		t.Errorf("after a restart %d repeats", s.workers[0].counts.Repeated)
	}
}

// A source whose produce failed in the middle starts again and produces all of
// it anew, behind what was written after the failure.
func TestMissingEffectsThatComeAreApplied(t *testing.T) {
	s := newSimulation(t, 1)
	a, b := effect("events/3/0/5/0", "", "a"), effect("events/3/0/6/0", "events/3/0/5/0", "b")
	c := effect("events/3/0/7/0", "events/3/0/6/0", "c")
	fold(t, s, a, liveTick(1), c, liveTick(2))
	w := s.workers[0]
	if got := viewedBy(t, w); got != "a" || w.counts.Gaps != 1 {
		t.Errorf("viewed %s, %d gaps", got, w.counts.Gaps)
	}
	if _, err := w.capture(); !errors.Is(err, errGapped) {
		t.Errorf("a snapshot while effects are missing: %v", err)
	}
	fold(t, s, b, c, liveTick(3))
	if got := viewedBy(t, w); got != "abc" || w.stopped.Load() != nil {
		t.Errorf("viewed %s, stopped %v", got, w.stopped.Load())
	}
	if _, err := w.capture(); err != nil {
		t.Error(err)
	}
}

func TestMissingEffectsStopThePartition(t *testing.T) {
	s := newSimulation(t, 1)
	fold(t, s, liveTick(0), effect("events/3/0/5/0", "", "a"))
	s.snapshot(t, 0)
	c := effect("events/3/0/7/0", "events/3/0/6/0", "c")
	fold(t, s, c, effect("events/2/0/7/0", "", "d"))
	for n := range int64(20) {
		fold(t, s, liveTick(n+1))
	}
	w := s.workers[0]
	why := w.stopped.Load()
	if why == nil || !strings.Contains(*why, "events/3/0/6/0") || !strings.Contains(*why, "--accept-log-loss") {
		t.Fatalf("stopped: %v", why)
	}
	if n := w.state.Offset; n != 4+gapPatience+1 {
		t.Errorf("it stands at %d", n)
	}
	if got := viewedBy(t, w); got != "ad" {
		t.Errorf("viewed %s", got)
	}
	s.restart(t, 0) // the same again, from the snapshot
	if fold(t, s); s.workers[0].stopped.Load() == nil {
		t.Error("a restart goes on")
	}
	s.restart(t, 0)
	w = s.workers[0]
	end := int64(len(s.logs[0]))
	w.acceptLoss(logState{end: end, epochEnd: end}, false)
	if fold(t, s); viewedBy(t, w) != "acd" || w.stopped.Load() != nil || w.state.Incarnation != 1 {
		t.Errorf("accepted: viewed %s, stopped %v, incarnation %d", viewedBy(t, w), w.stopped.Load(), w.state.Incarnation)
	}
	fold(t, s, effect("events/3/0/9/0", "events/3/0/8/0", "e"))
	if w.counts.Gaps != 1 {
		t.Error("one loss was accepted, and every other with it")
	}
}

func TestLossOfTheLogIsSeen(t *testing.T) {
	log := logState{topicID: "t", start: 10, end: 20, epochEnd: 20}
	cut, back := log, log // both written on since
	cut.epochEnd, back.epochEnd = 14, -1
	meta := snapshot.Meta{Number: 1, Offset: 15, TopicID: "t", LeaderEpoch: 7}
	if got := cut.loss(&meta); !strings.Contains(got, "leader epoch 7 end at offset 14") {
		t.Errorf("cut back: %q", got)
	}
	if got := back.loss(&meta); !strings.Contains(got, "no record of leader epoch 7") {
		t.Errorf("set back: %q", got)
	}
	for _, tc := range []struct {
		name string
		meta snapshot.Meta
		want string
	}{
		{"nothing folded yet", snapshot.Meta{Offset: 99, TopicID: "x"}, ""},
		{"goes on", snapshot.Meta{Number: 1, Offset: 15, TopicID: "t"}, ""},
		{"at the start", snapshot.Meta{Number: 1, Offset: 10, TopicID: "t"}, ""},
		{"at the end", snapshot.Meta{Number: 1, Offset: 20, TopicID: "t"}, ""},
		{"of an older version", snapshot.Meta{Number: 1, Offset: 15}, ""},
		{"made anew", snapshot.Meta{Number: 1, Offset: 15, TopicID: "x"}, "made anew"},
		{"set back", snapshot.Meta{Number: 1, Offset: 21, TopicID: "t"}, "ends at offset 20"},
		{"deleted", snapshot.Meta{Number: 1, Offset: 9, TopicID: "t"}, "starts at offset 10"},
	} {
		if got := log.loss(&tc.meta); !strings.Contains(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}

func TestLatenessIsCounted(t *testing.T) {
	s := newStory(t, 1)
	for _, minutes := range []int64{0, 59, 61, 25 * 60, 7 * 24 * 60, 7*24*60 + 1} {
		s.n++
		s.append(0, streams.Record{Time: noon + minutes*60_000,
			Value: fmt.Appendf(nil, `{"type":"page","userId":"1","messageId":"l%d","timestamp":%d}`, s.n, noon)})
	}
	s.run(t, s.r, false)
	if got := fmt.Sprint(s.counts().Late); got != "map[day:2 hour:1 week:1]" {
		t.Error(got)
	}
}
