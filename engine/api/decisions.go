package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// decisionView is one send that was made, held or not made.
type decisionView struct {
	At        string `json:"at"`
	Trigger   string `json:"trigger"`
	Step      int32  `json:"step"`
	Reason    string `json:"reason"` // sent, held, or why not
	Channel   string `json:"channel,omitempty"`
	MessageID string `json:"message_id,omitempty"`
	Key       string `json:"key,omitempty"`
	Variant   string `json:"variant,omitempty"`
	Until     string `json:"until,omitempty"` // of what is held
}

type decisionsAnswer struct {
	Decisions []decisionView `json:"decisions"`
}

// decisions lists the latest decisions about a customer, newest first, of one
// trigger or of all.
func (s *Server) decisions(ctx *fasthttp.RequestCtx, _ scope) {
	p := s.find(ctx)
	if p == nil {
		return
	}
	trigger := string(ctx.QueryArgs().Peek("trigger"))
	out := decisionsAnswer{Decisions: []decisionView{}}
	for _, d := range p.DecisionList() {
		if trigger == "" || d.Trigger == trigger {
			out.Decisions = append(out.Decisions, decisionOf(d))
		}
	}
	s.answer(ctx, out)
}

func decisionOf(d *profiles.Decision) decisionView {
	v := decisionView{At: stamp(d.At), Trigger: d.Trigger, Step: d.Step, Reason: d.Reason, Channel: d.Channel,
		Key: d.Key, Variant: d.Variant, Until: stamp(d.Until)}
	if d.Message != "" {
		v.MessageID = fmt.Sprintf("%s.%d.%s", d.Trigger, d.Step, d.Message)
	}
	return v
}

// triggerStats answers what a trigger did and earned.
func (s *Server) triggerStats(ctx *fasthttp.RequestCtx, _ scope) {
	name := pathValue(ctx, "name")
	stats, err := s.engine.TriggerStats(name)
	switch {
	case errors.Is(err, ErrNotFound):
		s.problem(ctx, fasthttp.StatusNotFound, "no trigger is called "+quote(name))
	case err != nil:
		s.fail(ctx, err)
	default:
		s.answer(ctx, stats)
	}
}

type segmentView struct {
	Name      string `json:"name"`
	Customers int64  `json:"customers"`
}

type segmentsAnswer struct {
	Segments []segmentView `json:"segments"`
}

// segments lists the segments with how many customers are in each, by name.
func (s *Server) segments(ctx *fasthttp.RequestCtx, _ scope) {
	sizes := s.engine.SegmentSizes()
	out := segmentsAnswer{Segments: []segmentView{}}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		out.Segments = append(out.Segments, segmentView{name, sizes[name]})
	}
	s.answer(ctx, out)
}
