package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

const shoe = `{"id":"119736","group_id":"g1","title":"Run","url":"u","image_url":"i","category":" Shoes / Running ","brand":"b",
 "price":"450","old_price":500,"currency":"UAH","stock":3,"available":true,"channels":["web","pos"],
 "stores":{"12":{"stock":1,"price":449}},"attributes":{"color":"red","size":{"eu":42}},"updated_at":"2026-01-02T03:04:05Z"}`

func TestItemsRoundTrip(t *testing.T) {
	s := start(t, Options{})
	s.do("PUT", "/v1/items", []byte("["+shoe+"]")).want(t, 200, `{"accepted":1,"unchanged":0,"errors":[]}`)
	s.do("PUT", "/v1/items", []byte("["+shoe+"]")).want(t, 200, `{"accepted":0,"unchanged":1,"errors":[]}`)
	var got streams.Item
	s.get("/v1/items/119736").want(t, 200, "").decode(t, &got)
	if got.Name != "Run" || strings.Join(got.Category, "|") != "Shoes|Running" || got.Price != 450 || *got.Stock != 3 ||
		got.Stores["12"].Price != 449 || got.Attributes["color"] != "red" {
		t.Errorf("kept %+v", got)
	}
	s.do("PATCH", "/v1/items", []byte(`{"id":"119736","price":400,"title":"Run 2","stock":null,"attributes":{"color":null,"size":{"us":9}}}
		{"id":"119736","brand":"c"}
		{"id":"nope","price":1}`)).want(t, 200, `{"accepted":2,"unchanged":0,"errors":[{"index":2,"id":"nope","detail":"id: no such item; PUT it first"}]}`)
	got = streams.Item{}
	s.get("/v1/items/119736").decode(t, &got)
	b, _ := json.Marshal(got.Attributes)
	if got.Price != 400 || got.Name != "Run 2" || got.Brand != "c" || got.Stock != nil || string(b) != `{"size":{"eu":42,"us":9}}` || got.OldPrice != 500 {
		t.Errorf("kept %+v %s", got, b)
	}
	s.do("DELETE", "/v1/items/119736", nil).want(t, 204, "")
	s.do("DELETE", "/v1/items/119736", nil).want(t, 204, "")
	s.get("/v1/items/119736").want(t, 404, "catalogue")
	s.do("PUT", "/v1/items", []byte(`[{"id":"a/b c"}]`)).want(t, 200, "")
	s.get("/v1/items/a%2Fb%20c").want(t, 200, `"id":"a/b c"`)
}

func TestItemsAreListedInPages(t *testing.T) {
	s := start(t, Options{})
	s.get("/v1/items").want(t, 200, `{"items":[]}`)
	var lines []string
	for i := range 5 {
		lines = append(lines, fmt.Sprintf(`{"id":"%d"}`, i))
	}
	s.do("PUT", "/v1/items", gzipped([]byte(strings.Join(lines, "\r\n"))), "Content-Encoding", "gzip").want(t, 200, `"accepted":5`)
	s.get("/v1/items?limit=2").want(t, 200, `{"items":[{"id":"0"},{"id":"1"}],"next":"1"}`)
	s.get("/v1/items?limit=3&after=1").want(t, 200, `{"items":[{"id":"2"},{"id":"3"},{"id":"4"}]}`)
	s.get("/v1/items?limit=0").want(t, 400, "limit")
}

func TestBadItemsAreNamedOneByOne(t *testing.T) {
	s := start(t, Options{})
	bad := []struct{ json, id, detail string }{
		{`{"id":"x","price":-1}`, "x", "price: must be a number >= 0"},
		{`{"id":"x","price":"NaN"}`, "x", "price: must be a number >= 0"},
		{`{"id":"x","price":1e999}`, "x", "price: must be a number >= 0"},
		{`{"id":"x","old_price":{}}`, "x", "old_price: must be a number >= 0"},
		{`{"price":1}`, "", "id: is needed"},
		{`{"id":["x"]}`, "", "id: must be a string"},
		{`{"id":"` + strings.Repeat("x", 257) + `"}`, "", "id: must be at most 256 bytes"},
		{`{"id":"x\u0000"}`, "", "id: must have no control characters"},
		{`{"id":"x","stock":1.5}`, "x", "stock: must be a whole number"},
		{`{"id":"x","available":"yes"}`, "x", "available: must be true or false"},
		{`{"id":"x","category":{}}`, "x", "category: must be"},
		{`{"id":"x","stores":{"12":{"price":-1}}}`, "x", "stores.12: price: must be a number >= 0"},
		{`{"id":"x","updated_at":"now"}`, "x", "updated_at: must be RFC 3339"},
		{`{"id":"x","name":7.5,"attributes":[]}`, "x", "attributes: must be an object"},
		{`7`, "", "must be a JSON object"}, {`null`, "", "must be a JSON object"},
		{`{"id":"x","name":"` + strings.Repeat("x", 33<<10) + `"}`, "", "at most 32768"},
		{"{\"id\":\"x\xff\"}", "", "not valid UTF-8"},
	}
	list := []string{`{"id":"good"}`}
	for _, b := range bad {
		list = append(list, b.json)
	}
	var out itemsAnswer
	s.do("PUT", "/v1/items", []byte("["+strings.Join(list, ",")+"]")).want(t, 200, "").decode(t, &out)
	if out.Accepted != 1 || len(out.Errors) != len(bad) || len(s.engine.items) != 1 {
		t.Fatalf("answered %+v", out)
	}
	for i, e := range out.Errors {
		if e.Index != i+1 || e.ID != bad[i].id || !strings.Contains(e.Detail, bad[i].detail) {
			t.Errorf("%s: %+v, want %q", clip([]byte(bad[i].json)), e, bad[i].detail)
		}
	}
	s.do("PUT", "/v1/items", []byte("{\"id\":\"1\"}\n{oops}\n")).want(t, 200, `"errors":[{"index":1,`)
	for _, body := range []string{"", "[", `"x"`, `[{"id":1}`} {
		s.do("PUT", "/v1/items", []byte(body)).want(t, 400, "body")
	}
	s.do("PUT", "/v1/items", gzipped(make([]byte, 17<<20)), "Content-Encoding", "gzip").want(t, 413, "16384 KB")
	s.engine.fail = ErrUnavailable
	s.do("PUT", "/v1/items", []byte(shoe)).want(t, 503, "again")
}
