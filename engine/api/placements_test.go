package api

import "testing"

func TestPlacements(t *testing.T) {
	s := start(t, Options{})
	s.get("/v1/placements").want(t, 200, `{"placements":[{"placement":"cart","served":0,`).
		want(t, 200, `{"placement":"home","served":25,"impressions":10,"clicks":4,"adds":2,"orders":1,"revenue":9.5,"strategies":[{"strategy":"session","served":20,`)
}
