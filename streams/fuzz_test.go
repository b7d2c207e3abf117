package streams

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gojson "github.com/goccy/go-json"
)

var seeds = []string{
	typicalTrack,
	`{"type":"identify","userId":42,"traits":{"email":"A@b.c","phone":"0501234567","card":7}}`,
	`{"type":"alias","userId":"1","previousId":"card:2","timestamp":1433223000000}`,
	`{"type":"track","event":"purchase","anonymousId":"a","properties":{"transaction_id":"t","value":"9","items":[{"item_id":1,"price":"2"}]}}`,
	`{"type":"track","event":"Order Completed","context":{"channel":"pos","externalIds":[{"type":"card","id":"7001"}],"traits":{"a":[1]}},"properties":{"products":[{"sku":"1","quantity":-1}],"category":["a","b"]}}`,
	`{"type":"page","userId":"\ud83d\ude00\ud800","context":{"page":{},"device":"x"}}`,
	`{"TYPE":"page","UserId":"1","type":"screen","properties":null,"traits":{},"context":{}}`,
	`{"type":"track","event":"x","userId":"1","properties":{"price":1e999,"quantity":"","total":[],"products":[1,{}]}}`,
}

// FuzzDecode: no input panics, what is decoded keeps its promises, and what
// encoding/json refuses is refused.
func FuzzDecode(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	d, reused := &Decoder{Region: "UA"}, new(Event)
	f.Fuzz(func(t *testing.T, value []byte) {
		sent := bytes.Clone(value)
		rec := &Record{Partition: 1, Offset: 2, Time: logged, Value: value}
		e := new(Event)
		err, again := d.Decode(rec, e), d.Decode(rec, reused)
		if !bytes.Equal(sent, value) {
			t.Fatal("the record was changed")
		}
		if (err == nil) != (again == nil) {
			t.Fatalf("first %v, again %v", err, again)
		}
		if err != nil {
			var inv *InvalidError
			if !errors.As(err, &inv) || inv.Reason == "" || inv.Detail == "" {
				t.Fatalf("got %#v", err)
			}
			return
		}
		checkEvent(t, e)
		if !reflect.DeepEqual(e.Identifiers, reused.Identifiers) || e.At != reused.At || e.MessageID != reused.MessageID ||
			len(e.Products) != len(reused.Products) || e.Product.ID != reused.Product.ID {
			t.Fatalf("got %+v, again %+v", e, reused)
		}
		if !json.Valid(value) {
			t.Fatal("decoded what is no JSON")
		}
	})
}

func checkEvent(t *testing.T, e *Event) {
	t.Helper()
	if e.Kind < Track || e.Kind > Group || e.Name == "" || e.MessageID == "" || e.Channel == "" || len(e.Identifiers) == 0 {
		t.Fatalf("incomplete: %+v", e)
	}
	if e.At < 0 || e.At > e.LoggedAt+MaxAhead {
		t.Fatalf("at %d, logged at %d", e.At, e.LoggedAt)
	}
	for i, id := range e.Identifiers {
		if id.Value == "" || !validType(id.Type) || len(id.Value) > MaxIdentifier || !utf8.ValidString(id.Value) {
			t.Fatalf("identifier %q", id)
		}
		if i > 0 && !e.Identifiers[i-1].Stronger(id) {
			t.Fatalf("not in order: %v", e.Identifiers)
		}
	}
	for _, l := range append([]Line{e.Product}, e.Products...) {
		if l.Quantity < 0 || !(l.Price >= 0) || math.IsInf(l.Price, 0) || strings.HasPrefix(l.Name, wrong) {
			t.Fatalf("line %+v", l)
		}
	}
	for _, raw := range [][]byte{e.Properties, e.Traits, e.Context} {
		if raw != nil && (!json.Valid(raw) || raw[0] != '{') {
			t.Fatalf("no object: %q", raw)
		}
	}
	_, _ = e.PropertiesMap()
	_, _ = e.TraitsMap()
	_, _ = e.ContextMap()
}

