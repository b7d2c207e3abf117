package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/rapport-engine/rapport/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Delivery's surroundings, with a clock that only sleeping moves.
type world struct {
	mu      sync.Mutex // guards what follows while a delivery runs
	now     time.Time
	pauses  []time.Duration
	reports []string // "<event> <messageId> <reason>"
	records []streams.Record
	check   func(*streams.Message) string
	refuse  error // of Report, as often as
	times   int
	moved   []streams.Record // nil: there is no retry
	accept  bool
	letters []streams.DeadLetter
}

func newWorld() *world {
	return &world{now: time.Date(2015, 6, 2, 5, 32, 14, 0, time.UTC), check: func(*streams.Message) string { return "" }}
}

func (w *world) delivery(t *testing.T, sink Sink, routes map[string][]string) *Delivery {
	t.Helper()
	r, err := NewRoutes(routes)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Sink: sink, Routes: r,
		Check: func(_ context.Context, m *streams.Message) string { return w.check(m) },
		Report: func(_ context.Context, rec streams.Record) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.refuse != nil && w.times > 0 {
				w.times--
				return w.refuse
			}
			var e streams.Event
			if err := (&streams.Decoder{}).Decode(&rec, &e); err != nil {
				t.Errorf("the report cannot be decoded: %v", err)
			}
			p, err := e.PropertiesMap()
			if err != nil || e.Identifiers[0].String() != string(rec.Key) || e.Behaviour() {
				t.Errorf("report %s: %v", rec.Value, err)
			}
			w.reports = append(w.reports, strings.TrimSpace(fmt.Sprint(e.Name, " ", e.MessageID, " ", or(p["reason"], ""))))
			w.records = append(w.records, rec)
			return nil
		},
		DeadLetter: func(_ context.Context, d streams.DeadLetter) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.letters = append(w.letters, d)
			return nil
		},
		AcceptLoss: w.accept,
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now
		},
		Rand: func() float64 { return 0.5 },
		Sleep: func(ctx context.Context, d time.Duration) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.pauses = append(w.pauses, d)
			w.now = w.now.Add(d)
			return ctx.Err()
		},
		Registerer: prometheus.NewRegistry(),
	}
	if w.moved != nil {
		c.Retry = func(_ context.Context, rec streams.Record) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.moved = append(w.moved, rec)
			return nil
		}
	}
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deliver hands records over and waits for their end; commit says whether what
// is finished, or has to be known, is committed meanwhile.
func deliver(ctx context.Context, q *Queue, number int32, recs []streams.Record, commit bool) error {
	if commit {
		ctx, stop := context.WithCancel(ctx)
		var over sync.WaitGroup
		defer over.Wait()
		defer stop()
		over.Go(func() { commitAll(ctx, q, number) })
	}
	for len(recs) > 0 {
		n := min(len(recs), inFlight)
		if err := q.Handle(ctx, number, recs[:n]); err != nil {
			return err
		}
		q.partition(number).running.Wait()
		recs = recs[n:]
	}
	if commit {
		q.Committed(number, q.Position(number))
	}
	return nil
}

// commitAll commits until ctx ends.
func commitAll(ctx context.Context, q *Queue, number int32) {
	for {
		select {
		case <-q.Dirty():
			q.Committed(number, q.Position(number))
		case <-ctx.Done():
			return
		}
	}
}

// committed is what is to be committed of a partition, as text.
func committed(q *Queue, number int32) string {
	at := q.Position(number)
	return fmt.Sprintf("%d %s", at.Offset, at.Metadata)
}

func or(v, def any) any {
	if v == nil {
		return def
	}
	return v
}

// fake is a sink that answers as told, the last answer again and again.
type fake struct {
	mu      sync.Mutex
	name    string
	answers []error
	sent    []string
}

func (f *fake) Name() string { return f.name }

func (f *fake) Send(_ context.Context, m *streams.Message, body []byte) error {
	if !json.Valid(body) {
		return errors.New("no JSON")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, m.ID)
	if len(f.answers) == 0 {
		return nil
	}
	err := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	return err
}

func record(offset int64, id, channel, profile string) streams.Record {
	body, err := json.Marshal(streams.Message{ID: id, Trigger: "abandoned_cart", Channel: channel, Profile: profile})
	if err != nil {
		panic(err)
	}
	effect := streams.EffectNumber{Topic: "events", Partition: 3, Offset: offset}
	return streams.Record{Topic: "messages", Partition: 3, Offset: offset, Key: []byte(profile), Value: body,
		Headers: []streams.Header{{Key: streams.HeaderEffect, Value: []byte(effect.String())}}}
}

