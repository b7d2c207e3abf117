package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

const track = `{"type":"track","userId":"42","event":"Product Viewed","messageId":"m1","properties":{"product_id":"p1"}}`

func TestEveryCallIsLogged(t *testing.T) {
	s := start(t, Options{})
	bodies := map[string]string{
		"identify": `{"userId":"42","traits":{"email":"A@b.c"}}`, "track": `{"userId":"42","event":"Product Viewed"}`,
		"page": `{"anonymousId":"a"}`, "screen": `{"anonymousId":"a"}`, "alias": `{"userId":"42","previousId":"a"}`,
		"group": `{"userId":"42","groupId":"g"}`, "batch": `{"batch":[` + track + `,` + track + `]}`,
	}
	for _, c := range calls {
		for _, name := range []string{c.name, c.short} {
			s.engine.records = nil
			s.post("/v1/"+name, bodies[c.name], "Content-Type", "text/plain").want(t, 200, `{"success":true}`)
			want := 1
			if c.name == "batch" {
				want = 2
			}
			if len(s.engine.records) != want {
				t.Errorf("%s: %d records logged, want %d", name, len(s.engine.records), want)
				continue
			}
			rec := s.engine.records[0]
			if rec.Topic != "events" || rec.Partition != -1 || rec.Time == 0 || len(rec.Key) == 0 || len(rec.Headers) != 0 {
				t.Errorf("%s: logged as %+v", name, rec)
			}
			var e streams.Event
			if err := s.server.opts.Decoder.Decode(&rec, &e); err != nil || e.Identifiers[0].String() != string(rec.Key) {
				t.Errorf("%s: logged %s: %v", name, rec.Value, err)
			}
		}
	}
}

func TestContentTypesAndEncodings(t *testing.T) {
	s := start(t, Options{})
	for _, typ := range []string{"", "application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"} {
		s.post("/v1/t", track, "Content-Type", typ).want(t, 200, "true")
	}
	s.do("POST", "/v1/batch", gzipped([]byte(`{"batch":[`+track+`]}`)), "Content-Encoding", "gzip",
		"Content-Type", "application/x-www-form-urlencoded").want(t, 200, "true")
	if n := len(s.engine.records); n != 6 {
		t.Errorf("%d records, want 6", n)
	}
	for _, rec := range s.engine.records {
		if string(rec.Value) != track {
			t.Errorf("logged %s", rec.Value)
		}
	}
	s.post("/v1/t", track, "Content-Encoding", "gzip").want(t, 400, "not valid gzip")
	s.post("/v1/t", track, "Content-Encoding", "lzma").want(t, 415, "gzip")
}

// event has n bytes.
func event(n int) string {
	head := `{"userId":"42","event":"X","properties":{"p":"`
	return head + strings.Repeat("x", n-len(head)-3) + `"}}`
}

func TestBadEventsAreRefused(t *testing.T) {
	s := start(t, Options{})
	bomb := gzipped(bytes.Repeat([]byte(" "), 64<<20))
	properties := make([]string, 10_000)
	for i := range properties {
		properties[i] = fmt.Sprintf(`"p%d":%d`, i, i)
	}
	for _, c := range []struct {
		name, path string
		body       []byte
		headers    []string
		status     int
		text       string
	}{
		{"empty", "/v1/track", nil, nil, 400, ""},
		{"not JSON", "/v1/track", []byte(`{"userId":`), nil, 400, "JSON"},
		{"not an object", "/v1/track", []byte(`[1]`), nil, 400, ""},
		{"wrong type", "/v1/track", []byte(`{"userId":{"a":1},"event":"X"}`), nil, 400, "userId"},
		{"no event name", "/v1/track", []byte(`{"userId":"42"}`), nil, 400, "event"},
		{"nobody", "/v1/track", []byte(`{"event":"X"}`), nil, 400, "userId"},
		{"properties a list", "/v1/track", []byte(`{"userId":"42","event":"X","properties":[]}`), nil, 400, "properties"},
		{"negative quantity", "/v1/track", []byte(`{"userId":"42","event":"Product Added","properties":{"product_id":"1","quantity":-2}}`), nil, 400, "quantity"},
		{"invalid UTF-8", "/v1/track", []byte("{\"userId\":\"\xff\xfe\",\"event\":\"X\"}"), nil, 400, ""},
		{"year 0", "/v1/track", []byte(`{"userId":"42","event":"X","timestamp":"0000-01-01T00:00:00Z"}`), nil, 400, "timestamp"},
		{"no time", "/v1/track", []byte(`{"userId":"42","event":"X","timestamp":"yesterday"}`), nil, 400, "timestamp"},
		{"33 KB", "/v1/track", []byte(event(33 << 10)), nil, 413, "32 KB"},
		{"10,000 properties", "/v1/track", []byte(`{"userId":"42","event":"X","properties":{` + strings.Join(properties, ",") + `}}`), nil, 413, "32 KB"},
		{"501 KB", "/v1/batch", bytes.Repeat([]byte(" "), 501<<10), nil, 413, "500 KB"},
		{"2,501 events", "/v1/batch", []byte(`{"batch":[` + strings.TrimSuffix(strings.Repeat(`{"userId":"4","type":"page"},`, 2501), ",") + `]}`), nil, 400, "2500"},
		{"no batch", "/v1/batch", []byte(`{}`), nil, 400, "batch"},
		{"batch no list", "/v1/batch", []byte(`{"batch":{}}`), nil, 400, "batch"},
		{"zip bomb", "/v1/batch", bomb, []string{"Content-Encoding", "gzip"}, 413, "500 KB"},
		{"strict is what?", "/v1/batch?strict=maybe", []byte(`{"batch":[]}`), nil, 400, "strict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.do("POST", c.path, c.body, c.headers...).want(t, c.status, c.text)
		})
	}
	if len(s.engine.records)+len(s.engine.letters) != 0 {
		t.Errorf("logged %d records and %d dead letters", len(s.engine.records), len(s.engine.letters))
	}
	s.post("/v1/track", event(32<<10-64)).want(t, 200, "true")
	s.post("/v1/track", `{"userId":"42","event":"X","timestamp":"9999-12-31T00:00:00Z"}`).want(t, 200, "true")
	s.post("/v1/batch", `{"batch":[]}`).want(t, 200, "true")
}

