package api

import (
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

// ingest takes one of Segment's calls, or a batch of them. It answers once the
// log has what it accepted.
func (s *Server) ingest(endpoint string) func(*fasthttp.RequestCtx, scope) {
	limit := maxEvent
	if endpoint == "batch" {
		limit = maxBatch
	}
	return func(ctx *fasthttp.RequestCtx, by scope) {
		if !s.inflate(ctx, limit) {
			return
		}
		strict, ok := s.queryFlag(ctx, "strict")
		if !ok {
			return
		}
		in := intake{s: s, now: s.now(), history: len(ctx.Request.Header.Peek("Rapport-Clock")) > 0}
		if in.history && !s.allowHistory(ctx, by) {
			return
		}
		calls, err := s.opts.Decoder.ParseIngest(endpoint, ctx.Request.Body(), s.ingestOptions(&in, by))
		if err != nil {
			s.metrics.refused.Inc()
			s.problem(ctx, fasthttp.StatusBadRequest, err.Error())
			return
		}
		if in.history {
			s.history.mu.Lock() // from reading the clock until the ticks are written
			defer s.history.mu.Unlock()
			in.clock = s.history.position
		}
		for i := range calls {
			in.take(&calls[i])
		}
		s.finishIntake(ctx, &in, strict, endpoint != "batch")
	}
}

// ingestOptions say what the events of a request are read with: history by
// times as sent, a public key's with only proven identifiers believed.
func (s *Server) ingestOptions(in *intake, by scope) streams.IngestOptions {
	o := streams.IngestOptions{NewID: s.newID, Now: in.now.UnixMilli(), History: in.history, Operator: by >= scopeAdmin}
	if in.history {
		o.Now = farFuture
	}
	if !s.trusts(by) {
		o.Verify = s.signed
	}
	return o
}

// intake is one request's way to the log.
type intake struct {
	s       *Server
	now     time.Time
	history bool
	clock   historyPosition

	records []streams.Record
	events  int             // records that are events, not ticks
	refused []*streams.Call // with Err set
}

// take makes a record of a call, or refuses it.
func (in *intake) take(c *streams.Call) {
	if c.Err == nil && in.history {
		c.Err = checkHistory(c.At, in.now)
	}
	if c.Err != nil {
		in.refused = append(in.refused, c)
		return
	}
	rec := eventRecord(c.JSON, in.now)
	rec.Key = []byte(c.Key)
	if c.Trust != "" {
		rec.Headers = append(rec.Headers, streams.Header{Key: streams.HeaderTrust, Value: []byte(c.Trust)})
	}
	if in.history {
		in.records = in.clock.tick(in.records, &rec, c.At, in.s.engine.Partitions())
	}
	in.records = append(in.records, rec)
	in.events++
}

func eventRecord(value []byte, now time.Time) streams.Record {
	return streams.Record{Topic: "events", Partition: -1, Time: now.UnixMilli(), Value: value, LeaderEpoch: -1}
}

// finishIntake logs what was taken and answers.
func (s *Server) finishIntake(ctx *fasthttp.RequestCtx, in *intake, strict, single bool) {
	switch {
	case len(in.refused) > 0 && strict:
		s.refuseStrict(ctx, in.refused)
		return
	case len(in.refused) > 0 && single:
		s.refuseSingle(ctx, in.refused[0].Err)
		return
	}
	call, cancel := s.callContext()
	defer cancel()
	if len(in.records) > 0 {
		if err := s.engine.Ingest(call, in.records); err != nil {
			s.fail(ctx, err)
			return
		}
		s.metrics.logged.Add(float64(in.events))
	}
	if in.history {
		s.history.position = in.clock
	}
	if len(in.refused) > 0 {
		if err := s.engine.DeadLetter(call, letters(in.refused, in.now)); err != nil {
			s.fail(ctx, err)
			return
		}
		s.metrics.deadLettered.Add(float64(len(in.refused)))
	}
	s.success(ctx)
}

func (s *Server) success(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("application/json")
	ctx.SetBodyString(`{"success":true}`)
}

func letters(refused []*streams.Call, now time.Time) []streams.DeadLetter {
	list := make([]streams.DeadLetter, len(refused))
	for i, c := range refused {
		list[i] = streams.DeadLetter{
			Reason: reasonOf(c.Err), Detail: c.Err.Error(), At: now.UnixMilli(), Event: c.JSON[:min(len(c.JSON), maxEvent)],
		}
	}
	return list
}

func reasonOf(err error) string {
	var invalid *streams.InvalidError
	if errors.As(err, &invalid) && invalid.Reason != "" {
		return invalid.Reason
	}
	return streams.ReasonInvalid
}

func (s *Server) refuseSingle(ctx *fasthttp.RequestCtx, err error) {
	s.metrics.refused.Inc()
	status := fasthttp.StatusBadRequest
	switch {
	case errors.Is(err, streams.ErrOperatorOnly):
		status = fasthttp.StatusForbidden
	case reasonOf(err) == streams.ReasonTooLarge:
		status = fasthttp.StatusRequestEntityTooLarge
	}
	s.problem(ctx, status, err.Error())
}

// strictAnswer is a problem document that lists every refused event.
type strictAnswer struct {
	Type   string        `json:"type"`
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Detail string        `json:"detail"`
	Errors []strictError `json:"errors"`
}

type strictError struct {
	Index     int    `json:"index"`
	MessageID string `json:"messageId,omitempty"`
	Detail    string `json:"detail"`
}

func (s *Server) refuseStrict(ctx *fasthttp.RequestCtx, refused []*streams.Call) {
	s.metrics.refused.Add(float64(len(refused)))
	out := strictAnswer{
		Type: "about:blank", Title: "Bad Request", Status: fasthttp.StatusBadRequest,
		Detail: "nothing was logged: " + strconv.Itoa(len(refused)) + " of the events must be corrected",
	}
	for _, c := range refused {
		out.Errors = append(out.Errors, strictError{c.Index, c.MessageID, c.Err.Error()})
	}
	s.answer(ctx, out)
	ctx.SetStatusCode(fasthttp.StatusBadRequest)
	ctx.SetContentType("application/problem+json")
}
