package api

import (
	"strings"
	"testing"
)

func TestFaultsOfBodiesNameNoTypes(t *testing.T) {
	s := start(t, Options{})
	for _, c := range []struct{ path, body, want string }{
		{"/v1/recommend", `[]`, "the body cannot be a JSON array"},
		{"/v1/recommend", `{"limit":`, "valid JSON"},
		{"/v1/consents", `{"id":"user:1","consents":{"sms":5}}`, "cannot be a JSON number"},
		{"/v1/consents", `7`, "the body cannot be a JSON number"},
	} {
		r := s.post(c.path, c.body).want(t, 400, c.want)
		for _, name := range []string{"Go ", "api.", "struct"} {
			if strings.Contains(string(r.body), name) {
				t.Errorf("%s %s: %s", c.path, c.body, r.body)
			}
		}
	}
}
