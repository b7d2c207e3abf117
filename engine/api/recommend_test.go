package api

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/recommender"
)

type oneAnswer struct {
	ID, Placement, Strategy string
	Items                   []struct {
		ID, Reason string
		Score      float64
		Item       map[string]any
		Explain    map[string]float64
	}
	Messages []any
	TookUS   *int64 `json:"took_us"`
}

func TestRecommendAnswersWhatWasAsked(t *testing.T) {
	s := start(t, Options{})
	query := "/v1/recommend?user_id=42&placement=product&items=a,b&limit=3&offset=2&seed=rec_1&exclude=c&channel=web&store=12" +
		"&fields=name,url,image_url,price,available&explain=true&track=false"
	r := s.get(query).want(t, 200, "")
	var a oneAnswer
	r.decode(t, &a)
	if !strings.HasPrefix(a.ID, "rec_") || len(a.ID) != 30 || a.Placement != "product" || a.Strategy != "trending" ||
		a.Messages == nil || len(a.Messages) != 0 || a.TookUS == nil || len(a.Items) != 3 {
		t.Fatalf("answered %s", r.body)
	}
	if i := a.Items[0]; i.ID != "i002" || i.Score != 1 || i.Reason != "trending" || i.Item["name"] != `Shoe "Run"` ||
		i.Item["price"] != 450.0 || i.Item["available"] != true || i.Explain["trending"] != 1 {
		t.Errorf("answered %s", r.body)
	}
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", r.header)
	}
	got := s.engine.asked[0]
	if got.ID != a.ID || !slices.Equal(got.Items, []string{"a", "b"}) || !slices.Equal(got.Exclude, []string{"c"}) ||
		got.Seed != "rec_1" || got.Channel != "web" || got.Store != "12" || !got.Explain || got.Offset != 2 {
		t.Errorf("asked %+v", got)
	}
	body := `{"user_id":42,"placement":"product","items":["a","b"],"limit":3,"offset":"2","seed":"rec_1","exclude":["c"],
		"channel":"web","store":"12","fields":["name"],"explain":true,"track":false,"unknown":{"x":1}}`
	s.post("/v1/recommend", body).want(t, 200, `"item":{"name":"Shoe \"Run\""}`)
	if again := s.engine.asked[0]; !slices.Equal(again.Items, got.Items) || again.Limit != 3 || again.Offset != 2 || s.engine.askedBy.String() != "user:42" {
		t.Errorf("asked %+v by %s", again, s.engine.askedBy)
	}
	// The next request starts from nothing.
	s.get("/v1/recommend").want(t, 200, "items")
	if a := s.engine.asked[0]; len(a.Items) != 0 || len(a.Exclude) != 0 || a.Limit != 10 || a.Offset != 0 || a.Seed != "" || a.Explain || a.Filter != nil {
		t.Errorf("asked %+v", a)
	}
	s.post("/v1/recommend", "").want(t, 200, `"id":"i009"`)
}

func TestSeveralPlacementsInOneCall(t *testing.T) {
	s := start(t, Options{})
	r := s.post("/v1/recommend", `{"id":"card:7001","limit":2,"items":["a"],"fields":"name","dedupe":false,
		"requests":[{"placement":"product","limit":1,"items":[]},{"placement":"trending","fields":["id"]}]}`).want(t, 200, `"took_us":`)
	var a struct{ Recommendations []oneAnswer }
	r.decode(t, &a)
	if len(a.Recommendations) != 2 || len(a.Recommendations[0].Items) != 1 || len(a.Recommendations[1].Items) != 2 ||
		a.Recommendations[0].Items[0].Item["name"] == nil || a.Recommendations[1].Items[0].Item != nil {
		t.Errorf("answered %s", r.body)
	}
	if s.engine.deduped || len(s.engine.asked) != 2 || len(s.engine.asked[0].Items) != 0 || len(s.engine.asked[1].Items) != 1 {
		t.Errorf("asked %+v", s.engine.asked)
	}
	s.post("/v1/recommend", `{"requests":[{}]}`).want(t, 200, `"recommendations":[{`)
	if !s.engine.deduped {
		t.Error("not deduped")
	}
}

