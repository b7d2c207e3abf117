package engine

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// stopped makes an engine of two partitions that does not run.
func stopped(t testing.TB) *Engine {
	t.Helper()
	set, err := rules.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Partitions = 2
	e, err := New(cfg, Options{Rules: set})
	if err != nil {
		t.Fatal(err)
	}
	e.producer = new(kafka.Producer)
	return e
}

// foldAlone makes the worker of partition 0, with effects that go nowhere.
func foldAlone(e *Engine) *worker {
	w := e.newWorker(0)
	w.produce = func(_ context.Context, _ []streams.Record, done func(error)) { done(nil) }
	return w
}

// FuzzStep folds a record as anybody may write it, twice, with an event before
// and a tick after: whatever it is, the partition moves on, and what the
// profiles hold can be read.
func FuzzStep(f *testing.F) {
	good := `{"type":"track","event":"Product Added","anonymousId":"a","messageId":"m","timestamp":"2026-03-02T10:00:00Z","properties":{"product_id":"p1","price":5}}`
	f.Add([]byte(good), []byte("anonymous:a"), "", "history:1772445600000", "", "", int64(1772445600000))
	f.Add([]byte(good), []byte("anonymous:a"), "forward", "", "events/1/0/5/0", "1 2 m\nx", int64(1772445600000))
	f.Add([]byte(`{"from":"anonymous:a","to":"user:1","at":5}`), []byte("anonymous:a"), "link", "", "events/1/0/5/0", "", int64(1772445600000))
	f.Add([]byte(`{"from":"a","to":":"}`), []byte(":"), "link", "history:-1", "events/1/0", "", int64(1772445600000))
	f.Add([]byte(`{"changes":[{"n":1,"id":"p1","new":{"id":"p1","price":-1}}]}`), []byte(nil), "catalog", "live", "catalog/0/0/0/0", "", int64(1772445600000))
	f.Add([]byte(`null`), []byte(nil), "catalog", "history:9223372036854775807", "///", "\n", int64(1772445600000))
	f.Add([]byte(`null`), []byte(nil), "link", "history:", "x", "9223372036854775807 9223372036854775807 m", int64(1772445600000))
	f.Add([]byte(`{"type":"track","event":"Message Sent","anonymousId":"a","properties":{"message_id":"m"}}`), []byte("x"), "report", "live", "", "-1 -1 m", int64(1772445600000))
	f.Add([]byte(strings.Replace(good, "timestamp", "t", 1)), []byte("anonymous:a"), "", "", "", "", int64(math.MaxInt64))
	f.Add([]byte(strings.Replace(good, "timestamp", "t", 1)), []byte("anonymous:a"), "", "live", "", "", int64(math.MaxInt64))
	f.Add([]byte(good), []byte("anonymous:a"), "", "live", "", "", int64(math.MinInt64))
	f.Add([]byte(`{"from":"anonymous:a","to":"user:1","at":5,"profile":"2AEB"}`), []byte("user:1"), "merge", "", "events/1/0/5/0", "", int64(1772445600000))
	f.Add([]byte(`{"from":"anonymous:a","to":"user:1","at":5,"profile":"2AEB"}`), []byte("user:1"), "unmerge", "", "", "", int64(1772445600000))
	f.Add([]byte(`{"from":"anonymous:a","to":"user:1","of":"email:a@b.c","by":"user:1"}`), []byte("user:1"), "refuse", "", "", "", int64(1772445600000))
	f.Add([]byte(`{"from":"anonymous:a","to":"user:1","at":5}`), []byte("anonymous:a"), "unlink", "", "", "", int64(1772445600000))
	f.Add([]byte(`{"n":1,"due":1772445600001,"profile":"z","change":5,"told":"a","slot":-3}`), []byte("step"), "step", "live", "events/0/0/1/0", "", int64(1772445600000))
	f.Add([]byte(`{"n":1,"slot":99999999}`), []byte("step"), "step", "live", "", "", int64(1772445600000))
	e := stopped(f)
	e.settings.Crowd, e.settings.Step = 0, 1
	f.Fuzz(func(t *testing.T, value, key []byte, kind, clock, effect, first string, logged int64) {
		w := foldAlone(e)
		add := func(name, value string) (headers []streams.Header) {
			if value != "" {
				headers = append(headers, streams.Header{Key: name, Value: []byte(value)})
			}
			return headers
		}
		headers := append(add(streams.HeaderKind, kind), add(streams.HeaderClock, clock)...)
		headers = append(append(headers, add(streams.HeaderEffect, effect)...), add(streams.HeaderFirst, first)...)
		headers = append(headers, add(streams.HeaderPassed, first)...)
		recs := []streams.Record{
			{Offset: 0, Time: 1772445600000, Key: []byte("anonymous:a"), Value: []byte(good), Headers: add(streams.HeaderClock, "history:1772445600000")},
			{Offset: 1, Time: logged, Key: key, Value: value, Headers: headers},
			{Offset: 2, Time: logged, Key: key, Value: value, Headers: headers},
			{Offset: 3, Headers: add(streams.HeaderClock, "history:1772532000000")},
		}
		for i := range recs {
			if err := w.process(context.Background(), recs[i:i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if w.state.Offset != 4 {
			t.Errorf("the partition stands at %d", w.state.Offset)
		}
		if w.state.Now < 0 || w.state.Now > maxTick {
			t.Errorf("the clock shows %d", w.state.Now)
		}
		if _, err := json.Marshal(&w.state); err != nil {
			t.Error(err)
		}
		restored := profiles.NewStore() // as the next start would
		for _, blob := range w.store.TakeDirty() {
			if err := restored.Restore(blob.ID, blob.Data); err != nil {
				t.Error(err)
			}
		}
	})
}
