package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
)

// badRecords are what a producer outside may write to `events`, by what it is;
// the reason is that of its dead letter, "" where there is none.
func badRecords() map[string]struct {
	rec    streams.Record
	reason string
} {
	type bad = struct {
		rec    streams.Record
		reason string
	}
	value := func(s string) streams.Record { return streams.Record{Value: []byte(s)} }
	kind := func(kind, value string) streams.Record {
		return streams.Record{Value: []byte(value), Headers: []streams.Header{{Key: streams.HeaderKind, Value: []byte(kind)}}}
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // bytes of a test
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	event := func(more string) streams.Record {
		return value(`{"type":"track","event":"Product Added","anonymousId":"bad",` + more + `}`)
	}
	many := strings.Repeat(`{"product_id":"p"},`, 1001)
	return map[string]bad{
		"random bytes":         {value(string(noise)), streams.ReasonMalformed},
		"no JSON":              {value(`{"type":"track"`), streams.ReasonMalformed},
		"a number":             {value(`17`), streams.ReasonMalformed},
		"deep":                 {event(`"properties":` + strings.Repeat(`{"a":`, 2000) + `1` + strings.Repeat(`}`, 2000)), streams.ReasonMalformed},
		"very deep":            {value(strings.Repeat("[", 900_000)), streams.ReasonTooLarge},
		"a megabyte":           {event(`"properties":{"x":"` + strings.Repeat("x", 900_000) + `"}`), streams.ReasonTooLarge},
		"nobody":               {value(`{"type":"track","event":"X"}`), streams.ReasonNoIdentifier},
		"no such type":         {value(`{"type":"dance","anonymousId":"bad"}`), streams.ReasonInvalid},
		"negative price":       {event(`"properties":{"product_id":"p","price":-1}`), streams.ReasonInvalid},
		"negative quantity":    {event(`"properties":{"products":[{"product_id":"p","quantity":-3}]}`), streams.ReasonInvalid},
		"a price of words":     {event(`"properties":{"product_id":"p","price":"cheap"}`), streams.ReasonInvalid},
		"too many lines":       {event(`"properties":{"products":[` + many[:len(many)-1] + `]}`), streams.ReasonInvalid},
		"before 1970":          {event(`"timestamp":"0000-01-01T00:00:00Z"`), streams.ReasonInvalid},
		"no time at all":       {event(`"timestamp":"soon"`), streams.ReasonInvalid},
		"the year 9999":        {event(`"messageId":"9999","timestamp":"9999-12-31T23:59:59Z"`), ""},
		"a million years on":   {event(`"messageId":"million","timestamp":31556889864403199`), ""},
		"a link to nowhere":    {kind(streams.KindLink, `{"from":"x","to":"y"}`), streams.ReasonInvalid},
		"a link of noise":      {kind(streams.KindLink, string(noise)), streams.ReasonInvalid},
		"a catalogue of noise": {kind(streams.KindCatalog, string(noise)), streams.ReasonInvalid},
		"an unknown kind":      {kind("dance", `{}`), streams.ReasonInvalid},
		"a forward to nobody":  {kind(streams.KindForward, `{"type":"page","messageId":"f","anonymousId":"bad"}`), ""},
		"a clock of noise":     {streams.Record{Value: noise, Headers: []streams.Header{{Key: streams.HeaderClock, Value: noise}, {Key: streams.HeaderEffect, Value: noise}}}, streams.ReasonMalformed},
		"the last clock":       {streams.Record{Headers: []streams.Header{{Key: streams.HeaderClock, Value: []byte("history:9223372036854775807")}}}, ""},
		"nothing":              {streams.Record{}, ""},
	}
}

func TestBadRecordsStopNoPartition(t *testing.T) {
	cfg := testConfig(t.TempDir())
	r := start(t, cfg, engine.Options{})
	seen, n := 0, 0
	letters := map[string]int{}
	for name, bad := range badRecords() {
		n++
		user := fmt.Sprintf("good%d", n)
		good := track(at(1, "10:00")+int64(n), user, "Product Viewed", map[string]any{"product_id": "p1"})
		var recs []streams.Record
		for p := range int32(cfg.Partitions) {
			rec := bad.rec
			rec.Partition, rec.Value, rec.Headers = p, bytes.Clone(rec.Value), bytesOf(rec.Headers)
			recs = append(recs, rec)
		}
		if bad.reason != "" {
			seen += len(recs)
			letters[bad.reason] += len(recs)
		}
		done := make(chan error, 1)
		r.Enqueue(context.Background(), recs, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.history(good.at, good)
		if p := r.profile("anonymous:" + user); p.Events != 1 {
			t.Errorf("after %s: %v", name, p)
		}
		r.eventually(name+" listed", func() bool { return len(r.DeadLetters(1000, "")) == seen })
	}
	for reason, want := range letters {
		if got := len(r.DeadLetters(1000, reason)); got != want {
			t.Errorf("%d dead letters %s, want %d", got, reason, want)
		}
	}
	for _, l := range r.DeadLetters(1000, "") {
		if len(l.Event) > 4<<10 {
			t.Errorf("%s: %d bytes are listed", l.Number, len(l.Event))
		}
		if l.Detail == "" || strings.Contains(l.Detail, "%!") || len(l.Detail) > 1000 {
			t.Errorf("%s: detail %.2000q", l.Number, l.Detail)
		}
	}
	before := r.profile("anonymous:bad")
	r.stop()
	r = start(t, cfg, engine.Options{}) // from snapshots with all of that in them
	if after := r.profile("anonymous:bad"); after.String() != before.String() {
		t.Errorf("restored %v, was %v", after, before)
	}
	if limit := time.Now().Add(time.Hour).UnixMilli(); before.LastAt > limit {
		t.Errorf("the profile was last seen in %v", time.UnixMilli(before.LastAt))
	}
}

func bytesOf(headers []streams.Header) []streams.Header {
	list := make([]streams.Header, len(headers))
	for i, h := range headers {
		list[i] = streams.Header{Key: h.Key, Value: bytes.Clone(h.Value)}
	}
	return list
}

func TestAnEngineThatIsStoppedWhileItStartsHasNoError(t *testing.T) {
	for n := range 20 {
		e, err := engine.New(testConfig(t.TempDir()), engine.Options{Quiet: true, Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Millisecond)
		if err := e.Run(ctx); err != nil {
			t.Errorf("after %d ms: %v", n, err)
		}
		cancel()
	}
}
