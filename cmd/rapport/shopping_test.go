package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// newPlainShop is a shop that configures nothing.
func newPlainShop(t *testing.T) *testShop {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := &testShop{child: newChild(t, "--partitions", "4")}
	s.begin()
	return s
}

// views lets customers view items and waits until their profiles have that: what a
// profile has, the models have learned.
func (s *testShop) views(who string, customers int, items ...string) {
	s.t.Helper()
	for n := range customers {
		id := fmt.Sprint(who, n)
		for _, item := range items {
			s.events(track("web", fmt.Sprintf(`"anonymousId":%q`, id), "Product Viewed", fmt.Sprintf(`"product_id":%q`, item)))
		}
		s.knows("anonymous:"+id, len(items))
	}
}

// scores are those that each strategy gave an item beside others, by "strategy item".
func (s *testShop) scores(query string) map[string]float64 {
	s.t.Helper()
	var answer struct {
		Items []struct {
			ID      string
			Explain map[string]float64
		}
	}
	if s.get("/v1/recommend?explain=true&limit=100&"+query, &answer) != http.StatusOK {
		s.t.Fatal(s.last)
	}
	scores := map[string]float64{}
	for _, item := range answer.Items {
		for strategy, score := range item.Explain {
			scores[strategy+" "+item.ID] = score
		}
	}
	return scores
}

// item puts an item into the catalogue and waits until it is served so.
func (s *testShop) item(id, more string, stock int) {
	s.t.Helper()
	s.must(http.MethodPut, "/v1/items", fmt.Sprintf(`[{"id":%q,"stock":%d,%s}]`, id, stock, more))
	s.until("the item "+id, func() bool {
		return s.get("/v1/items/"+id, nil) == http.StatusOK && strings.Contains(s.last, fmt.Sprintf(`"stock":%d`, stock))
	})
}

// TestTheNextRequestKnows holds the shop to what sets it apart: nothing is refitted, each
// request answers by all that was logged before it.
func TestTheNextRequestKnows(t *testing.T) {
	s := newPlainShop(t)
	const shoes, mugs = `"category":"Shoes/Running","brand":"fleet","name":"Running shoe"`, `"category":"Kitchen","brand":"clay","name":"Mug"`
	s.item("shoe", shoes, 3)
	s.item("mug", mugs, 3)
	if got := s.scores("placement=product&items=shoe"); got["viewed_together mug"] > 0 || got["session mug"] > 0 {
		t.Errorf("before anybody viewed them: %v", got)
	}

	s.views("few", 2, "shoe", "mug")
	for one, other := range map[string]string{"shoe": "mug", "mug": "shoe"} {
		got := s.scores("placement=product&items=" + one)
		if got["viewed_together "+other] <= 0 || got["session "+other] <= 0 {
			t.Errorf("beside %s: %v", one, got)
		}
	}
	if got := s.recommend("placement=product&items=shoe"); got["mug"] != "session" {
		t.Errorf("beside the shoe: %v", got)
	}

	s.item("mug", mugs, 0) // sold out
	if got := s.recommend("placement=product&items=shoe&limit=100"); got["mug"] != "" {
		t.Errorf("sold out: %v", got)
	}
	s.item("mug", mugs, 1)
	if got := s.recommend("placement=product&items=shoe"); got["mug"] == "" {
		t.Errorf("there again: %v", got)
	}

	s.item("newest", shoes, 5)
	if got := s.recommend("placement=product&items=shoe"); got["newest"] != "similar" {
		t.Errorf("an item that nobody viewed yet: %v", got)
	}
	s.views("early", 3, "shoe", "newest")
	if got := s.recommend("placement=product&items=shoe"); got["newest"] != "session" {
		t.Errorf("an item that some viewed: %v", got)
	}
	s.stop()
}

// TestWhatIsAskedWronglyIsAnswered asks for recommendations as nobody should, of an empty
// shop and of one with items, and wants the documented answers.
func TestWhatIsAskedWronglyIsAnswered(t *testing.T) {
	s := newPlainShop(t)
	if got := s.recommend("placement=product&items=x&id=user:nobody"); len(got) != 0 || !strings.Contains(s.last, `"strategy":"none"`) {
		t.Errorf("an empty catalogue: %s", s.last)
	}
	s.must(http.MethodPost, "/v1/rank", `{"items":["x","y"],"placement":"product"}`)

	if s.call(http.MethodPut, "/v1/items", `[{"id":"a","price":5},{"id":"n","price":"NaN"},{"id":"t","price":"cheap"},{"id":"b","price":7}]`, nil) != http.StatusOK ||
		!strings.Contains(s.last, `"accepted":2`) || strings.Count(s.last, "price: must be a number >= 0") != 2 {
		t.Errorf("prices that are none: %s", s.last)
	}
	if s.call(http.MethodPut, "/v1/items", `[{"id":"n","price":NaN}]`, nil) != http.StatusBadRequest {
		t.Errorf("not JSON: %s", s.last)
	}
	for _, id := range []string{"n", "t"} {
		if s.get("/v1/items/"+id, nil) != http.StatusNotFound {
			t.Errorf("%s: %s", id, s.last)
		}
	}
	s.item("c", `"price":9`, 1)
	for _, c := range wrongRequests() {
		s.asks(c)
	}
	s.stop()
}

