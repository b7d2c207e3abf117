package api

import (
	"strings"
	"testing"
)

func TestTriggersAreListed(t *testing.T) {
	s := start(t, Options{})
	s.get("/v1/triggers").want(t, 200, `"name":"abandoned_cart"`).want(t, 200, `"start":"date"`).want(t, 200, `"steps":[`)
}

func TestRulesAreValidated(t *testing.T) {
	s := start(t, Options{})
	s.post("/v1/triggers/validate", "triggers:\n  a:\n    start: {event: X}\n    steps:\n      - send: {template: t, channels: [email]}\n").
		want(t, 200, `{"valid":true,"problems":[]}`)
	var v validation
	s.post("/v1/triggers/validate", "triggers:\n  a:\n    start: {event: X}\n    stepz: []\n").want(t, 200, `"valid":false`).decode(t, &v)
	if len(v.Problems) == 0 || v.Problems[0].File != "rules.yaml" || v.Problems[0].Line == 0 || v.Problems[0].Text == "" {
		t.Errorf("answered %+v", v)
	}
	v = validation{}
	s.post("/v1/triggers/validate", `{"files":{"b.yaml":"triggers: 7","a.yaml":": :"}}`).want(t, 200, "false").decode(t, &v)
	var files []string
	for _, p := range v.Problems {
		files = append(files, p.File)
	}
	if got := strings.Join(files, " "); !strings.Contains(got, "a.yaml") || !strings.Contains(got, "b.yaml") {
		t.Errorf("problems in %s", got)
	}
	for body, want := range map[string]string{"": "empty", `{"files":7}`: "files", `{}`: "files"} {
		s.post("/v1/triggers/validate", body).want(t, 400, want)
	}
}
