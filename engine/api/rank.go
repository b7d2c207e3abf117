package api

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
)

// rankPost puts given items in order for a customer: all of them, unless a limit
// asks for less.
func (s *Server) rankPost(ctx *fasthttp.RequestCtx, by scope) {
	start := time.Now()
	c := takeRecommendCall()
	defer recommendCalls.Put(c)
	if !s.readPost(ctx, c) {
		return
	}
	in := &c.input
	all := in.outer.has&hasLimit == 0
	id, bad := s.customer(in, by)
	switch {
	case bad != nil:
	case in.requests != nil:
		bad = badRequest("requests: rank takes one list, in items")
	case len(in.outer.items) == 0:
		bad = badRequest("items: must be 1 to 1000 ids")
	default:
		bad = s.fill(c)
	}
	if bad != nil {
		s.refuse(ctx, bad)
		return
	}
	if all {
		c.requests[0].Limit = 0
	}
	s.answerWith(ctx, c, start, s.engine.Rank(context.Background(), id, c.requests[0], &c.answers[0]))
}