func TestBadEventsOfABatchAreDeadLetters(t *testing.T) {
	s := start(t, Options{})
	batch := `{"batch":[` + track + `,{"type":"track","event":"X"},7,` + event(33<<10) + `,{"type":"page","userId":"1"}]}`
	s.post("/v1/batch", batch).want(t, 200, `{"success":true}`)
	if len(s.engine.records) != 2 || len(s.engine.letters) != 3 {
		t.Fatalf("%d records and %d dead letters, want 2 and 3", len(s.engine.records), len(s.engine.letters))
	}
	for i, want := range []string{streams.ReasonNoIdentifier, streams.ReasonMalformed, streams.ReasonTooLarge} {
		if l := s.engine.letters[i]; l.Reason != want || l.Detail == "" || l.At == 0 || len(l.Event) == 0 {
			t.Errorf("dead letter %d: %s %s", i, l.Reason, l.Detail)
		}
	}
	s.get("/v1/deadletters?limit=1&reason=too_large").want(t, 200, `"reason":"too_large"`)
	var all struct{ Deadletters []json.RawMessage }
	if s.get("/v1/deadletters").decode(t, &all); len(all.Deadletters) != 3 {
		t.Errorf("%d dead letters listed", len(all.Deadletters))
	}
}

func TestStrictLogsAllOrNothing(t *testing.T) {
	s := start(t, Options{})
	s.post("/v1/batch?strict=true", `{"batch":[`+track+`,{"type":"track","event":"X","messageId":"m7"}]}`).
		want(t, 400, `"errors":[{"index":1,"messageId":"m7","detail":"`)
	if len(s.engine.records)+len(s.engine.letters) != 0 {
		t.Error("something was logged")
	}
	s.post("/v1/batch?strict=true", `{"batch":[`+track+`]}`).want(t, 200, "true")
}

func TestNothingIsAcceptedThatIsNotDurable(t *testing.T) {
	s := start(t, Options{})
	s.engine.fail = fmt.Errorf("the broker is away: %w", ErrUnavailable)
	if r := s.post("/v1/t", track).want(t, 503, "again"); r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.engine.fail = ErrOverloaded
	if r := s.post("/v1/t", track).want(t, 429, "again"); r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.engine.fail = fmt.Errorf("what is this")
	s.post("/v1/t", track).want(t, 500, "X-Request-ID")
}

func TestHistoryTicksByEventTime(t *testing.T) {
	s := start(t, Options{Keys: Keys{Admin: []string{"root"}, Read: []string{"shop"}}})
	admin := []string{"Authorization", "Bearer root", "Rapport-Clock", "event"}
	send := func(stamps ...string) reply {
		var calls []string
		for _, at := range stamps {
			calls = append(calls, `{"type":"page","userId":"42","timestamp":"`+at+`"}`)
		}
		return s.post("/v1/batch", `{"batch":[`+strings.Join(calls, ",")+`]}`, admin...)
	}
	send("2016-08-01T00:03:00Z", "2016-08-01T00:02:00Z", "2016-08-01T00:31:00Z").want(t, 200, "true")
	send("2016-08-01T00:32:00Z", "2030-01-01T00:00:00Z").want(t, 200, "true")
	var got []string
	for _, r := range s.engine.records {
		got = append(got, fmt.Sprintf("%d %s %t", r.Partition, r.Header(streams.HeaderClock), r.Value != nil))
	}
	tick := func(ms int64) []string {
		var l []string
		for p := range 4 {
			l = append(l, fmt.Sprintf("%d history:%d false", p, ms))
		}
		return l
	}
	const t0 = 1470009600000 // 2016-08-01T00:00:00Z
	event := func(ms int64) string { return fmt.Sprintf("-1 history:%d true", ms) }
	want := append(tick(t0), event(t0+180_000), event(t0+120_000))
	want = append(append(want, tick(t0+1_800_000)...), event(t0+1_860_000), event(t0+1_920_000))
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(s.engine.letters) != 1 || !strings.Contains(s.engine.letters[0].Detail, "future") {
		t.Errorf("dead letters: %+v", s.engine.letters)
	}
	s.post("/v1/page", `{"userId":"42"}`, admin...).want(t, 400, "timestamp")
	s.post("/v1/page", `{"userId":"42"}`, "Authorization", "Bearer shop", "Rapport-Clock", "event").want(t, 403, "admin")
	s.post("/v1/page", `{"userId":"42"}`, "Authorization", "Bearer root", "Rapport-Clock", "wall").want(t, 400, "event")
	s.engine.live = true
	send("2016-08-01T01:00:00Z").want(t, 409, "live")
}

func TestTakingIdentifiersApartNeedsAnAdminKey(t *testing.T) {
	s := start(t, Options{Keys: threeKeys, IdentitySecret: "x"})
	const call = `{"userId":"42","previousId":"email:a@b.c","context":{"unlink":true}}`
	for key, status := range map[string]int{"w1": 403, "r1": 403, "a1": 200} {
		s.post("/v1/alias", call, "Authorization", "Bearer "+key).want(t, status, "")
	}
}
