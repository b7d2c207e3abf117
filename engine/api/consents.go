package api

import (
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

type consentsInput struct {
	ID       string          `json:"id"`
	Consents map[string]bool `json:"consents"`
	Source   string          `json:"source"`
}

// ownCall is a call that this server makes itself: an answer about consents, a click
// on a link to unsubscribe.
type ownCall struct {
	Type        string                 `json:"type"`
	Event       string                 `json:"event,omitempty"`
	MessageID   string                 `json:"messageId"`
	UserID      string                 `json:"userId,omitempty"`
	AnonymousID string                 `json:"anonymousId,omitempty"`
	Timestamp   string                 `json:"timestamp"`
	Properties  *unsubscribeProperties `json:"properties,omitempty"`
	Traits      *identifyTraits        `json:"traits,omitempty"`
	Context     identifyContext        `json:"context"`
}

type identifyTraits struct {
	Consents map[string]bool `json:"consents"`
}

type identifyContext struct {
	Channel     string       `json:"channel,omitempty"`
	ExternalIDs []externalID `json:"externalIds,omitempty"`
}

type externalID struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// consents writes a customer's answers as an identify call.
func (s *Server) consents(ctx *fasthttp.RequestCtx, _ scope) {
	var in consentsInput
	if !s.inflate(ctx, maxQuery) {
		return
	}
	if err := json.Unmarshal(ctx.Request.Body(), &in); err != nil {
		s.problem(ctx, fasthttp.StatusBadRequest,
			`the body must be like {"id":"user:42","consents":{"sms":false},"source":"call_center"}: `+jsonFault(err))
		return
	}
	id, ok := s.identifier(ctx, in.ID)
	if !ok {
		return
	}
	if len(in.Consents) == 0 {
		s.problem(ctx, fasthttp.StatusBadRequest, `consents: name at least one channel, like {"sms":false}`)
		return
	}
	for channel := range in.Consents {
		if channel == "" || len(channel) > 64 {
			s.problem(ctx, fasthttp.StatusBadRequest, "consents: a channel's name must have 1 to 64 bytes")
			return
		}
	}
	rec, err := s.consentRecord(id, &in)
	if err != nil {
		s.problem(ctx, fasthttp.StatusBadRequest, err.Error())
		return
	}
	s.log1(ctx, rec)
}

func (s *Server) consentRecord(id streams.Identifier, in *consentsInput) (streams.Record, error) {
	return s.ownRecord(id, &ownCall{Type: "identify", Traits: &identifyTraits{in.Consents}, Context: identifyContext{Channel: in.Source}})
}

// ownRecord makes the record of a call that this server makes itself, of a
// customer and as of now.
func (s *Server) ownRecord(id streams.Identifier, call *ownCall) (streams.Record, error) {
	now := s.now()
	call.MessageID, call.Timestamp = s.newID(), now.UTC().Format(time.RFC3339Nano)
	switch id.Type {
	case "user":
		call.UserID = id.Value
	case "anonymous":
		call.AnonymousID = id.Value
	default:
		call.Context.ExternalIDs = []externalID{{id.Type, id.Value}}
	}
	value, err := json.Marshal(call)
	if err != nil {
		return streams.Record{}, err
	}
	calls, err := s.opts.Decoder.ParseIngest(call.Type, value, streams.IngestOptions{Now: now.UnixMilli()})
	if err != nil {
		return streams.Record{}, err
	}
	rec := eventRecord(calls[0].JSON, now)
	rec.Key = []byte(calls[0].Key)
	return rec, calls[0].Err
}

// log1 appends one record and answers.
func (s *Server) log1(ctx *fasthttp.RequestCtx, rec streams.Record) {
	call, cancel := s.callContext()
	defer cancel()
	if err := s.engine.Ingest(call, []streams.Record{rec}); err != nil {
		s.fail(ctx, err)
		return
	}
	s.success(ctx)
}
