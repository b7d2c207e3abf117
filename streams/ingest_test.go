package streams

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func options() IngestOptions {
	n := 0
	return IngestOptions{Now: logged, NewID: func() string { n++; return fmt.Sprintf("new%d", n) }}
}

func TestParseIngestSingle(t *testing.T) {
	for _, c := range []struct{ name, endpoint, in, want, key string }{
		{"as it is", "track", `{"type":"track","event":"X","userId":"1","messageId":"m"}`,
			`{"type":"track","event":"X","userId":"1","messageId":"m"}`, "user:1"},
		{"type and id added", "t", ` { "event":"X","userId":"1"}`,
			`{"type":"track","messageId":"new1","event":"X","userId":"1"}`, "user:1"},
		{"type of the endpoint", "identify", `{"type":"track","event":"X","userId":"1","messageId":"m"}`,
			`{"event":"X","messageId":"m","type":"identify","userId":"1"}`, "user:1"},
		{"empty id", "p", `{"userId":"1","messageId":"","anonymousId":"a"}`,
			`{"anonymousId":"a","messageId":"new1","type":"page","userId":"1"}`, "user:1"},
		{"writeKey goes", "s", `{"anonymousId":"a","messageId":"m","writeKey":"secret"}`,
			`{"anonymousId":"a","messageId":"m","type":"screen"}`, "anonymous:a"},
		{"numbers as ids", "page", `{"userId":42,"messageId":7,"type":"page"}`,
			`{"userId":42,"messageId":7,"type":"page"}`, "user:42"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls, err := (&Decoder{}).ParseIngest(c.endpoint, []byte(c.in), options())
			if err != nil || len(calls) != 1 || calls[0].Err != nil {
				t.Fatalf("got %v, %v", calls, err)
			}
			if got := string(calls[0].JSON); got != c.want || calls[0].Key != c.key || calls[0].MessageID == "" {
				t.Errorf("got  %s (key %s, id %q)\nwant %s", got, calls[0].Key, calls[0].MessageID, c.want)
			}
		})
	}
}