func equal(t *testing.T, what string, got any, want string) {
	t.Helper()
	if fmt.Sprint(got) != want {
		t.Errorf("%s: got %v, want %s", what, got, want)
	}
}

func TestOutcomes(t *testing.T) {
	ctx := context.Background()
	refused := &SendError{Err: errors.New("no such address"), Permanent: true}
	busy := &SendError{Err: errors.New("busy"), RetryAfter: 7 * time.Second}
	for _, c := range []struct {
		name                     string
		answers                  []error
		check                    func(*streams.Message) string
		sends                    int
		reports, letters, pauses string
	}{
		{"sent", nil, nil, 1, "[Message Sent m.1.sent]", "[]", "[]"},
		{"tried again", []error{errors.New("x"), errors.New("x"), nil}, nil, 3, "[Message Sent m.1.sent]", "[]", "[250ms 500ms]"},
		{"as the receiver asks", []error{busy, nil}, nil, 2, "[Message Sent m.1.sent]", "[]", "[7s]"},
		{"refused", []error{refused}, nil, 1, "[Message Failed m.1.failed refused]", "[undelivered no such address events/3/0/1/0]", "[]"},
		{"wrapped", []error{fmt.Errorf("more: %w", refused)}, nil, 1, "[Message Failed m.1.failed refused]", "[undelivered more: no such address events/3/0/1/0]", "[]"},
		{"not valid", nil, func(*streams.Message) string { return "expired" }, 0, "[Message Skipped m.1.skipped expired]", "[]", "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, sink := newWorld(), &fake{name: "webhook", answers: c.answers}
			if c.check != nil {
				w.check = c.check
			}
			d := w.delivery(t, sink, map[string][]string{"webhook": nil})
			if err := deliver(ctx, d.Messages, 3, []streams.Record{record(1, "m.1", "webhook", "user:42")}, true); err != nil {
				t.Fatal(err)
			}
			letters := []string{}
			for _, l := range w.letters {
				letters = append(letters, l.Reason+" "+l.Detail+" "+l.Number)
			}
			equal(t, "sends", len(sink.sent), fmt.Sprint(c.sends))
			equal(t, "reports", w.reports, c.reports)
			equal(t, "letters", letters, c.letters)
			equal(t, "pauses", w.pauses, c.pauses)
		})
	}
}

// TestGiveUp: a receiver that never answers well gets the message for ten
// minutes; a message that is no longer valid meanwhile is skipped.
func TestGiveUp(t *testing.T) {
	w, sink := newWorld(), &fake{name: "webhook", answers: []error{errors.New("down")}}
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	start := w.now
	if err := deliver(context.Background(), d.Messages, 3, []streams.Record{record(1, "m.1", "webhook", "user:42")}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "reports", w.reports, "[Message Failed m.1.failed timeout]")
	equal(t, "letters", len(w.letters), "1")
	if took := w.now.Sub(start); took < 9*time.Minute || took > 10*time.Minute {
		t.Errorf("given up after %v", took)
	}
	for _, p := range w.pauses {
		if p > 30*time.Second { // half of MaxBackoff, as Rand says
			t.Errorf("a pause of %v", p)
		}
	}

	w, sink = newWorld(), &fake{name: "webhook", answers: []error{errors.New("down")}}
	w.check = func(*streams.Message) string {
		if len(w.pauses) > 2 {
			return "expired"
		}
		return ""
	}
	d = w.delivery(t, sink, map[string][]string{"webhook": nil})
	if err := deliver(context.Background(), d.Messages, 3, []streams.Record{record(1, "m.1", "webhook", "user:42")}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "reports", w.reports, "[Message Skipped m.1.skipped expired]")
	equal(t, "sends", len(sink.sent), "3")
}

