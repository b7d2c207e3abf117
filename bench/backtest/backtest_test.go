package backtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
)

// cart has a run of a cart left at minute m of 2 March 2026, 10 o'clock, UTC.
func cart(who string, day, minute int, event, product string) string {
	return fmt.Sprintf(`{"type":"track","event":%q,"anonymousId":%q,"messageId":"%s-%d-%d","timestamp":"2026-03-%02dT10:%02d:00Z","properties":{"product_id":%q,"price":5}}`+"\n",
		event, who, who, day, minute, day, minute, product)
}

func events() string {
	return cart("a", 2, 0, "Product Added", "p1") + cart("b", 2, 1, "Product Added", "p1") + "no event\n" +
		cart("b", 2, 5, "Order Completed", "p1") + cart("c", 2, 9, "Product Viewed", "p2") +
		cart("a", 4, 0, "Product Viewed", "p1") + cart("c", 5, 0, "Product Viewed", "p9") + cart("z", 9, 0, "Page Seen", "")
}

func backtest(t *testing.T, fresh string, data string) (*Report, error) {
	t.Helper()
	set, err := rules.Parse(map[string][]byte{"new.yaml": []byte(fresh)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := datasets.NewReader(strings.NewReader(data), "segment")
	if err != nil {
		t.Fatal(err)
	}
	return Run(t.Context(), r, Config{
		Engine: engine.DefaultConfig(), New: Rules{"new", set}, InForce: Rules{"old", rules.BuiltIn()},
	})
}

const sooner = `triggers:
  abandoned_cart:
    start: {event: Product Added}
    exit: [{event: Order Completed}]
    steps:
      - wait: 10m
      - send: {template: soon, channels: [webhook]}
      - wait: 1h
      - send: {template: later, channels: [email]}
    reentry: 72h
`

func TestReport(t *testing.T) {
	r, err := backtest(t, sooner, events())
	if err != nil {
		t.Fatal(err)
	}
	r.Seconds, r.EventsPerSec = 0, 0
	want := &Report{
		Read: 8, Events: 7, Profiles: 4, DeadLetters: map[string]int64{"malformed": 1},
		From: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 9, 10, 0, 0, 0, time.UTC),
		New: Side{
			Rules: "new", Runs: map[string]int64{"abandoned_cart": 2}, Messages: map[string]int64{"abandoned_cart": 1},
			Skipped:  map[string]map[string]int64{"abandoned_cart": {"exited": 1, "no_address": 1}},
			Steps:    map[string]map[string]int64{"abandoned_cart.1": {"exited": 1, "sent": 1}, "abandoned_cart.3": {"no_address": 1}},
			Days:     map[string]map[string]int64{"abandoned_cart": {"2026-03-02": 1}},
			Channels: map[string]int64{"webhook": 1}, Failures: map[string]map[string]int64{}, Customers: 1, Weekly: []Over{{0, 1}},
		},
		InForce: Side{
			Rules: "old", Runs: map[string]int64{"abandoned_cart": 2, "viewed_item": 1}, Messages: map[string]int64{"abandoned_cart": 2, "viewed_item": 1},
			Skipped:  map[string]map[string]int64{"abandoned_cart": {"exited": 1}},
			Steps:    map[string]map[string]int64{"abandoned_cart.1": {"exited": 1, "sent": 1}, "abandoned_cart.3": {"sent": 1}, "viewed_item.1": {"sent": 1}},
			Days:     map[string]map[string]int64{"abandoned_cart": {"2026-03-02": 1, "2026-03-03": 1}, "viewed_item": {"2026-03-02": 1}},
			Channels: map[string]int64{"webhook": 3}, Failures: map[string]map[string]int64{}, Customers: 2, Weekly: []Over{{0, 2}, {1, 1}},
		},
		Difference: Difference{
			Runs: map[string]int64{"viewed_item": -1}, Messages: map[string]int64{"abandoned_cart": -1, "viewed_item": -1},
			Skipped: map[string]map[string]int64{"abandoned_cart": {"no_address": 1}}, Customers: -1, Both: 1, OnlyInForce: 2,
		},
	}
	samples := r.Samples
	r.Samples = nil
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	if len(samples) != 2 || samples[0].Customer == samples[1].Customer {
		t.Errorf("samples: %+v", samples)
	}
}

func TestTextAndPage(t *testing.T) {
	r, err := backtest(t, sooner, events())
	if err != nil {
		t.Fatal(err)
	}
	var text, html bytes.Buffer
	if err := errors.Join(r.Write(&text), r.WriteHTML(&html)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"7 events of 4 customers, 2026-03-02 10:00:00 to 2026-03-09 10:00:00", "not sent, no_address",
		"the same messages: 1; only new: 0; only in force: 2", "2026-03-03", "message   abandoned_cart.1 by webhook (soon)",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, &text)
		}
	}
	for _, want := range []string{"the same messages: 1", "Messages a day", "&gt; 0", "no_address", "<polyline"} {
		if !strings.Contains(html.String(), want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestTwiceTheSame(t *testing.T) {
	var reports []string
	for range 2 {
		r, err := backtest(t, sooner, events())
		if err != nil {
			t.Fatal(err)
		}
		r.Seconds, r.EventsPerSec = 0, 0
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, string(data))
	}
	if reports[0] != reports[1] {
		t.Errorf("%s\nand then\n%s", reports[0], reports[1])
	}
}

func TestNothingToReplay(t *testing.T) {
	r, err := backtest(t, sooner, "")
	if err != nil || r.Events != 0 {
		t.Fatalf("%v %+v", err, r)
	}
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Error(err)
	}
	if err := r.WriteHTML(&text); err != nil {
		t.Error(err)
	}
}

func TestBusiestWeek(t *testing.T) {
	const hour = 3600 * 1000
	cases := []struct {
		hours []int64
		want  int
	}{
		{nil, 0},
		{[]int64{1}, 1},
		{[]int64{0, 7 * 24}, 1},
		{[]int64{0, 7*24 - 1}, 2},
		{[]int64{400, 0, 100, 200, 250, 90}, 4},
	}
	for _, c := range cases {
		times := make([]int64, len(c.hours))
		for i := range times {
			times[i] = c.hours[i] * hour
		}
		if got := busiest(times); got != c.want {
			t.Errorf("%v: %d, want %d", c.hours, got, c.want)
		}
	}
}
