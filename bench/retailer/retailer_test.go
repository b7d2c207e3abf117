package retailer

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

func TestEventsAreValidInOrderAndTheSameForASeed(t *testing.T) {
	a, b := New(Config{Seed: 7, Shoppers: 500}), New(Config{Seed: 7, Shoppers: 500})
	if a.Len() != b.Len() || a.Len() < 2000 {
		t.Fatalf("%d and %d events", a.Len(), b.Len())
	}
	var d streams.Decoder
	var e streams.Event
	last, channels := a.Start(), map[string]int{}
	for i := range a.events {
		ev := &a.events[i]
		if !bytes.Equal(ev.JSON, b.events[i].JSON) {
			t.Fatalf("event %d differs: %s %s", i, ev.JSON, b.events[i].JSON)
		}
		if ev.At < last || ev.At >= a.End() {
			t.Fatalf("event %d out of order", i)
		}
		last = ev.At
		clock := streams.Header{Key: streams.HeaderClock, Value: []byte("history:" + strconv.FormatInt(ev.At, 10))}
		if err := d.Decode(&streams.Record{Value: ev.JSON, Headers: []streams.Header{clock}}, &e); err != nil {
			t.Fatalf("%v: %s", err, ev.JSON)
		}
		if e.Identifiers[0].String() != ev.Key || e.At != ev.At {
			t.Fatalf("key %s and time %d, not %s and %d: %s", ev.Key, ev.At, e.Identifiers[0], e.At, ev.JSON)
		}
		channels[e.Channel]++
	}
	for _, channel := range []string{"web", "app", "pos", "call_center", "messenger"} {
		if channels[channel] == 0 {
			t.Errorf("nothing happens in %s", channel)
		}
	}
	t.Logf("%d events: %v", a.Len(), channels)
}

func TestSpotlightUsesFiveChannels(t *testing.T) {
	r := New(Config{Shoppers: 10, Products: 24, Start: time.Date(2026, 11, 20, 5, 0, 0, 0, time.UTC)})
	n := 0
	for ev := range r.Events() {
		if ev.Text != "" {
			n++
		}
	}
	if n < 10 || r.Spotlight().ID == "" {
		t.Errorf("%d events of %+v", n, r.Spotlight())
	}
}

func TestDifferentSeedsDiffer(t *testing.T) {
	a, b := New(Config{Seed: 1, Shoppers: 50}), New(Config{Seed: 2, Shoppers: 50})
	if a.Len() == b.Len() && bytes.Equal(a.events[100].JSON, b.events[100].JSON) {
		t.Error("two seeds give the same events")
	}
}
