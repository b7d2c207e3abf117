package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/streams"
)

// log is an Enqueuer that keeps what it gets.
type log struct {
	records []streams.Record
	err     error
}

func (l *log) Enqueue(_ context.Context, records []streams.Record, done func(error)) {
	for _, r := range records { // their memory is used again
		r.Key, r.Value, r.Headers = bytes.Clone(r.Key), bytes.Clone(r.Value), slices.Clone(r.Headers)
		for i := range r.Headers {
			r.Headers[i].Value = bytes.Clone(r.Headers[i].Value)
		}
		l.records = append(l.records, r)
	}
	go done(l.err)
}

func (l *log) lines() []string {
	var lines []string
	for _, r := range l.records {
		id := "tick"
		if r.Value != nil {
			id = string(r.Key)
		}
		lines = append(lines, fmt.Sprintf("%d %s %s", r.Partition, id, r.Header(streams.HeaderClock)))
	}
	return lines
}

func feed(t *testing.T, rows string, l *log, opts Options) (Fed, error) {
	t.Helper()
	return feedAs(t, "retailrocket", rows, l, opts)
}

func feedAs(t *testing.T, format, rows string, l *log, opts Options) (Fed, error) {
	t.Helper()
	r, err := datasets.NewReader(strings.NewReader(rows), format)
	if err != nil {
		t.Fatal(err)
	}
	return Feed(t.Context(), r, l, opts)
}

const rows = `timestamp,visitorid,event,itemid,transactionid
600001,1,view,10,
600500,2,view,11,
600400,3,view,12,
bad
1200000,1,view,13,
1900000000,1,view,14,
`

func TestFeed(t *testing.T) {
	var l log
	fed, err := feed(t, rows, &l, Options{Partitions: 2, To: 1900000000})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0 tick history:600000", "1 tick history:600000",
		"-1 anonymous:1 history:600001", "-1 anonymous:3 history:600400", "-1 anonymous:2 history:600500",
		"0 tick history:1200000", "1 tick history:1200000",
		"-1 anonymous:1 history:1200000",
		"0 tick history:1200000", "1 tick history:1200000", // the end
	}
	if diff := cmp.Diff(want, l.lines()); diff != "" {
		t.Error(diff)
	}
	wantFed := Fed{Events: 4, Outside: 1, Invalid: 1, Samples: []string{"line 5: has 1 values, not 5"}, First: 600001, Last: 1200000}
	if diff := cmp.Diff(wantFed, fed); diff != "" {
		t.Error(diff)
	}
}

func TestFeedOfALateEvent(t *testing.T) {
	var l log
	fed, err := feedAs(t, "segment", `{"type":"page","messageId":"a","anonymousId":"1","timestamp":"2015-06-02T05:00:01Z"}
{"type":"page","messageId":"b","anonymousId":"2","timestamp":"2015-06-02T05:00:00Z"}
`, &l, Options{Partitions: 1})
	if err != nil || fed.Events != 2 {
		t.Fatalf("%v %+v", err, fed)
	}
	want := []string{ // its tick is its own time, which moves no clock back
		"0 tick history:1433221200000", "-1 anonymous:1 history:1433221201000", "-1 anonymous:2 history:1433221200000",
		"0 tick history:1433221201000", // the end
	}
	if diff := cmp.Diff(want, l.lines()); diff != "" {
		t.Error(diff)
	}
}

func TestFeedFrom(t *testing.T) {
	var l log
	fed, err := feed(t, rows, &l, Options{Partitions: 1, From: 600500})
	if err != nil || fed.Events != 3 || fed.Outside != 2 || fed.First != 600500 {
		t.Errorf("%v %+v", err, fed)
	}
}

func TestFeedRefusesTheFuture(t *testing.T) {
	var l log
	fed, err := feed(t, "253402300799998,1,view,10,\n", &l, Options{Partitions: 1})
	if err != nil || fed.Events != 0 || fed.Invalid != 1 || len(l.records) != 0 {
		t.Errorf("%v %+v %v", err, fed, l.lines())
	}
}

func TestFeedStopsAtARefusal(t *testing.T) {
	l := log{err: errors.New("broker away")}
	if _, err := feed(t, rows, &l, Options{Partitions: 1}); !errors.Is(err, l.err) {
		t.Errorf("got %v", err)
	}
}

func TestFeedManyBatchesKeepTheirBytes(t *testing.T) {
	var b strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&b, "%d,%d,view,%d,\n", 1000000+i, i, i)
	}
	var l log
	if _, err := feed(t, b.String(), &l, Options{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range l.records {
		if r.Value == nil {
			continue
		}
		if want := fmt.Sprintf(`"anonymousId":"%d"`, n); string(r.Key) != fmt.Sprintf("anonymous:%d", n) || !strings.Contains(string(r.Value), want) {
			t.Fatalf("record %d: %s %s", n, r.Key, r.Value)
		}
		n++
	}
	if n != 2500 {
		t.Errorf("%d events", n)
	}
}
