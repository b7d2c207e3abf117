package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

var threeKeys = Keys{Write: []string{"w1", "w2"}, Read: []string{"r1"}, Admin: []string{"a1"}}

func basic(key string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"))
}

// sampleBody is a body that the route takes.
func sampleBody(r *route) string {
	switch {
	case strings.HasSuffix(r.path, "/batch"), strings.HasSuffix(r.path, "/b"):
		return `{"batch":[]}`
	case r.cors && r.bodyKey && !strings.HasSuffix(r.path, "recommend") && r.path != "/v1/rank":
		return `{"type":"track","userId":"42","event":"X","previousId":"a","groupId":"g"}`
	case r.path == "/v1/rank":
		return `{"items":["a"]}`
	case r.path == "/v1/consents":
		return `{"id":"user:42","consents":{"sms":false}}`
	case r.path == "/v1/items":
		return `[{"id":"1"}]`
	case r.path == "/v1/triggers/validate":
		return "triggers: {}"
	}
	return ""
}

func samplePath(r *route) string {
	if r.path == streams.UnsubscribePath {
		return strings.TrimPrefix(streams.Unsubscribe{Profile: "user:42", Channel: "email"}.URL("http://x", "links"), "http://x")
	}
	return strings.NewReplacer("{writeKey}", "w1", "{id}", "user:42", "{name}", "abandoned_cart").Replace(r.path)
}

func TestKeysOpenWhatTheirScopeMay(t *testing.T) {
	s := start(t, Options{Keys: threeKeys, Secret: "links"})
	s.engine.profiles["user:42"] = &profiles.Profile{Id: "user:42"}
	for i := range s.server.routes {
		r := &s.server.routes[i]
		for key, has := range map[string]scope{"": scopeNone, "nobody": scopeNone, "w2": scopeWrite, "r1": scopeRead, "a1": scopeAdmin} {
			s.engine.items["user:42"] = &streams.Item{ID: "user:42"}
			var headers []string
			if key != "" {
				headers = []string{"Authorization", basic(key)}
			}
			got := s.do(r.method, samplePath(r), []byte(sampleBody(r)), headers...)
			switch {
			case has >= r.scope && got.status >= 300:
				t.Errorf("%s %s with %q: %d %s", r.method, r.path, key, got.status, got.body)
			case has < r.scope && has == scopeNone && got.status != 401, has < r.scope && has > scopeNone && got.status != 403:
				t.Errorf("%s %s with %q: %d", r.method, r.path, key, got.status)
			}
		}
	}
}

func TestKeysTravelFourWays(t *testing.T) {
	s := start(t, Options{Keys: threeKeys})
	s.post("/v1/t", track, "Authorization", "Bearer w1").want(t, 200, "true")
	s.post("/v1/t", track, "Authorization", "bearer  w1").want(t, 200, "true")
	s.post("/v1/t", track, "Authorization", basic("w2")).want(t, 200, "true")
	s.post("/v1/t?key=w1", track).want(t, 200, "true")
	s.post("/v1/t", `{"writeKey":"w1",`+track[1:]).want(t, 200, "true")
	s.do("POST", "/v1/b", gzipped([]byte(`{"writeKey":"w1","batch":[`+track+`]}`)), "Content-Encoding", "gzip").want(t, 200, "true")
	s.post("/v1/recommend", `{"writeKey":"w1"}`).want(t, 200, "items")
	s.get("/v1/recommend?key=w1").want(t, 200, "items")
	for _, rec := range s.engine.records {
		if strings.Contains(string(rec.Value), "writeKey") {
			t.Errorf("a key is on the log: %s", rec.Value)
		}
	}
	s.post("/v1/t", track).want(t, 401, "Authorization")
	s.post("/v1/t", track, "Authorization", "Basic !!!").want(t, 401, "Authorization")
	s.post("/v1/t", track, "Authorization", "Digest w1").want(t, 401, "Authorization")
	s.post("/v1/t", `{"writeKey":"w9"}`).want(t, 401, "unknown")
	s.post("/v1/t", `{"writeKey":`).want(t, 401, "no key")
	s.post("/v1/consents", `{"writeKey":"r1"}`).want(t, 401, "no key")
	s.get("/v1/projects/w9/settings").want(t, 401, "unknown")
}

