package api

import (
	"fmt"
	"strings"
	"testing"
)

func TestRank(t *testing.T) {
	s := start(t, Options{})
	s.post("/v1/rank", `{"id":"user:42","placement":"home","items":["a","b","c"],"exclude":["b"],"filter":"item.price > 1.0"}`).
		want(t, 200, `"placement":"home","strategy":"trending","items":[{"id":"c","score":0,"reason":"trending"},{"id":"b",`)
	asked := s.engine.asked[0]
	if asked.Limit != 0 || fmt.Sprint(asked.Items, asked.Exclude) != "[a b c] [b]" || asked.Filter == nil || !strings.HasPrefix(asked.ID, "rec_") {
		t.Errorf("asked %+v", asked)
	}
	if s.engine.askedBy.String() != "user:42" {
		t.Errorf("asked by %v", s.engine.askedBy)
	}
	s.post("/v1/rank", `{"items":"a,b","limit":1}`).want(t, 200, `"items":[{"id":"b"`)
	if got := s.engine.asked[0].Limit; got != 1 {
		t.Errorf("limit %d", got)
	}
	many := `["x` + strings.Repeat(`","x`, 1000) + `"]`
	for body, want := range map[string]string{
		`{}`:                                    "items: must be 1 to 1000 ids",
		`{"items":[]}`:                          "items: must be 1 to 1000 ids",
		`{"items":` + many + `}`:                "items: must be at most 1000 ids",
		`{"items":["a"],"requests":[{}]}`:       "requests: rank takes one list",
		`{"items":["a"],"limit":0}`:             "limit: must be from 1 to 100",
		`{"items":["a"],"placement":"nowhere"}`: "known are home, product",
		`[]`:                                    "the body is not a valid JSON object",
	} {
		s.post("/v1/rank", body).want(t, 400, want)
	}
	s.post("/v1/rank", `{"items":["a"],"filter":"item.colour"}`).want(t, 422, "filter")
}
