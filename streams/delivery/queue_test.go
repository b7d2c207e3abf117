package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// gate is a sink whose messages are sent when they are let through.
type gate struct {
	arrived chan string
	open    map[string]chan error // by message id
}

func (*gate) Name() string { return "webhook" }

func (g *gate) Send(ctx context.Context, m *streams.Message, _ []byte) error {
	g.arrived <- m.ID
	select {
	case err := <-g.open[m.ID]:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newGate(ids ...string) *gate {
	g := &gate{arrived: make(chan string, len(ids)), open: map[string]chan error{}}
	for _, id := range ids {
		g.open[id] = make(chan error, 1)
	}
	return g
}

// arrivals waits for n messages and returns their ids, sorted.
func (g *gate) arrivals(n int) []string {
	var ids []string
	for range n {
		ids = append(ids, <-g.arrived)
	}
	slices.Sort(ids)
	return ids
}

// TestFinishedAboveTheOldest: one message that waits holds up neither others nor
// the commit's knowledge of them; whoever has the partition next sends only what
// is not finished. Messages of one profile keep their order.
func TestFinishedAboveTheOldest(t *testing.T) {
	ids := []string{"a1", "b1", "x1", "b2", "c1", "a2"}
	g, w := newGate(ids...), newWorld()
	d := w.delivery(t, g, map[string][]string{"webhook": nil})
	recs := make([]streams.Record, len(ids))
	for i, id := range ids {
		channel := "webhook"
		if id == "x1" {
			channel = "other" // of another sink
		}
		recs[i] = record(int64(10+i), id, channel, "user:"+id[:1])
	}
	d.Messages.Restore(3, 10, "events/3/0/9/0 ")
	if err := d.Messages.Handle(t.Context(), 3, recs); err != nil {
		t.Fatal(err)
	}
	equal(t, "first of each profile", g.arrivals(3), "[a1 b1 c1]")
	g.open["b1"] <- nil
	equal(t, "next", g.arrivals(1), "[b2]")
	g.open["b2"] <- nil
	g.open["c1"] <- nil
	for want := "10 events/3/0/9/0 +1.3"; committed(d.Messages, 3) != want; {
		<-d.Messages.Dirty()
	}
	at := d.Messages.Position(3)

	next := newGate(ids...)
	again := w.delivery(t, next, map[string][]string{"webhook": nil})
	again.Messages.Restore(3, at.Offset, at.Metadata)
	if err := again.Messages.Handle(t.Context(), 3, recs); err != nil {
		t.Fatal(err)
	}
	equal(t, "again", next.arrivals(1), "[a1]")
	next.open["a1"] <- nil
	equal(t, "then", next.arrivals(1), "[a2]")
	next.open["a2"] <- nil
	again.Messages.partition(3).running.Wait()
	equal(t, "at the end", committed(again.Messages, 3), "16 events/3/0/15/0 ")
	g.open["a1"] <- nil
	g.open["a2"] <- nil
	d.Messages.partition(3).running.Wait()
}

// TestInFlightIsBounded: no more messages are under way than a commit has made
// room for, and a partition that ends takes no more.
func TestInFlightIsBounded(t *testing.T) {
	w, sink := newWorld(), &fake{name: "webhook"}
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	var recs []streams.Record
	for i := range int64(40) {
		recs = append(recs, record(i, fmt.Sprint("m", i), "webhook", fmt.Sprint("user:", i)))
	}
	done := make(chan error)
	go func() { done <- d.Messages.Handle(t.Context(), 3, recs) }()
	finished := func() int {
		for {
			<-d.Messages.Dirty()
			if d.Messages.Position(3).finished == inFlight {
				return len(sink.ids())
			}
		}
	}
	equal(t, "sent before a commit", finished(), "16")
	d.Messages.Committed(3, d.Messages.Position(3))
	equal(t, "sent after it", finished(), "32")
	d.Messages.Stop(3)
	if err := <-done; err != nil {
		t.Error(err)
	}
	d.Messages.Drain(3)
	equal(t, "committed", committed(d.Messages, 3)[:3], "32 ")
}

func (f *fake) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// follows is a record with the number of the effect before it.
func follows(offset int64, id string, effect, prev int) streams.Record {
	rec := record(offset, id, "webhook", "user:1")
	rec.Headers[0].Value = fmt.Appendf(nil, "events/3/0/%d/0", effect)
	rec.Headers = append(rec.Headers, streams.Header{Key: streams.HeaderPrev, Value: fmt.Appendf(nil, "events/3/0/%d/0", prev)})
	return rec
}

// TestGap: an effect whose predecessor is missing is not delivered, nor any that
// follows it, and the commit stays below it, until what is missing comes; then
// its source produces it again, too.
func TestGap(t *testing.T) {
	ctx := t.Context()
	w, sink := newWorld(), &fake{name: "webhook"}
	routes := map[string][]string{"webhook": nil}
	d := w.delivery(t, sink, routes)
	first := []streams.Record{follows(0, "a", 5, 2), follows(1, "d", 9, 8), follows(2, "e", 10, 9)}
	if err := deliver(ctx, d.Messages, 3, first, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", sink.sent, "[a]")
	equal(t, "stopped", d.Messages.Status().Stopped, "[partition 3: effect events/3/0/9/0 follows events/3/0/8/0, which is missing: the last one delivered is events/3/0/5/0]")
	equal(t, "committed", committed(d.Messages, 3), "1 events/3/0/5/0 ")

	d = w.delivery(t, sink, routes) // another process finds the same
	d.Messages.Restore(3, 1, "events/3/0/5/0 ")
	if err := deliver(ctx, d.Messages, 3, first[1:], true); err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", sink.sent, "[a]")
	rest := []streams.Record{follows(3, "b", 7, 5), follows(4, "c", 8, 7), follows(5, "d", 9, 8), follows(6, "e", 10, 9)}
	if err := deliver(ctx, d.Messages, 3, rest, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", sink.sent, "[a b c d e]")
	equal(t, "stopped", d.Messages.Status().Stopped, "[]")
	equal(t, "committed", committed(d.Messages, 3), "7 events/3/0/10/0 ")

	w.accept = true
	d = w.delivery(t, sink, routes)
	d.Messages.Restore(3, 7, "events/3/0/10/0 ")
	if err := deliver(ctx, d.Messages, 3, []streams.Record{follows(7, "z", 20, 19)}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "accepted", sink.sent, "[a b c d e z]")
}

// TestRetry: a message that waits for ten minutes moves to `retry`; there it is
// tried for a day, in turns of ten minutes, and then given up.
func TestRetry(t *testing.T) {
	ctx := t.Context()
	w, sink := newWorld(), &fake{name: "webhook", answers: []error{errors.New("down")}}
	w.moved = []streams.Record{}
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	start := w.now
	if err := deliver(ctx, d.Messages, 3, []streams.Record{record(1, "m", "webhook", "user:1")}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "moved", len(w.moved), "1")
	equal(t, "reports", w.reports, "[]")
	equal(t, "committed", committed(d.Messages, 3), "2 events/3/0/1/0 ")
	equal(t, "header", string(w.moved[0].Header(streams.HeaderRetry)), fmt.Sprintf("webhook %d 0", start.UnixMilli()))
	foreign := w.moved[0]
	foreign.Headers = []streams.Header{{Key: streams.HeaderRetry, Value: []byte("smtp 1")}}
	if err := deliver(ctx, d.Retries, 0, []streams.Record{foreign}, true); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(w.moved); i++ {
		w.moved[i].Offset = int64(i + 1)
		if err := deliver(ctx, d.Retries, 0, w.moved[i:i+1], true); err != nil {
			t.Fatal(err)
		}
	}
	if took := w.now.Sub(start); took < 24*time.Hour || took > 25*time.Hour {
		t.Errorf("given up after %v", took)
	}
	equal(t, "reports", w.reports, "[Message Failed m.failed timeout]")
	equal(t, "letters", len(w.letters), "1")

	sink.answers = []error{nil}
	fresh := w.moved[0]
	fresh.Offset, fresh.Headers = 1000, []streams.Header{{Key: streams.HeaderRetry, Value: []byte("webhook 1")}}
	if err := deliver(ctx, d.Retries, 0, []streams.Record{fresh}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "reports", w.reports, "[Message Failed m.failed timeout Message Sent m.sent]")
}

// TestMetadataIsBounded: while the oldest message waits, only so much is finished
// above it as a commit can say.
func TestMetadataIsBounded(t *testing.T) {
	w, g := newWorld(), newGate("m0")
	for i := range 4000 {
		g.open[fmt.Sprint("m", i)] = make(chan error, 1)
		if i%2 == 1 {
			close(g.open[fmt.Sprint("m", i)])
		}
	}
	g.arrived = make(chan string, 4000)
	d := w.delivery(t, g, map[string][]string{"webhook": nil})
	p := d.Messages.partition(3)
	p.next = 0
	for i := range int64(1400) { // every other offset is finished
		p.done.add(2*i + 1)
	}
	p.items[0] = &item{rec: record(0, "m0", "webhook", "user:1"), over: make(chan struct{})}
	if n := len(d.Messages.Position(3).Metadata); n <= maxMetadata {
		t.Fatalf("%d bytes of metadata say nothing", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Messages.Handle(ctx, 3, []streams.Record{record(5000, "m1", "webhook", "user:2")}) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || len(g.arrived) > 0 {
		t.Errorf("%v, %d sent", err, len(g.arrived))
	}
}

func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s spans
		all := map[int64]bool{}
		for range r.IntN(60) {
			o := int64(r.IntN(80)) + 100
			s.add(o)
			all[o] = true
		}
		below := int64(r.IntN(120)) + 80
		s.drop(below)
		base := below - int64(r.IntN(20))
		for range r.IntN(20) {
			o := int64(r.IntN(80)) + 100
			s.remove(o)
			all[o] = false
		}
		_, back, moving, err := decode(encode(nil, base, s, s), base)
		if err != nil {
			t.Fatal(err)
		}
		for o := int64(50); o < 250; o++ {
			if want := all[o] && o >= below; s.has(o) != want || back.has(o) != want || moving.has(o) != want {
				t.Fatalf("%v, %v, %v: has %d is %v, %v and %v, want %v", s, back, moving, o, s.has(o), back.has(o), moving.has(o), want)
			}
		}
	}
}

// FuzzMetadata: whatever somebody committed is read or refused, and what is read
// is written and read the same.
func FuzzMetadata(f *testing.F) {
	f.Add("", int64(0))
	f.Add("events/3/0/9/0 events/7/0/1/2 +1.3,5,zz.1", int64(10))
	f.Add("+1 ~0,5", int64(10))
	f.Add("+", int64(1))
	f.Add("+1.1.1,,", int64(-1))
	f.Fuzz(func(t *testing.T, metadata string, offset int64) {
		marks, done, moving, err := decode(metadata, offset)
		if err != nil {
			return
		}
		again, spans, moves, err := decode(encode(marks, offset, done, moving), offset)
		if err != nil || !slices.Equal(again, marks) || !slices.Equal(spans, done) || !slices.Equal(moves, moving) {
			t.Errorf("%v %v %v, then %v %v %v, %v", marks, done, moving, again, spans, moves, err)
		}
	})
}