// asked is a body for /v1/recommend, or for another path, and what is answered.
type asked struct {
	what, body string
	path       string // "": /v1/recommend
	status     int
	says       string
}

// nested is a filter of so many loops in each other.
func nested(loops int) string {
	const list, names = "[1,2,3,4,5,6,7,8,9]", "abcdefgh"
	sum := strings.Join(strings.Split(names[:loops], ""), "+")
	text := "item.price < 0.0 - double(" + sum + ")"
	for n := range loops {
		text = fmt.Sprintf("%s.all(%c, %s)", list, names[n], text)
	}
	return text
}

func wrongRequests() []asked {
	many := `"` + strings.Repeat(`q","`, 999) + `a"`
	const all = `"items":[{"id":"`
	return []asked{
		{"an unknown item", `{"placement":"product","items":["unknown"]}`, "", 200, all},
		{"an unknown customer", `{"id":"user:unknown"}`, "", 200, all},
		{"an identifier of no type", `{"id":"unknown"}`, "", 400, "type:value"},
		{"unknown exclusions", `{"exclude":["unknown","` + strings.Repeat("x", 5000) + `"]}`, "", 200, all},
		{"an unknown placement", `{"placement":"attic"}`, "", 400, "product"},
		{"an unknown channel and store", `{"channel":"attic","store":"attic"}`, "", 200, all},
		{"an unknown field", `{"fields":["weight"]}`, "", 400, "fields"},
		{"members that mean nothing", `{"unknown":1,"limits":3,"context":{}}`, "", 200, all},
		{"1,000 items of context", `{"placement":"product","items":[` + many + `]}`, "", 200, `"items":[{"id":"`},
		{"1,001 items of context", `{"placement":"product","items":["b",` + many + `]}`, "", 400, "items: must be at most 1000"},
		{"1,001 exclusions", `{"exclude":["b",` + many + `]}`, "", 400, "exclude: must be at most 1000"},
		{"an item that is all bytes", `{"items":["\u0000\ud800"]}`, "", 200, all},
		{"items of a wrong type", `{"items":[{"id":"a"}]}`, "", 400, "items: must be a list of strings"},
		{"a filter that matches nothing", `{"filter":"item.price > 1000.0"}`, "", 200, `"strategy":"none","items":[]`},
		{"a filter of 10 KB", `{"filter":"item.id != '` + strings.Repeat("x", 10<<10) + `'"}`, "", 400, "filter: must be at most 2 KB"},
		{"a filter that costs too much on an item", `{"filter":"` + nested(6) + `"}`, "", 200, `"items":[]`},
		{"a filter that costs nearly that", `{"filter":"` + nested(3) + `"}`, "", 200, `"items":[]`},
		{"a filter too deep", `{"filter":"` + strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000) + `"}`, "", 422, "filter"},
		{"a filter of what is not there", `{"filter":"item.attributes.color == 'red'"}`, "", 200, `"items":[]`},
		{"a filter of no truth", `{"filter":"item.price"}`, "", 422, "true or false"},
		{"a limit of nothing", `{"limit":0}`, "", 400, "limit: must be from 1 to 100"},
		{"eleven placements", `{"requests":[` + strings.Repeat("{},", 10) + `{}]}`, "", 400, "1 to 10"},
		{"no JSON", `{"placement":`, "", 400, "JSON"},

		{"1,000 items to rank", `{"items":[` + many + `]}`, "/v1/rank", 200, all},
		{"1,001 items to rank", `{"items":["b",` + many + `]}`, "/v1/rank", 400, "items: must be at most 1000"},
		{"nothing to rank", `{"items":[]}`, "/v1/rank", 400, "items: must be 1 to 1000"},
		{"unknown items to rank", `{"items":["unknown","a"],"id":"user:unknown"}`, "/v1/rank", 200, `"unknown"`},
		{"members of rank that mean nothing", `{"items":["a"],"unknown":1}`, "/v1/rank", 200, all},
		{"a filter of 10 KB to rank", `{"items":["a"],"filter":"` + strings.Repeat("x", 10<<10) + `"}`, "/v1/rank", 400, "2 KB"},
		{"a filter of rank that costs too much", `{"items":["a"],"filter":"` + nested(6) + `"}`, "/v1/rank", 200, `"score":0`},
	}
}

// asks sends one, as a POST and, where it is short, as a query would have it.
func (s *testShop) asks(c asked) {
	s.t.Helper()
	path := c.path
	if path == "" {
		path = "/v1/recommend"
	}
	if status := s.call(http.MethodPost, path, c.body, nil); status != c.status || !strings.Contains(s.last, c.says) {
		s.t.Errorf("%s: %.300s; want %d with %s", c.what, s.last, c.status, c.says)
	}
	if filter, ok := strings.CutPrefix(c.body, `{"filter":"`); ok && path == "/v1/recommend" && len(filter) < 4<<10 {
		filter = strings.TrimSuffix(filter, `"}`)
		if status := s.get("/v1/recommend?filter="+url.QueryEscape(filter), nil); status != c.status || !strings.Contains(s.last, c.says) {
			s.t.Errorf("%s in a query: %.300s; want %d with %s", c.what, s.last, c.status, c.says)
		}
	}
}
