package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
)

// maxRequests is how many placements one call may ask for.
const maxRequests = 10

// recommendCall is one call of /v1/recommend: what was asked, then what was
// answered. It is pooled with the memory of its slices.
type recommendCall struct {
	input    recommendInput
	requests []*recommender.Request
	shows    []shown // what to show of each answer
	answers  []recommender.Answer
	many     bool // asked with `requests`
	dedupe   bool
	out      []byte
}

// shown is what an answer shows of each item besides id, score and reason.
type shown struct {
	fields  fieldSet
	explain bool
}

var recommendCalls = sync.Pool{New: func() any {
	return &recommendCall{
		requests: make([]*recommender.Request, 0, maxRequests), answers: make([]recommender.Answer, 0, maxRequests),
	}
}}

func takeRecommendCall() *recommendCall {
	c, ok := recommendCalls.Get().(*recommendCall)
	if !ok {
		panic("BUG: a pool of recommend calls held something else")
	}
	c.input.reset()
	c.shows, c.out = c.shows[:0], c.out[:0]
	c.requests, c.answers = c.requests[:0], c.answers[:0]
	c.many, c.dedupe = false, true
	return c
}

// request is the next one to fill, empty but for the memory of its slices.
func (c *recommendCall) request() *recommender.Request {
	n := len(c.requests)
	c.requests, c.answers = c.requests[:n+1], c.answers[:n+1]
	r := c.requests[n]
	if r == nil {
		r = &recommender.Request{}
		c.requests[n] = r
	}
	who := recommender.Customer{
		Recent: r.Customer.Recent[:0], Session: r.Customer.Session[:0],
		Cart: r.Customer.Cart[:0], Purchased: r.Customer.Purchased[:0], Bought: r.Customer.Bought[:0],
		Categories: r.Customer.Categories[:0], Brands: r.Customer.Brands[:0],
	}
	*r = recommender.Request{Customer: who, Items: r.Items[:0], Exclude: r.Exclude[:0]}
	return r
}

func (s *Server) recommendGet(ctx *fasthttp.RequestCtx, by scope) {
	start := time.Now()
	c := takeRecommendCall()
	defer recommendCalls.Put(c)
	if bad := c.input.readQuery(ctx.QueryArgs()); bad != nil {
		s.refuse(ctx, bad)
		return
	}
	s.recommend(ctx, c, by, start)
}

func (s *Server) recommendPost(ctx *fasthttp.RequestCtx, by scope) {
	start := time.Now()
	c := takeRecommendCall()
	defer recommendCalls.Put(c)
	if s.readPost(ctx, c) {
		s.recommend(ctx, c, by, start)
	}
}

// readPost reads the input of a POST; false where that was answered already.
func (s *Server) readPost(ctx *fasthttp.RequestCtx, c *recommendCall) bool {
	if !s.inflate(ctx, maxQuery) {
		return false
	}
	bad := c.input.readQuery(ctx.QueryArgs())
	if bad == nil {
		bad = c.input.readJSON(ctx.Request.Body())
	}
	if bad != nil {
		s.refuse(ctx, bad)
	}
	return bad == nil
}

// badInput is an answer to what a client asked wrongly.
type badInput struct {
	status int
	detail string
}

func badRequest(detail string) *badInput { return &badInput{fasthttp.StatusBadRequest, detail} }

func (s *Server) refuse(ctx *fasthttp.RequestCtx, bad *badInput) {
	s.problem(ctx, bad.status, bad.detail)
}

func (s *Server) recommend(ctx *fasthttp.RequestCtx, c *recommendCall, by scope, start time.Time) {
	id, bad := s.customer(&c.input, by)
	if bad == nil {
		bad = s.fill(c)
	}
	if bad != nil {
		s.refuse(ctx, bad)
		return
	}
	// The engine bounds its own waiting: a customer it cannot find in time is a
	// stranger. A context with a deadline would cost more than the answer.
	s.answerWith(ctx, c, start, s.engine.Recommend(context.Background(), id, c.requests, c.dedupe, c.answers))
}

// answerWith writes what the engine answered.
func (s *Server) answerWith(ctx *fasthttp.RequestCtx, c *recommendCall, start time.Time, err error) {
	switch {
	case errors.Is(err, recommender.ErrUnknownPlacement):
		s.problem(ctx, fasthttp.StatusBadRequest, "placement: "+err.Error())
		return
	case err != nil:
		s.fail(ctx, err)
		return
	}
	if len(c.answers) > 0 {
		tellAge(ctx, c.answers[0].Age)
	}
	c.out = appendAnswers(c.out, c, time.Since(start))
	ctx.SetContentType("application/json")
	ctx.SetBody(c.out)
}

// customer is whose recommendations these are: the zero identifier is a
// stranger, and so is who is named without the proof that a public key needs.
func (s *Server) customer(in *recommendInput, by scope) (streams.Identifier, *badInput) {
	id, err := in.identify(s.opts.Decoder)
	if err != nil {
		return id, badRequest(err.Error())
	}
	if id.IsZero() || id.Type == "anonymous" || s.trusts(by) || s.signed(id, in.sig) {
		return id, nil
	}
	if in.anonymousID == "" {
		return streams.Identifier{}, nil
	}
	id, err = s.opts.Decoder.Normalize("anonymous", in.anonymousID)
	if err != nil {
		return id, badRequest("anonymous_id: " + err.Error())
	}
	return id, nil
}

// fill makes the requests of the recommender out of the input.
func (s *Server) fill(c *recommendCall) *badInput {
	in := &c.input
	if in.dedupe != nil {
		c.dedupe = *in.dedupe
	}
	if in.requests == nil {
		return s.fillOne(c, &in.outer)
	}
	c.many = true
	for i := range in.requests {
		if bad := s.fillOne(c, in.requests[i].over(&in.outer)); bad != nil {
			return bad
		}
	}
	return nil
}

func (s *Server) fillOne(c *recommendCall, p *params) *badInput {
	if bad := p.check(); bad != nil {
		return bad
	}
	r := c.request()
	var id [30]byte
	r.ID = string(appendID(append(id[:0], "rec_"...), s.now()))
	r.Placement, r.Channel, r.Store, r.Seed = p.placement, p.channel, p.store, p.seed
	r.Limit, r.Offset, r.Explain = p.limit, p.offset, p.explain
	r.Track = c.input.track == nil || *c.input.track
	r.Items = append(r.Items, p.items...)
	r.Exclude = append(r.Exclude, p.exclude...)
	if p.filter != "" {
		f, err := s.filters.compile(p.filter)
		if err != nil {
			return &badInput{fasthttp.StatusUnprocessableEntity, err.Error()}
		}
		r.Filter = f.ForRequest()
	}
	c.shows = append(c.shows, shown{p.fields, p.explain})
	return nil
}