func TestOpenServerListensOnLoopbackOnly(t *testing.T) {
	for _, addr := range []string{":8080", "0.0.0.0:8080", "[::]:8080", "192.168.1.1:80", "shop.example:80", "nonsense"} {
		if _, err := New(newFake(), Options{Listen: addr}); err == nil {
			t.Errorf("%s: no error", addr)
		}
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "localhost:0"} {
		if _, err := New(newFake(), Options{Listen: addr}); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if _, err := New(newFake(), Options{Listen: ":0", Keys: threeKeys}); err != nil {
		t.Error(err)
	}
	_, err := New(newFake(), Options{Listen: ":0", AdminListen: "x", Keys: Keys{Write: []string{"a", ""}, Read: []string{"a"}}})
	if err == nil || strings.Count(err.Error(), "cannot") != 4 {
		t.Errorf("not every problem is named: %v", err)
	}
}

func sign(secret, id string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(id))
	return hex.EncodeToString(m.Sum(nil))
}

func TestPublicKeysMustSignWhoTheyName(t *testing.T) {
	s := start(t, Options{Keys: threeKeys, IdentitySecret: "hush"})
	sig := sign("hush", "user:42")
	for _, c := range []struct {
		name, key, body string
		status          int
		logged, trust   string
	}{
		{"server", "r1", `{"userId":"42","event":"X"}`, 200, "user:42", ""},
		{"signed", "w1", `{"userId":"42","event":"X","context":{"sig":"` + sig + `"}}`, 200, "user:42", "anonymous user:42"},
		{"signed for another", "w1", `{"userId":"43","event":"X","context":{"sig":"` + sig + `"}}`, 400, "", ""},
		{"unsigned", "w1", `{"userId":"42","event":"X"}`, 400, "", ""},
		{"unsigned with anonymous", "w1", `{"userId":"42","anonymousId":"a","event":"X"}`, 200, "anonymous:a", "anonymous"},
		{"anonymous", "w1", `{"anonymousId":"a","event":"X"}`, 200, "anonymous:a", "anonymous"},
		{"nonsense signature", "w1", `{"userId":"42","event":"X","context":{"sig":"zz"}}`, 400, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.engine.records = nil
			r := s.post("/v1/t", c.body, "Authorization", "Bearer "+c.key)
			if c.status != 200 {
				r.want(t, c.status, "sign")
				return
			}
			r.want(t, 200, "true")
			rec := s.engine.records[0]
			if string(rec.Key) != c.logged || string(rec.Header(streams.HeaderTrust)) != c.trust {
				t.Errorf("logged under %s, trust %q", rec.Key, rec.Header(streams.HeaderTrust))
			}
		})
	}
}

func TestUnsignedCustomersAreStrangers(t *testing.T) {
	s := start(t, Options{Keys: threeKeys, IdentitySecret: "hush"})
	sig := sign("hush", "user:42")
	for query, want := range map[string]string{
		"key=w1&user_id=42":                                        ":",
		"key=w1&user_id=42&sig=" + sig:                             "user:42",
		"key=w1&user_id=43&sig=" + sig:                             ":",
		"key=w1&id=user:42&sig=" + sig:                             "user:42",
		"key=w1&anonymous_id=a":                                    "anonymous:a",
		"key=w1&user_id=42&anonymous_id=a":                         "anonymous:a",
		"key=r1&user_id=42":                                        "user:42",
		"key=r1&id=phone:%2B380501234567":                          "phone:+380501234567",
		"key=w1&id=email:A@b.c&sig=" + sign("hush", "email:a@b.c"): "email:a@b.c",
		"key=w1": ":",
	} {
		s.get("/v1/recommend?"+query).want(t, 200, "items")
		if got := s.engine.askedBy.String(); got != want {
			t.Errorf("%s: asked as %s, want %s", query, got, want)
		}
	}
}
