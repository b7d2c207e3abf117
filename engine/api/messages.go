package api

import (
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

type messagesAnswer struct {
	Messages []streams.Message `json:"messages"`
	Next     string            `json:"next,omitempty"`
}

// messages lists messages, newest first. after is `next` of the page before.
func (s *Server) messages(ctx *fasthttp.RequestCtx, _ scope) {
	limit, ok := s.queryLimit(ctx, 100, 1000)
	if !ok {
		return
	}
	args := ctx.QueryArgs()
	q := MessageQuery{Trigger: string(args.Peek("trigger")), Limit: limit, After: string(args.Peek("after"))}
	if text := args.Peek("profile"); len(text) > 0 {
		id, ok := s.identifier(ctx, string(text))
		if !ok {
			return
		}
		q.Profile = s.canonical(id)
	}
	call, cancel := s.callContext()
	defer cancel()
	list, next := s.engine.Messages(call, q)
	if list == nil {
		list = []streams.Message{}
	}
	s.answer(ctx, messagesAnswer{list, next})
}

// canonical is the id of the profile that an identifier leads to, or the
// identifier itself where nothing is known.
func (s *Server) canonical(id streams.Identifier) string {
	call, cancel := s.callContext()
	defer cancel()
	if p, _, err := s.engine.ReadProfile(call, id); err == nil && p.Id != "" {
		return p.Id
	}
	return id.String()
}

type deadLettersAnswer struct {
	DeadLetters []streams.DeadLetter `json:"deadletters"`
}

// deadLetters lists the newest refused events.
func (s *Server) deadLetters(ctx *fasthttp.RequestCtx, _ scope) {
	limit, ok := s.queryLimit(ctx, 100, 1000)
	if !ok {
		return
	}
	list := s.engine.DeadLetters(limit, string(ctx.QueryArgs().Peek("reason")))
	if list == nil {
		list = []streams.DeadLetter{}
	}
	s.answer(ctx, deadLettersAnswer{list})
}
