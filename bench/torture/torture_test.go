package torture

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/streams"
)

// doings are what somebody did who turned out to be known.
func doings() []*Event {
	a, both := []string{"anonymous:a"}, []string{"user:u", "anonymous:a"}
	return []*Event{
		{ID: "1", At: 1000, Identifiers: a, Name: "Product Added", Item: "p1", Quantity: 3, Channel: "web", Locale: "uk-UA"},
		{ID: "4", At: 4000, Identifiers: both, Name: "Order Completed", Order: "o1", Total: 10.5, Products: []string{"p2"}, Channel: "pos"},
		{ID: "2", At: 2000, Identifiers: a, Name: "Product Removed", Item: "p1", Quantity: 1, Channel: "web"},
		{ID: "3", At: 3000, Identifiers: a, Name: "Product Added", Item: "p2", Quantity: 1, Channel: "web"},
		{ID: "5", At: 5000, Identifiers: both[:1], Name: "Order Refunded", Order: "o1", Total: 0.5, Channel: "pos"},
		{ID: "6", At: 6000, Identifiers: both[:1], Name: "identify", Traits: map[string]any{"city": "Lviv"}, Consents: map[string]bool{"sms": true}, Channel: "web"},
		{ID: "7", At: 7000, Identifiers: a, Name: "Unsubscribed", Consents: map[string]bool{"sms": false}, Channel: "web"},
		{ID: "8", At: 8000, Identifiers: a, Name: "Product Viewed", Item: "p9", Channel: "app"},
	}
}