func TestParseIngestBatch(t *testing.T) {
	body := `{"writeKey":"k","sentAt":"2015-06-02T05:32:15Z","context":{"channel":"pos","store":"12"},"integrations":{"All":true},"batch":[
	 {"type":"track","event":"A","userId":"1","messageId":"m0","timestamp":"2015-06-02T05:32:10Z"},
	 {"type":"track","event":"B","userId":"2","context":{"store":"13"},"sentAt":"2015-06-02T05:32:16Z","integrations":{"All":false}},
	 {"type":"track","userId":"3","messageId":"m2"}, 7, null,
	 {"type":"page","userId":"4","context":null},
	 {"type":"page","userId":"5","properties":{"x":"` + strings.Repeat("x", 33<<10) + `"}},
	 {"type":"page","userId":"6","properties":{"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}},
	 {"type":"page","userId":"7","name":"` + "\xff" + `"}]}`
	calls, err := (&Decoder{}).ParseIngest("b", []byte(body), options())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"context":{"channel":"pos","store":"12"},"integrations":{"All":true},"sentAt":"2015-06-02T05:32:15Z","type":"track","event":"A","userId":"1","messageId":"m0","timestamp":"2015-06-02T05:32:10Z"}`,
		`{"context":{"channel":"pos","store":"13"},"event":"B","integrations":{"All":false},"messageId":"new1","sentAt":"2015-06-02T05:32:16Z","type":"track","userId":"2"}`,
		"event: a track call needs the name of what happened",
		"the event is not a JSON object",
		"the event is not a JSON object",
		`{"context":{"channel":"pos","store":"12"},"integrations":{"All":true},"messageId":"new2","sentAt":"2015-06-02T05:32:15Z","type":"page","userId":"4"}`,
		"the event has ", "objects and arrays are nested", "the event is not valid UTF-8",
	}
	if len(calls) != len(want) {
		t.Fatalf("got %d calls, want %d", len(calls), len(want))
	}
	for i, c := range calls {
		got := string(c.JSON)
		if c.Err != nil {
			got = c.Err.Error()
		}
		if !strings.HasPrefix(got, want[i]) || c.Index != i {
			t.Errorf("%d: got  %s\nwant %s", i, got, want[i])
		}
	}
	if calls[0].At != logged-5000 || calls[2].MessageID != "m2" || calls[0].Name != "A" {
		t.Errorf("got at %d, id %q, name %q", calls[0].At, calls[2].MessageID, calls[0].Name)
	}
}

func TestParseIngestErrors(t *testing.T) {
	big := `{"userId":"1","x":"` + strings.Repeat("x", 33<<10) + `"}`
	many := `{"batch":[` + strings.Repeat(`{},`, 2500) + `{}]}`
	for _, c := range []struct {
		name, endpoint, in string
		want               error
	}{
		{"endpoint", "walk", `{}`, ErrEndpoint},
		{"empty", "track", ``, ErrNotJSON},
		{"not JSON", "track", `{`, ErrNotJSON},
		{"not UTF-8 and not JSON", "batch", "\xff\xfe", ErrNotJSON},
		{"33 KB", "track", big, ErrEventSize},
		{"batch not JSON", "batch", `{"batch":[}`, ErrNotJSON},
		{"cut short", "batch", `{"batch":[{"type":"page","userId":"1"}`, ErrNotJSON},
		{"batch empty", "batch", ``, ErrNotJSON},
		{"no batch", "batch", `{"events":[]}`, ErrNoBatch},
		{"null batch", "batch", `{"batch":null}`, ErrNoBatch},
		{"batch no list", "batch", `{"batch":{}}`, ErrNoBatch},
		{"batch of a list", "batch", `[{"type":"page"}]`, ErrNoBatch},
		{"2501 events", "batch", many, ErrBatchEvents},
		{"501 KB", "batch", `{"batch":[{"x":"` + strings.Repeat("x", 501<<10) + `"}]}`, ErrBatchSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			if calls, err := (&Decoder{}).ParseIngest(c.endpoint, []byte(c.in), options()); !errors.Is(err, c.want) {
				t.Errorf("got %v, %v, want %v", calls, err, c.want)
			}
		})
	}
	calls, err := (&Decoder{}).ParseIngest("batch", []byte(`{"batch":[]}`), options())
	if err != nil || len(calls) != 0 {
		t.Errorf("an empty batch: got %v, %v", calls, err)
	}
}

// TestParseIngestPublic: with a public key only anonymous identifiers and the
// signed one name the customer, here and where the record is decoded.
func TestParseIngestPublic(t *testing.T) {
	o := options()
	o.Verify = func(id Identifier, sig string) bool { return sig == "proof of "+id.String() }
	for _, c := range []struct{ name, in, trust, key, claimed string }{
		{"stranger", `"anonymousId":"a"`, "anonymous", "anonymous:a", "[]"},
		{"unsigned", `"anonymousId":"a","userId":"1"`, "anonymous", "anonymous:a", "[user:1]"},
		{"wrong signature", `"anonymousId":"a","userId":"1","context":{"sig":"proof of user:2"}`, "anonymous", "anonymous:a", "[user:1]"},
		{"signed", `"anonymousId":"a","userId":"1","traits":{"email":"a@b.c"},"context":{"sig":"proof of user:1"}`,
			"anonymous user:1", "user:1", "[email:a@b.c]"},
		{"sig of another type", `"anonymousId":"a","userId":"1","context":{"sig":1}`, "anonymous", "anonymous:a", "[user:1]"},
		{"nobody", `"userId":"1"`, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &Decoder{}
			calls, err := d.ParseIngest("identify", []byte(`{`+c.in+`}`), o)
			if err != nil {
				t.Fatal(err)
			}
			call := calls[0]
			if c.key == "" {
				var inv *InvalidError
				if !errors.As(call.Err, &inv) || inv.Reason != ReasonNoIdentifier {
					t.Errorf("got %v", call.Err)
				}
				return
			}
			var e Event
			rec := &Record{Value: call.JSON, Headers: []Header{{HeaderTrust, []byte(call.Trust)}}}
			if err := d.Decode(rec, &e); err != nil || call.Err != nil {
				t.Fatal(err, call.Err)
			}
			if call.Trust != c.trust || call.Key != c.key || e.Identifiers[0].String() != c.key || fmt.Sprint(e.Claimed) != c.claimed {
				t.Errorf("got %q, key %s, %v, claimed %v", call.Trust, call.Key, e.Identifiers, e.Claimed)
			}
		})
	}
}

func TestDeadLetter(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{`{"a":1}`, `,"event":{"a":1}}`}, {`{"a":`, `,"event":"{\"a\":"}`}, {"", `"at":"1970-01-01T00:00:00.005Z"}`}, {"\xff", `,"bytes":"/w=="}`},
		{`"text"`, `,"event":"\"text\""}`},
	} {
		in := DeadLetter{Reason: ReasonInvalid, Detail: "d", Number: "events/1/2", At: 5, Event: []byte(c.event)}
		b, err := json.Marshal(in)
		if err != nil || !strings.HasSuffix(string(b), c.want) {
			t.Errorf("%q: got %s, %v", c.event, b, err)
		}
		var out DeadLetter
		if err := json.Unmarshal(b, &out); err != nil || string(out.Event) != c.event || out.Number != in.Number {
			t.Errorf("%q: read back as %+v, %v", c.event, out, err)
		}
	}
}

func TestRefusedCallsKeepTheirID(t *testing.T) {
	large := `{"type":"track","event":"x","userId":"1","messageId":"m1","properties":{"x":"` + strings.Repeat("x", 2*MaxEvent) + `"}}`
	little := `{"type":"track","event":"x","userId":"1","messageId":"m2","properties":{"x":"` + strings.Repeat("x", MaxEvent-60) + `"}}`
	calls, err := (&Decoder{}).ParseIngest("batch", []byte(`{"batch":[`+large+`,{"messageId":7},"x",`+little+`]}`), IngestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"m1", "7", "", "m2"} {
		if calls[i].Err == nil || calls[i].MessageID != want {
			t.Errorf("call %d: id %q, %v", i, calls[i].MessageID, calls[i].Err)
		}
	}
}

func TestTimesOfDeadLetters(t *testing.T) {
	for ms, text := range map[int64]string{
		1433224334000: "2015-06-02T05:52:14Z", 1: "1970-01-01T00:00:00.001Z", -5: "1970-01-01T00:00:00Z", 1 << 62: "9999-12-31T23:59:59.999Z",
	} {
		b, err := json.Marshal(DeadLetter{At: ms})
		if err != nil || !strings.Contains(string(b), `"at":"`+text+`"`) {
			t.Errorf("%d: %s, %v", ms, b, err)
		}
	}
	for text, want := range map[string]int64{`"2015-06-02T05:52:14Z"`: 1433224334000, `1433224334000`: 1433224334000} {
		var d DeadLetter
		if err := json.Unmarshal([]byte(`{"reason":"invalid","at":`+text+`}`), &d); err != nil || d.At != want {
			t.Errorf("%s: %d, %v", text, d.At, err)
		}
	}
	var d DeadLetter
	if json.Unmarshal([]byte(`{"reason":"invalid","at":"soon"}`), &d) == nil {
		t.Error("a word was taken for a time")
	}
}