func TestRouting(t *testing.T) {
	recs := []streams.Record{record(1, "a", "email", "user:1"), record(2, "b", "push", "anonymous:1"),
		record(3, "c", "webhook", "card:1"), record(4, "d", "log", "email:a@b.c")}
	routes := map[string][]string{"webhook": {"webhook", "push"}}
	for name, want := range map[string]string{"webhook": "[b c]", "log": "[a d]", "smtp": "[]"} {
		w, sink := newWorld(), &fake{name: name}
		if err := deliver(context.Background(), w.delivery(t, sink, routes).Messages, 3, recs, true); err != nil {
			t.Fatal(err)
		}
		slices.Sort(sink.sent)
		equal(t, name, fmt.Sprint("[", strings.Join(sink.sent, " "), "]"), want)
	}
	_, err := NewRoutes(map[string][]string{"a": {"x", "y"}, "b": {"y", "x"}, "x": nil})
	if err == nil || strings.Count(err.Error(), "served by sink") != 3 {
		t.Errorf("got %v", err)
	}
}

// TestWatermark: what is finished is not sent again, by the same Delivery or by
// one that takes over what was committed.
func TestWatermark(t *testing.T) {
	ctx := context.Background()
	recs := []streams.Record{record(1, "a", "webhook", "user:1"), record(2, "b", "webhook", "user:1"), record(3, "c", "other", "user:1")}
	w, sink := newWorld(), &fake{name: "webhook"}
	routes := map[string][]string{"webhook": nil}
	d := w.delivery(t, sink, routes)
	equal(t, "nothing yet", committed(d.Messages, 3), "-1 ")
	for range 2 {
		if err := deliver(ctx, d.Messages, 3, recs, true); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "sent", sink.sent, "[a b]")
	equal(t, "committed", committed(d.Messages, 3), "4 events/3/0/3/0 ")

	next := w.delivery(t, sink, routes)
	next.Messages.Restore(3, 4, "events/3/0/3/0 ")
	repeated := record(5, "b", "webhook", "user:1") // produced again after a crash
	repeated.Headers[0].Value = []byte("events/3/0/2/0")
	raised := record(6, "e", "webhook", "user:1")
	raised.Headers[0].Value = []byte("events/3/1/1/0") // a later incarnation
	other := record(7, "f", "webhook", "user:1")
	other.Headers[0].Value = []byte("events/7/0/1/0") // another source
	if err := deliver(ctx, next.Messages, 3, []streams.Record{record(4, "d", "webhook", "user:1"), repeated, raised, other}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", sink.sent, "[a b d e f]")
	equal(t, "committed", committed(next.Messages, 3), "8 events/3/1/1/0 events/7/0/1/0 ")
	next.Messages.Restore(3, 4, "events/3/0/3/0 ") // a commit that is older than what it has sent
	if err := deliver(ctx, next.Messages, 3, []streams.Record{record(4, "d", "webhook", "user:1"), repeated, raised, other}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", sink.sent, "[a b d e f]")
}

// TestReportFails: a message whose report could not be stored is reported when
// that is possible again, also after a restart of the partition, and not sent
// again.
func TestReportFails(t *testing.T) {
	ctx := context.Background()
	w, sink := newWorld(), &fake{name: "webhook"}
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	recs := []streams.Record{record(1, "a", "webhook", "user:1"), record(2, "b", "webhook", "user:1")}
	w.refuse, w.times = errors.New("the broker is away"), 3
	if err := deliver(ctx, d.Messages, 3, recs, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", sink.sent, "[a b]")
	equal(t, "reports", w.reports, "[Message Sent a.sent Message Sent b.sent]")

	ending, cancel := context.WithCancel(ctx)
	w.times = 1
	w.check = func(*streams.Message) string { cancel(); return "" }
	last := []streams.Record{record(3, "c", "webhook", "user:1")}
	if err := deliver(ending, d.Messages, 3, last, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "unfinished", committed(d.Messages, 3), "3 events/3/0/2/0 ")
	d.Messages.Restore(3, 3, "events/3/0/2/0 ")
	if err := deliver(ctx, d.Messages, 3, last, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", sink.sent, "[a b c]")
	equal(t, "reports", w.reports, "[Message Sent a.sent Message Sent b.sent Message Sent c.sent]")
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	w, sink := newWorld(), &fake{name: "webhook", answers: []error{errors.New("down")}}
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	w.check = func(*streams.Message) string {
		if len(w.pauses) == 2 {
			cancel()
		}
		return ""
	}
	if err := deliver(ctx, d.Messages, 3, []streams.Record{record(1, "a", "webhook", "user:1")}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "committed", committed(d.Messages, 3), "1 ")
	if len(w.reports)+len(w.letters) > 0 {
		t.Errorf("%v, %v", w.reports, w.letters)
	}
	if err := d.Messages.Handle(ctx, 3, []streams.Record{record(2, "b", "webhook", "user:1")}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := d.Messages.Handle(ctx, 3, nil); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
}

func TestBadRecords(t *testing.T) {
	bad := func(offset int64, value string) streams.Record {
		rec := record(offset, "x", "webhook", "user:1")
		rec.Value = []byte(value)
		return rec
	}
	number := record(9, "n", "webhook", "user:1")
	number.Headers[0].Value = []byte("nonsense")
	w, sink := newWorld(), &fake{name: "webhook"}
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	recs := []streams.Record{bad(1, "{"), bad(2, ""), bad(3, "[]"), bad(4, "{}"), bad(5, "\xff"), number,
		record(6, "nobody", "webhook", "x"), record(7, "good", "webhook", "user:1")}
	for range 2 {
		if err := deliver(context.Background(), d.Messages, 3, recs, true); err != nil {
			t.Fatal(err)
		}
	}
	reasons := []string{}
	for _, l := range w.letters {
		reasons = append(reasons, l.Reason)
	}
	slices.Sort(reasons)
	slices.Sort(sink.sent)
	equal(t, "letters", reasons, "[invalid malformed malformed malformed malformed malformed]")
	equal(t, "sent", sink.sent, "[good nobody]")
	equal(t, "reports", w.reports, "[Message Sent good.sent]")
}

func TestReport(t *testing.T) {
	m := &streams.Message{ID: strings.Repeat("t", 120) + ".1.5f0c9a7e21b3d468", Profile: "card:7001", Channel: "sms", Trigger: "t", Variant: "a"}
	rec, err := report(m, failed(time.UnixMilli(1433223134123), "refused", "no"), "log")
	if err != nil {
		t.Fatal(err)
	}
	var e streams.Event
	if err := (&streams.Decoder{}).Decode(&rec, &e); err != nil {
		t.Fatal(err)
	}
	if len(e.MessageID) != streams.MaxMessageID || !strings.HasSuffix(e.MessageID, "5f0c9a7e21b3d468.failed") ||
		e.MessageRef != m.ID || e.Channel != "sms" || string(rec.Key) != "card:7001" || rec.Partition != -1 ||
		string(rec.Header(streams.HeaderKind)) != streams.KindReport {
		t.Errorf("got %s", rec.Value)
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	sink := NewLog(&out)
	for _, body := range []string{`{"a": 1}`, "{\n\"b\":2}"} {
		if err := sink.Send(context.Background(), nil, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "lines", out.String(), "{\"a\":1}\n{\"b\":2}\n")
	var failure *SendError
	if err := sink.Send(context.Background(), nil, []byte("{")); !errors.As(err, &failure) || !failure.Permanent {
		t.Errorf("got %v", err)
	}
}

func TestNew(t *testing.T) {
	reg := prometheus.NewRegistry()
	report := func(context.Context, streams.Record) error { return nil }
	letter := func(context.Context, streams.DeadLetter) error { return nil }
	for _, c := range []Config{{}, {Sink: &fake{}}, {Sink: &fake{}, Report: report}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	good := Config{Sink: &fake{name: "x"}, Report: report, DeadLetter: letter, Registerer: reg}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
	if _, err := New(good); err == nil {
		t.Error("the metrics of one sink were registered twice")
	}
}

// FuzzHandle: no record stops a partition, and each ends in a report or a
// dead letter, unless another sink serves it.
func FuzzHandle(f *testing.F) {
	good := record(1, "m", "webhook", "user:1")
	f.Add(good.Value, []byte("events/3/0/1/0"))
	f.Add([]byte(`{"id":"m","channel":"webhook","profile":"x"}`), []byte("nonsense"))
	f.Add([]byte(`{"id":7}`), []byte(""))
	f.Fuzz(func(t *testing.T, value, effect []byte) {
		sink := &fake{name: "log", answers: []error{&SendError{Err: errors.New("no"), Permanent: true}}}
		letters := 0
		d, err := New(Config{Sink: sink,
			Report:     func(context.Context, streams.Record) error { return nil },
			DeadLetter: func(context.Context, streams.DeadLetter) error { letters++; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		rec := streams.Record{Topic: "messages", Value: value, Headers: []streams.Header{{Key: streams.HeaderEffect, Value: effect}}}
		if err := deliver(context.Background(), d.Messages, 0, []streams.Record{rec}, true); err != nil || letters != 1 {
			t.Fatalf("%d letters, %v", letters, err)
		}
	})
}