func TestBadRecommendRequests(t *testing.T) {
	s := start(t, Options{})
	for query, want := range map[string]string{
		"limit=0": "limit", "limit=101": "100", "limit=x": "limit", "limit=99999999999999999999": "limit", "offset=-1": "offset",
		"id=42": "type:value", "id=phone:1": "phone", "user_id=%00": "control", "fields=nme": "image_url", "explain=perhaps": "explain",
		"placement=nowhere": "home, product", "filter=" + strings.Repeat("x", 2049): "2 KB", "dedupe=x": "dedupe", "track=x": "track",
	} {
		s.get("/v1/recommend?"+query).want(t, 400, want)
	}
	for body, want := range map[string]string{
		`{"limit":{}}`: "limit", `[]`: "object", `{"items":[{}]}`: "items", `{"requests":[]}`: "1 to 10", `{"requests":{}}`: "requests",
		`{"requests":[{},{"limit":1000}]}`: "limit", `{"requests":[{"limit":"x"}]}`: "requests[0].limit",
		`{"requests":[` + strings.Repeat("{},", 10) + `{}]}`: "1 to 10", `{`: "JSON", `{"user_id":[]}`: "user_id",
	} {
		s.post("/v1/recommend", body).want(t, 400, want)
	}
	s.post("/v1/recommend", `{"x":"`+strings.Repeat("x", 70<<10)+`"}`).want(t, 413, "64 KB")
}

func TestFiltersAreCompiledOnce(t *testing.T) {
	s := start(t, Options{})
	text := url.QueryEscape(`item.price < 500.0 && item.name.contains("Shoe")`)
	s.get("/v1/recommend?filter="+text).want(t, 200, `"id":"i009"`)
	s.get("/v1/recommend?filter="+url.QueryEscape("item.price > 500.0")).want(t, 200, `"items":[]`)
	s.get("/v1/recommend?filter="+url.QueryEscape("item.pryce > 1")).want(t, 422, "filter")
	s.get("/v1/recommend?filter="+url.QueryEscape("1 + 1")).want(t, 422, "filter")
	c := s.server.filters
	if n := len(c.young) + len(c.older); n != 2 {
		t.Errorf("%d filters kept", n)
	}
	for i := range 3 * filtersKept {
		if _, err := c.compile("item.price < " + strings.Repeat("1", 1+i%15) + ".0 + " + strings.Repeat("2", 1+i/15) + ".0"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.young) + len(c.older); n > 2*filtersKept {
		t.Errorf("%d filters kept", n)
	}
}

func TestAnswersAreValidJSON(t *testing.T) {
	nasty := "a\"\\\n\t\x01\xff<é\u2028"
	c := &recommendCall{
		answers: []recommender.Answer{{ID: nasty, Items: []recommender.Ranked{{ID: nasty, Score: 1e-7}, {ID: "b", Score: 123456789}}}},
		shows:   []shown{{fields: 1<<len(itemFields) - 1, explain: true}},
	}
	var v oneAnswer
	if err := json.Unmarshal(appendAnswers(nil, c, 0), &v); err != nil {
		t.Fatalf("%v in %s", err, appendAnswers(nil, c, 0))
	}
	if want := strings.ToValidUTF8(nasty, "\ufffd"); v.ID != want || v.Items[0].ID != want {
		t.Errorf("%q became %q", nasty, v.ID)
	}
}

// BenchmarkRecommend is the handler alone: routing, keys, query, answer. The
// engine answers ten items at once.
func BenchmarkRecommend(b *testing.B) {
	e := benchEngine{newFake()}
	s, err := New(e, Options{Listen: "127.0.0.1:0", Keys: threeKeys})
	if err != nil {
		b.Fatal(err)
	}
	handler := s.router().Handler
	var ctx fasthttp.RequestCtx
	b.ReportAllocs()
	for b.Loop() {
		ctx.Request.Reset()
		ctx.Response.Reset()
		ctx.Request.SetRequestURI("/v1/recommend?user_id=42&placement=product&items=119736&limit=10&key=w1")
		handler(&ctx)
	}
	if ctx.Response.StatusCode() != 200 || len(ctx.Response.Body()) < 500 {
		b.Fatalf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}