func TestModel(t *testing.T) {
	want := &Known{
		ID: "user:u", Identifiers: []string{"user:u", "anonymous:a"}, Events: 8, First: 1000, Last: 8000,
		Channels: map[string]string{"web": "5 1000 7000", "pos": "2 4000 5000", "app": "1 8000 8000"},
		Traits:   map[string]string{"city": "Lviv"}, Consents: map[string]bool{"sms": false}, Locale: "uk-UA",
		Cart: map[string]int{"p1": 2}, Viewed: map[string]string{"p9": "8000app"},
		Orders: []string{"o1 4000 refunded"}, Count: 1, Revenue: "10.00",
		Latest: []string{"8", "7", "6", "5", "4", "3", "2", "1"},
	}
	got := Model(doings())
	for _, id := range want.Identifiers {
		if diff := cmp.Diff(want, got[id]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
}

// What is left out, repeated or changed is a difference.
func TestDifferencesAreFound(t *testing.T) {
	want := Model(doings())
	if diff := CompareKnown(want, Model(doings())); diff != nil {
		t.Errorf("equal ones differ: %s", diff)
	}
	if diff := CompareKnown(want, Model(doings()[:7])); len(diff) != 2 || !strings.Contains(diff[0], "Events: want 8") {
		t.Errorf("an event left out: %s", diff)
	}
	if diff := CompareKnown(want, map[string]*Known{"user:u": want["user:u"], "user:x": want["user:u"]}); len(diff) != 2 {
		t.Errorf("one unknown and one too many: %s", diff)
	}
	log := &Log{Logged: map[string]int64{"1": 1, "9": 9}}
	if diff := log.Lost(doings(), map[string]bool{"1": true, "2": true}); len(diff) != 2 {
		t.Errorf("one lost and one invented: %s", diff)
	}
	if happened := log.Happened([]*Event{{ID: "1", At: 77, Ahead: true}, {ID: "2"}}); len(happened) != 1 || happened[0].At != 1 {
		t.Errorf("happened: %+v", happened)
	}
	decided := []Sent{{ID: "a", Body: []byte("1")}, {ID: "b", Body: []byte("1")}, {ID: "c", Body: []byte("1")}, {ID: "d", Body: []byte("1")}}
	received := map[string]*Receipt{"a": {Body: []byte("1")}, "b": {Body: []byte("2")}, "c": {Body: []byte("1"), Differs: true}, "x": {}}
	if diff := CompareReceived(decided, received); len(diff) != 4 {
		t.Errorf("another body, twice differently, never, invented: %s", diff)
	}
}

func TestRepeatsNeedAReason(t *testing.T) {
	at := func(seconds ...int) *Receipt {
		r := &Receipt{}
		for _, s := range seconds {
			r.At = append(r.At, time.Unix(int64(s), 0))
		}
		return r
	}
	faults := []Fault{{What: "kill", At: time.Unix(10, 0), Until: time.Unix(11, 0)}, {What: "pause", At: time.Unix(20, 0), Until: time.Unix(30, 0)}}
	received := map[string]*Receipt{"once": at(5), "killed": at(9, 12), "paused": at(22, 25), "also": at(8, 13), "why": at(13, 15)}
	got := Repeats(received, map[string]int32{"paused": 1, "also": 0, "killed": 0}, faults)
	if of := Repeats(received, map[string]int32{"also": 1}, faults).Most; of != 1 {
		t.Errorf("%d at most of one partition, want 1", of)
	}
	if got.Count != 4 || got.Most != 2 || got.By["kill"] != 2 || got.By["pause"] != 1 ||
		len(got.Unexplained) != 1 || !strings.HasPrefix(got.Unexplained[0], "why ") {
		t.Errorf("%+v", got)
	}
}

func TestReceiverCounts(t *testing.T) {
	r := NewReceiver()
	var seen []string
	r.Before.Set(func(id, path string) { seen = append(seen, "before "+id+path) })
	r.After.Set(func(id, _ string) { seen = append(seen, "after "+id) })
	server := httptest.NewServer(r)
	defer server.Close()
	post := func(id, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/one", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Idempotency-Key", id)
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for _, body := range []string{`{"id":"m"}`, `{"id":"m"}`, `{"id":"m","at":1}`} {
		if status := post("m", body); status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
		if r.Received()["m"].Differs != strings.Contains(body, "at") {
			t.Errorf("after %s: %+v", body, r.Received()["m"])
		}
	}
	if status := post("other", `{"id":"m"}`); status != http.StatusBadRequest {
		t.Errorf("another key is answered %d", status)
	}
	if n, _ := r.Count(); n != 1 || len(r.Received()["m"].At) != 3 || seen[0] != "before m/one" {
		t.Errorf("%d ids, %+v, hooks %s", n, r.Received()["m"], seen)
	}
}

// Everything that a shopper sends can be read as an event, with the shopper's
// identifiers, and no two of one shopper have one time.
func TestShoppersSendEvents(t *testing.T) {
	var d streams.Decoder
	names := map[string]int{}
	for n := range 200 {
		s := newShopper(1, fmt.Sprintf("0x%d", n), n)
		times := map[int64]bool{}
		for now := int64(1_780_000_000_000); s.left > 0; now += 500 {
			e := s.next(now)
			names[e.Name]++
			var got streams.Event
			if err := d.Decode(&streams.Record{Value: e.JSON(), Time: now}, &got); err != nil {
				t.Fatalf("%v: %s", err, e.JSON())
			}
			if got.Identifiers[0].String() != e.Identifiers[0] || len(got.Identifiers) != len(e.Identifiers) || got.MessageID != e.ID {
				t.Fatalf("%+v of %s", got, e.JSON())
			}
			switch {
			case e.Ahead && got.At != now:
				t.Errorf("at %d, logged at %d: %s", got.At, now, e.JSON())
			case !e.Ahead && (got.At != e.At || times[e.At]):
				t.Errorf("at %d, of which there is one already: %v: %s", got.At, times[e.At], e.JSON())
			}
			times[e.At] = !e.Ahead
		}
	}
	if len(names) < 10 {
		t.Errorf("shoppers do too little: %v", names)
	}
}

func TestJunkIsNoEvent(t *testing.T) {
	var d streams.Decoder
	w := NewWild(3)
	w.random = rand.New(rand.NewPCG(3, 3)) //nolint:gosec // repeatable on purpose
	log := &Log{Events: make([][]streams.Record, 1), Letters: map[string]string{}}
	for i := range 60 {
		records, events := w.Records()
		if len(events) != batchSize || len(records) < batchSize {
			t.Fatalf("%d records of %d events", len(records), len(events))
		}
		for _, rec := range records {
			err := d.Decode(&rec, new(streams.Event))
			if junk := string(rec.Key) == JunkKey; junk != (err != nil) {
				t.Errorf("key %s: %v: %.200s", rec.Key, err, rec.Value)
			}
			rec.Partition, rec.Offset = 0, int64(len(log.Events[0]))
			log.Events[0] = append(log.Events[0], rec)
			if bytes.Equal(rec.Key, []byte(JunkKey)) && i > 0 {
				log.Letters[fmt.Sprintf("events/0/0/%d/0", rec.Offset)] = "malformed"
			}
		}
	}
	log.Letters["events/0/0/999999/0"] = "malformed"
	count, differences := log.Junk()
	if count < 20 || len(differences) == 0 || !strings.Contains(differences[0], "999999") {
		t.Errorf("%d junk, %s", count, differences)
	}
}
