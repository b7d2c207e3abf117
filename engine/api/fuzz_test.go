package api

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

func FuzzRecommendQuery(f *testing.F) {
	f.Add("user_id=42&placement=product&items=a,b&limit=3&fields=name&explain=1")
	f.Add("id=phone:%2B380501234567&filter=item.price%20%3C%201&offset=-1")
	f.Add("limit=99999999999999999999&&&=%zz")
	f.Fuzz(func(t *testing.T, query string) {
		var args fasthttp.Args
		args.Parse(query)
		var in recommendInput
		in.reset()
		checkInput(t, &in, in.readQuery(&args))
	})
}

func FuzzRecommendJSON(f *testing.F) {
	f.Add([]byte(`{"user_id":42,"items":["a",7],"limit":"3","requests":[{"placement":"home"},{"fields":"name"}]}`))
	f.Add([]byte(`{"items":null,"dedupe":false,"track":"x"}`))
	f.Add([]byte(`{"requests":[null]}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var in recommendInput
		in.reset()
		checkInput(t, &in, in.readJSON(body))
	})
}

// checkInput checks that what was read is refused with a reason or can be
// asked.
func checkInput(t *testing.T, in *recommendInput, bad *badInput) {
	t.Helper()
	if bad != nil {
		if bad.status != 400 || bad.detail == "" {
			t.Fatalf("refused with %+v", bad)
		}
		return
	}
	s := Server{opts: Options{Decoder: &streams.Decoder{}}}
	_, _ = s.customer(in, scopeAdmin)
	for i := range in.requests {
		if p := in.requests[i].over(&in.outer); p.check() == nil && (p.limit < 1 || p.limit > maxLimit) {
			t.Fatalf("limit %d", p.limit)
		}
	}
}

func FuzzItems(f *testing.F) {
	f.Add([]byte("["+shoe+"]"), []byte(`{"id":"119736","attributes":{"color":null}}`))
	f.Add([]byte("{\"id\":1}\n{\"id\":\"2\",\"price\":\"x\"}"), []byte(`{"title":"x"}`))
	f.Add([]byte(`[null,7,{"id":"\u0000","stores":{"a":null}}]`), []byte(`null`))
	f.Fuzz(func(t *testing.T, body, patch []byte) {
		list, detail := splitItems(body)
		if detail != "" {
			return
		}
		for _, raw := range list {
			item, id, detail := decodeItem(raw)
			if detail != "" {
				continue
			}
			if item.ID == "" || item.ID != id || item.Price < 0 || item.OldPrice < 0 || !utf8.ValidString(item.Name) {
				t.Fatalf("accepted %+v", item)
			}
			again, err := json.Marshal(item)
			if err != nil {
				t.Fatalf("cannot be encoded: %v", err)
			}
			if _, _, detail := decodeItem(again); detail != "" && len(again) <= maxItem {
				t.Fatalf("%s: not accepted again: %s", again, detail)
			}
			mergeItem(item, patch)
		}
	})
}

func FuzzString(f *testing.F) {
	f.Add("a\"\\\n\xff\u2028")
	f.Fuzz(func(t *testing.T, text string) {
		var got string
		if err := json.Unmarshal(appendString(nil, text), &got); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(text) && got != text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
