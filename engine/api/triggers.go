package api

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/rules"
)

type triggersAnswer struct {
	Triggers []triggerView `json:"triggers"`
}

type triggerView struct {
	Name     string   `json:"name"`
	Start    string   `json:"start"`
	State    string   `json:"state"`
	Priority int      `json:"priority"`
	Steps    []string `json:"steps"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
}

// triggers lists what runs, in the order of priority.
func (s *Server) triggers(ctx *fasthttp.RequestCtx, _ scope) {
	out := triggersAnswer{Triggers: []triggerView{}}
	if set := s.engine.Rules(); set != nil {
		for _, t := range set.Triggers() {
			out.Triggers = append(out.Triggers, triggerView{
				Name: t.Name, Start: t.Start, State: t.State, Priority: t.Priority, Steps: orEmpty(t.Steps), File: t.File, Line: t.Line,
			})
		}
	}
	s.answer(ctx, out)
}

type validation struct {
	Valid    bool          `json:"valid"`
	Problems []problemView `json:"problems"`
}

type problemView struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

// validateTriggers checks rules without running them: a YAML text, or several
// as {"files":{"name.yaml":"text"}}.
func (s *Server) validateTriggers(ctx *fasthttp.RequestCtx, _ scope) {
	if !s.inflate(ctx, maxRules) {
		return
	}
	files, detail := rulesFiles(ctx.Request.Body())
	if detail != "" {
		s.problem(ctx, fasthttp.StatusBadRequest, detail)
		return
	}
	out := validation{Valid: true, Problems: []problemView{}}
	if _, err := rules.Parse(files); err != nil {
		var list rules.Problems
		if !errors.As(err, &list) {
			list = rules.Problems{{Text: err.Error()}}
		}
		out.Valid = false
		for _, p := range list {
			out.Problems = append(out.Problems, problemView{p.File, p.Line, p.Column, p.Text})
		}
	}
	s.answer(ctx, out)
}

func rulesFiles(body []byte) (files map[string][]byte, detail string) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, `the body is empty: send a YAML text, or {"files":{"name.yaml":"text"}}`
	case body[0] != '{' || !json.Valid(body):
		return map[string][]byte{"rules.yaml": body}, ""
	}
	var in struct {
		Files map[string]string `json:"files"`
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.Files) == 0 {
		return nil, `files: must be an object of texts by file name, like {"files":{"name.yaml":"text"}}`
	}
	files = make(map[string][]byte, len(in.Files))
	for name, text := range in.Files {
		files[name] = []byte(text)
	}
	return files, ""
}
