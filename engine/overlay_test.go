package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// overlayOf is an overlay that is at work, and what puts a view into it.
func overlayOf(t testing.TB) (o *overlay, view func(n int, at int64, ids ...string)) {
	t.Helper()
	o = new(overlay)
	o.on.Store(true)
	padding := strings.Repeat("x", 500)
	return o, func(n int, at int64, ids ...string) {
		e := &streams.Event{Name: "Product Viewed", MessageID: fmt.Sprint("m", n), At: at, LoggedAt: at, Product: streams.Line{ID: "p"}}
		for _, id := range ids {
			typ, value, _ := strings.Cut(id, ":")
			e.Identifiers = append(e.Identifiers, streams.Identifier{Type: typ, Value: value})
		}
		o.add(&streams.Record{Time: at, Value: []byte(padding)}, e)
	}
}

func TestOverlayKeepsTheLatestWithinItsBounds(t *testing.T) {
	o, view := overlayOf(t)
	now := time.Now().UnixMilli()
	const events = 200_000 // 600 bytes each, under two identifiers: more than there is room for
	for n := range events {
		view(n, now, fmt.Sprint("user:", n%1000), "anonymous:all")
	}
	total := 0
	for i := range o.shards {
		s := &o.shards[i]
		if s.bytes > overlayBytes/overlayShards {
			t.Errorf("shard %d has %d bytes", i, s.bytes)
		}
		if n := int(s.next - s.first); n > len(s.ring) || len(s.heads) > n {
			t.Errorf("shard %d has %d nodes in %d places, %d identifiers", i, n, len(s.ring), len(s.heads))
		}
		total += s.bytes
	}
	if total < overlayBytes/2 {
		t.Errorf("only %d bytes are kept", total)
	}
	found := o.find(nil, "user:999", now-overlaySpan)
	if len(found) == 0 || len(found) > overlayEach || found[0].messageID != fmt.Sprint("m", events-1) {
		t.Fatalf("found %d events", len(found))
	}
	for i, e := range found {
		if want := fmt.Sprint("m", events-1-1000*i); e.messageID != want {
			t.Errorf("event %d is %s, want %s", i, e.messageID, want)
		}
	}
	if got := o.find(nil, "anonymous:all", now-overlaySpan); len(got) != overlayEach {
		t.Errorf("%d events of one identifier", len(got))
	}
	if got := o.stronger("anonymous:all"); got != "user:999" {
		t.Errorf("the last event of the visitor named %q", got)
	}
	if o.stronger("user:999") != "" || o.stronger("user:nobody") != "" {
		t.Error("nobody is stronger")
	}
}

func TestOverlayForgets(t *testing.T) {
	o, view := overlayOf(t)
	now := time.Now().UnixMilli()
	view(1, now-overlaySpan-1, "user:1") // read while catching up
	if got := o.find(nil, "user:1", 0); len(got) != 0 {
		t.Errorf("kept %d old events", len(got))
	}
	view(2, now, "user:1")
	if got := o.find(nil, "user:1", now+overlaySpan); len(got) != 0 {
		t.Errorf("found %d events that were read before", len(got))
	}
	s := &o.shards[0]
	for i := range o.shards {
		if o.shards[i].next > 1 {
			s = &o.shards[i]
		}
	}
	s.at(s.first).event.read -= 2 * overlaySpan
	s.add(1, &keptEvent{read: now})
	if got := o.find(nil, "user:1", 0); len(got) != 0 || len(s.heads) != 1 || s.bytes != overlayEvent {
		t.Errorf("kept %d, %d identifiers, %d bytes", len(got), len(s.heads), s.bytes)
	}
	o.on.Store(false)
	view(3, now, "user:3")
	if got := o.find(nil, "user:3", 0); len(got) != 0 {
		t.Error("kept an event though all profiles are here")
	}
	o.on.Store(true)
	o.add(&streams.Record{Time: now}, &streams.Event{Name: "page", Identifiers: []streams.Identifier{{Type: "user", Value: "4"}}})
	if got := o.find(nil, "user:4", 0); len(got) != 0 {
		t.Error("kept an event about no product")
	}
}

func BenchmarkOverlay(b *testing.B) {
	o, _ := overlayOf(b)
	rec := &streams.Record{Time: time.Now().UnixMilli(), Value: make([]byte, 300)}
	events := make([]streams.Event, 1000)
	for n := range events {
		events[n] = streams.Event{Name: "Product Viewed", MessageID: fmt.Sprint("m", n), Product: streams.Line{ID: "p"},
			Identifiers: []streams.Identifier{{Type: "user", Value: fmt.Sprint(n)}, {Type: "anonymous", Value: fmt.Sprint("a", n)}}}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		o.add(rec, &events[n%len(events)])
	}
}