// FuzzWire: the fast decoder reads the wire structs as encoding/json does.
func FuzzWire(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	type wire struct {
		wireCall[string]
		C wireContext[text]                     `json:"context"`
		P wireProperties[text, number]          `json:"properties"`
		Q wireProperties[string, gojson.Number] `json:"q"`
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if len(value) > MaxEvent || !utf8.Valid(value) || tooDeep(value) {
			return
		}
		var got, want wire
		err1, err2 := gojson.UnmarshalWithOption(value, &got, gojson.DecodeNoCopyString()), json.Unmarshal(value, &want)
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("got %v, encoding/json %v", err1, err2)
		}
		if err1 == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// FuzzParseIngest: what is accepted is decoded alike by the worker.
func FuzzParseIngest(f *testing.F) {
	for _, s := range seeds {
		f.Add("track", []byte(s))
		f.Add("b", []byte(`{"sentAt":"2015-06-02T05:32:15Z","context":{"channel":"pos"},"batch":[`+s+`,`+s+`]}`))
	}
	d := &Decoder{Region: "UA"}
	f.Fuzz(func(t *testing.T, endpoint string, body []byte) {
		calls, err := d.ParseIngest(endpoint, body, options())
		if err != nil {
			return
		}
		for i, c := range calls {
			var e Event
			rec := &Record{Value: c.JSON, Time: logged}
			switch err := d.Decode(rec, &e); {
			case c.Index != i:
				t.Fatalf("index %d at %d", c.Index, i)
			case c.Err != nil:
				var inv *InvalidError
				if !errors.As(c.Err, &inv) {
					t.Fatalf("got %#v", c.Err)
				}
			case err != nil:
				t.Fatalf("accepted, but then %v: %s", err, c.JSON)
			case e.Identifiers[0].String() != c.Key || e.MessageID != c.MessageID || e.At != c.At || len(c.JSON) > MaxEvent:
				t.Fatalf("call %+v, event %+v", c, e)
			}
		}
	})
}

// FuzzParseIdentifier: what is normalised stays as it is.
func FuzzParseIdentifier(f *testing.F) {
	for _, s := range []string{"user:42", "phone:0501234567", "phone:+1 650 253 0000", "email: A@B.C", "anonymous:\x00", "x", "phone:tel:+380501234567;ext=3"} {
		f.Add(s)
	}
	d := &Decoder{Region: "UA"}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := d.ParseIdentifier(s)
		if err != nil {
			return
		}
		again, err := d.ParseIdentifier(id.String())
		if err != nil || again != id {
			t.Fatalf("%q is %q, then %q, %v", s, id, again, err)
		}
	})
}

// FuzzParseEffect: what is read is written as it was, but for leading zeros.
func FuzzParseEffect(f *testing.F) {
	for _, s := range []string{"events/2/1/0/7", "", "a/b/c/d/e", "events/2147483648/0/0/0", "/0/0/0/0", "x/00/1/2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseEffect(s)
		if err != nil {
			return
		}
		again, err := ParseEffect(n.String())
		if err != nil || again != n || len(n.String()) > len(s) || n.Partition < 0 || n.Offset < 0 || n.Incarnation < 0 || n.Index < 0 {
			t.Fatalf("%q is %+v, then %+v, %v", s, n, again, err)
		}
	})
}

// FuzzDeadLetter: a letter keeps the bytes that it was made of, and reading
// one never panics.
func FuzzDeadLetter(f *testing.F) {
	for _, s := range append(seeds, "", "\xff", `"x"`, "{", `{"event":1,"bytes":"/w=="}`) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		written, err := json.Marshal(DeadLetter{Reason: ReasonMalformed, Event: b})
		if err != nil {
			t.Fatal(err)
		}
		var back, any DeadLetter
		if err := json.Unmarshal(written, &back); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Event, b) && !sameJSON(back.Event, b) {
			t.Fatalf("%q came back as %q", b, back.Event)
		}
		_ = json.Unmarshal(b, &any)
	})
}

// sameJSON compares documents but for white space and for how & < > are
// written, which letters do not keep.
func sameJSON(a, b []byte) bool {
	var x, y, ex, ey bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return false
	}
	json.HTMLEscape(&ex, x.Bytes())
	json.HTMLEscape(&ey, y.Bytes())
	return bytes.Equal(ex.Bytes(), ey.Bytes())
}

// FuzzParseUTC: the fast way agrees with time.Parse.
func FuzzParseUTC(f *testing.F) {
	for _, s := range []string{"2015-06-02T05:32:14Z", "2015-06-02T05:32:14.5Z", "2015-06-02T05:32:14.123456789Z", "2016-02-29T00:00:00Z",
		"2015-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "2015-06-02T24:00:00Z", "2015-06-02T05:32:60Z", "2015-06-02T05:32:14.Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ms, ok := parseUTC(s)
		if want, err := time.Parse(time.RFC3339, s); ok && (err != nil || want.UnixMilli() != ms) {
			t.Fatalf("%q: got %d, time.Parse %d, %v", s, ms, want.UnixMilli(), err)
		} else if err == nil && !ok && len(s) == 20 && s[19] == 'Z' {
			t.Fatalf("%q: left to time.Parse", s)
		}
	})
}
