package api

import (
	"strings"
	"testing"
)

func TestBrowsersMayCallWriteRoutes(t *testing.T) {
	s := start(t, Options{Keys: threeKeys})
	for i := range s.server.routes {
		r := &s.server.routes[i]
		got := s.do("OPTIONS", samplePath(r), nil, "Origin", "https://shop.example",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,anonymousid")
		if !r.cors {
			if got.status != 204 || !strings.Contains(got.header.Get("Allow"), r.method) || got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("OPTIONS %s: %d %v", r.path, got.status, got.header)
			}
			continue
		}
		if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "*" ||
			got.header.Get("Access-Control-Allow-Headers") != "authorization,content-type,anonymousid" ||
			!strings.Contains(got.header.Get("Access-Control-Allow-Methods"), "POST") {
			t.Errorf("OPTIONS %s: %d %v", r.path, got.status, got.header)
		}
	}
	for _, r := range []reply{
		s.post("/v1/t", track, "Origin", "https://shop.example", "Authorization", "Bearer w1"),
		s.post("/v1/t", track, "Origin", "https://shop.example"), // 401 must be readable too
	} {
		if r.header.Get("Access-Control-Allow-Origin") != "*" || r.header.Get("Access-Control-Expose-Headers") != "X-Request-ID, Retry-After" {
			t.Errorf("%d %v", r.status, r.header)
		}
	}
	if r := s.get("/v1/items", "Origin", "https://shop.example", "Authorization", "Bearer r1"); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the catalogue may be read from other origins")
	}
	hostile := s.do("OPTIONS", "/v1/t", nil, "Origin", "https://shop.example", "Access-Control-Request-Headers", "a;b")
	if h := hostile.header.Get("Access-Control-Allow-Headers"); !strings.Contains(h, "Authorization") {
		t.Errorf("allowed %q", h)
	}
}

func TestConfiguredOriginsOnly(t *testing.T) {
	s := start(t, Options{CORSOrigins: []string{"https://shop.example"}})
	ok := s.post("/v1/t", track, "Origin", "https://shop.example")
	if ok.header.Get("Access-Control-Allow-Origin") != "https://shop.example" || ok.header.Get("Vary") != "Origin" {
		t.Errorf("%v", ok.header)
	}
	no := s.do("OPTIONS", "/v1/t", nil, "Origin", "https://evil.example")
	if no.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", no.header)
	}
	none := start(t, Options{CORSOrigins: []string{}})
	if r := none.post("/v1/t", track, "Origin", "https://shop.example"); r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", r.header)
	}
}

func TestSettingsPointTheBrowserLibraryHere(t *testing.T) {
	s := start(t, Options{Keys: threeKeys})
	r := s.get("/v1/projects/w1/settings", "Origin", "https://shop.example")
	r.want(t, 200, `"apiHost":"`+s.server.Addr()+`/v1"`).want(t, 200, `"protocol":"http"`).want(t, 200, `"apiKey":"w1"`)
	if r.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("not readable from a page")
	}
	s.get("/v1/projects/w1/settings", "X-Forwarded-Proto", "https").want(t, 200, `"protocol":"https"`)
}
