package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
)

// running is an engine of a test, folding until the test ends or stop is called.
type running struct {
	*engine.Engine
	t    *testing.T
	stop func()
}

func testConfig(dir string) engine.Config {
	cfg := engine.DefaultConfig()
	cfg.Data, cfg.Rules, cfg.Partitions = dir, dir+"/none", 4
	cfg.SnapshotInterval = 50 * time.Millisecond
	return cfg
}

func start(t *testing.T, cfg engine.Config, opts engine.Options) *running {
	t.Helper()
	e, err := engine.New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	r := &running{Engine: e, t: t}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(r.stop)
	r.eventually("ready", func() bool { ok, _ := e.Ready(); return ok })
	return r
}

// eventually waits until ok, for a minute at most.
func (r *running) eventually(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			r.t.Fatalf("not %s within a minute", what)
		case <-tick.C:
		}
	}
}

// at is a moment of the tests' history, in ms.
func at(day int, clock string) int64 {
	t, err := time.Parse("2006-01-02 15:04", fmt.Sprintf("2026-03-%02d %s", day, clock))
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

// call is one Segment call of history.
type call struct {
	at    int64
	event map[string]any
}

func track(at int64, user, name string, properties map[string]any) call {
	return call{at, map[string]any{"type": "track", "event": name, "anonymousId": user, "messageId": fmt.Sprintf("%s-%s-%d", user, name, at), "properties": properties}}
}

// history writes calls with the clock of their times and waits until they and
// a last tick at end are applied.
func (r *running) history(end int64, calls ...call) {
	r.t.Helper()
	var recs []streams.Record
	for _, c := range calls {
		c.event["timestamp"] = time.UnixMilli(c.at).UTC().Format(time.RFC3339Nano)
		value, err := json.Marshal(c.event)
		if err != nil {
			r.t.Fatal(err)
		}
		var key string
		for _, id := range []string{"user", "anonymous"} {
			if v, ok := c.event[id+"Id"]; ok {
				key = fmt.Sprintf("%s:%v", id, v)
				break
			}
		}
		recs = append(recs, streams.Record{Partition: -1, Key: []byte(key), Value: value, Headers: clock(c.at)})
	}
	for p := range int32(4) {
		recs = append(recs, streams.Record{Partition: p, Headers: clock(end)})
	}
	if err := r.Ingest(context.Background(), recs); err != nil {
		r.t.Fatal(err)
	}
	if err := r.WaitApplied(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

func clock(ms int64) []streams.Header {
	return []streams.Header{{Key: streams.HeaderClock, Value: engine.HistoryTick(ms)}}
}

func (r *running) profile(id string) *profiles.Profile {
	r.t.Helper()
	var dec streams.Decoder
	ident, err := dec.ParseIdentifier(id)
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := r.Profile(context.Background(), ident)
	if err != nil {
		r.t.Fatalf("profile %s: %v", id, err)
	}
	return p
}

func TestAbandonedCartIsSentOnceAfterHalfAnHour(t *testing.T) {
	r := start(t, testConfig(t.TempDir()), engine.Options{MessageLog: io.Discard})
	r.history(at(1, "13:00"),
		track(at(1, "10:00"), "a", "Product Viewed", map[string]any{"product_id": "p1", "price": 10}),
		track(at(1, "10:05"), "a", "Product Added", map[string]any{"product_id": "p1", "price": 10}),
		track(at(1, "10:20"), "a", "Product Viewed", map[string]any{"product_id": "p2", "price": 12}))

	stats := r.Stats()
	if stats.Messages["abandoned_cart"] != 1 || stats.Events["Product Viewed"] != 2 {
		t.Fatalf("stats: %+v", stats)
	}
	r.eventually("listed", func() bool {
		list, _ := r.Messages(t.Context(), engine.MessageQuery{Profile: "anonymous:a", Limit: 10})
		return len(list) == 1
	})
	list, _ := r.Messages(t.Context(), engine.MessageQuery{Profile: "anonymous:a", Limit: 10})
	if got := list[0].At.UnixMilli(); got != at(1, "10:50") {
		t.Errorf("at = %v", list[0].At)
	}
	if len(list[0].Data.Items) != 1 || list[0].Data.Items[0].ID != "p1" {
		t.Errorf("items = %+v", list[0].Data.Items)
	}
}

func TestOrderInAnotherChannelEndsTheRun(t *testing.T) {
	r := start(t, testConfig(t.TempDir()), engine.Options{MessageLog: io.Discard})
	order := track(at(1, "10:20"), "a", "Order Completed", map[string]any{"order_id": "o1", "products": []any{map[string]any{"product_id": "p1", "price": 10}}})
	order.event["context"] = map[string]any{"channel": "pos"}
	r.history(at(1, "13:00"),
		track(at(1, "10:05"), "a", "Product Added", map[string]any{"product_id": "p1", "price": 10}), order)
	stats := r.Stats()
	if stats.Messages["abandoned_cart"] != 0 || stats.Skipped["abandoned_cart"]["exited"] != 1 {
		t.Fatalf("stats: %+v", stats)
	}
	p := r.profile("anonymous:a")
	if p.Orders.GetCount() != 1 || p.Orders.GetRevenue() != 10 || len(p.Cart.GetLines()) != 0 {
		t.Errorf("profile: %v", p)
	}
}

func TestCardAtTheTillAndLoginLeadToOneProfile(t *testing.T) {
	r := start(t, testConfig(t.TempDir()), engine.Options{MessageLog: io.Discard})
	login := call{at(1, "10:00"), map[string]any{"type": "identify", "userId": "42", "anonymousId": "web1", "messageId": "i1",
		"traits": map[string]any{"email": "A@b.c", "card": "7001"}}}
	till := call{at(1, "11:00"), map[string]any{"type": "track", "event": "Order Completed", "messageId": "t1",
		"context":    map[string]any{"channel": "pos", "externalIds": []any{map[string]any{"type": "card", "id": "7001"}}},
		"properties": map[string]any{"order_id": "o1", "total": 5}}}
	r.history(at(1, "10:01"), login)
	r.history(at(1, "12:00"), till, track(at(1, "11:30"), "web1", "Product Viewed", map[string]any{"product_id": "p1"}))
	for _, id := range []string{"user:42", "card:7001", "email:a@b.c", "anonymous:web1"} {
		p := r.profile(id)
		if p.Id != "user:42" || p.Events != 3 || p.Orders.GetCount() != 1 || len(p.Viewed) != 1 {
			t.Errorf("%s leads to %v", id, p)
		}
	}
}

func TestRestartLosesNothing(t *testing.T) {
	cfg := testConfig(t.TempDir())
	r := start(t, cfg, engine.Options{MessageLog: io.Discard})
	r.history(at(1, "10:10"), track(at(1, "10:05"), "a", "Product Added", map[string]any{"product_id": "p1", "price": 10}))
	before := r.profile("anonymous:a")
	r.stop()

	r = start(t, cfg, engine.Options{MessageLog: io.Discard})
	if after := r.profile("anonymous:a"); after.String() != before.String() {
		t.Errorf("restored %v, was %v", after, before)
	}
	r.history(at(1, "13:00"))
	if n := r.Stats().Messages["abandoned_cart"]; n != 1 {
		t.Errorf("messages after the restart = %d", n)
	}
}

func TestBadRecordsGoToTheDeadLetters(t *testing.T) {
	r := start(t, testConfig(t.TempDir()), engine.Options{MessageLog: io.Discard})
	bad := []streams.Record{
		{Partition: 0, Value: []byte(`{"type":`)},
		{Partition: 1, Value: []byte(`{"type":"track","event":"X"}`)},
		{Partition: 2, Value: []byte("\xff\xfe")},
	}
	if err := r.Ingest(context.Background(), bad); err != nil {
		t.Fatal(err)
	}
	if err := r.WaitApplied(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.eventually("listed", func() bool { return len(r.DeadLetters(10, "")) == 3 })
}

func TestConditionsReadTheCatalogueOfTheLog(t *testing.T) {
	r := start(t, testConfig(t.TempDir()), engine.Options{MessageLog: io.Discard})
	no := false
	if _, err := r.PutItems(context.Background(), []*streams.Item{{ID: "gone", Name: "Gone", Available: &no}, {ID: "here", Name: "Here", Price: 9}}); err != nil {
		t.Fatal(err)
	}
	r.eventually("folded", func() bool { return r.Item("gone") != nil && r.Item("here") != nil })
	if err := r.WaitApplied(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.history(at(1, "13:00"),
		track(at(1, "10:05"), "a", "Product Added", map[string]any{"product_id": "gone"}),
		track(at(1, "10:06"), "b", "Product Added", map[string]any{"product_id": "here"}))
	stats := r.Stats()
	if stats.Messages["abandoned_cart"] != 1 || stats.Skipped["abandoned_cart"]["condition"] != 1 {
		t.Fatalf("stats: %+v", stats)
	}
	answers := make([]recommender.Answer, 1)
	if err := r.Recommend(context.Background(), streams.Identifier{}, []*recommender.Request{{Placement: "home", Limit: 10}}, true, answers); err != nil {
		t.Fatal(err)
	}
	for _, item := range answers[0].Items {
		if item.ID == "gone" {
			t.Error("an unavailable item was recommended")
		}
	}
}

func TestFeedbackThatNamesOnlyTheMessageFindsItsCustomer(t *testing.T) {
	r := start(t, testConfig(t.TempDir()), engine.Options{Quiet: true})
	r.history(at(1, "13:00"), track(at(1, "10:05"), "a", "Product Added", map[string]any{"product_id": "p1"}))
	id := r.profile("anonymous:a").Messages[0].Id
	for i, message := range []string{id, "unknown.1.0000000000000000"} {
		r.history(at(1, "14:00"), call{at(1, "13:30"), map[string]any{"type": "track", "event": "Message Opened", "messageId": fmt.Sprint("o", i),
			"properties": map[string]any{"message_id": message}}})
	}
	if m := r.profile("anonymous:a").Messages[0]; m.Status != "opened" {
		t.Errorf("status = %q", m.Status)
	}
	if n := r.Stats().Issues["unknown_message"]; n != 1 {
		t.Errorf("unknown messages = %d", n)
	}
}
