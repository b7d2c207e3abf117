package api

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// profileFields are the members that ?fields= may name.
var profileFields = []string{
	"identifiers", "claimed", "known", "traits", "locale", "timezone", "consents", "suppressed", "channels", "cart",
	"viewed", "wishlist", "waiting", "orders", "affinities", "segments", "runs", "messages", "events", "first_at", "last_at",
}

// callContext bounds what a request waits for the engine. It does not end with
// the connection: what was begun is finished before a shutdown.
func (s *Server) callContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.opts.CallTimeout)
}

// identifier normalises "type:value"; ok is false when the request has been
// answered.
func (s *Server) identifier(ctx *fasthttp.RequestCtx, text string) (id streams.Identifier, ok bool) {
	id, err := s.opts.Decoder.ParseIdentifier(text)
	if err != nil {
		s.problem(ctx, fasthttp.StatusBadRequest, err.Error())
		return id, false
	}
	return id, true
}

// find answers where there is no such profile; then it returns nil.
func (s *Server) find(ctx *fasthttp.RequestCtx) *profiles.Profile {
	id, ok := s.identifier(ctx, pathValue(ctx, "id"))
	if !ok {
		return nil
	}
	call, cancel := s.callContext()
	defer cancel()
	p, age, err := s.engine.ReadProfile(call, id)
	switch {
	case errors.Is(err, ErrNotFound):
		s.problem(ctx, fasthttp.StatusNotFound, "no customer is known as "+id.String())
		return nil
	case err != nil:
		s.fail(ctx, err)
		return nil
	}
	tellAge(ctx, age)
	return p
}

// ageHeader is how many seconds old a customer's profile is that was read while
// its store was away.
const ageHeader = "X-Rapport-Age"

func tellAge(ctx *fasthttp.RequestCtx, age time.Duration) {
	if age > 0 {
		seconds := int64((age + time.Second - 1) / time.Second)
		ctx.Response.Header.Set(ageHeader, strconv.FormatInt(seconds, 10))
	}
}

func (s *Server) profile(ctx *fasthttp.RequestCtx, _ scope) {
	withItems, ok := s.queryFlag(ctx, "items")
	if !ok {
		return
	}
	only, ok := s.queryFields(ctx)
	if !ok {
		return
	}
	p := s.find(ctx)
	if p == nil {
		return
	}
	var items itemNames
	if withItems {
		items = s.engine.Item
	}
	view := viewOf(p, s.engine.Now(), s.opts.CartTTL, items)
	if only == nil {
		s.answer(ctx, view)
		return
	}
	s.answerFields(ctx, view, only)
}

// queryFields reads ?fields=, nil without it.
func (s *Server) queryFields(ctx *fasthttp.RequestCtx) (only []string, ok bool) {
	v := string(ctx.QueryArgs().Peek("fields"))
	if v == "" {
		return nil, true
	}
	only = strings.Split(v, ",")
	for _, name := range only {
		if name != "id" && !slices.Contains(profileFields, name) {
			s.problem(ctx, fasthttp.StatusBadRequest, "fields: no such field "+quote(name)+": known are id, "+strings.Join(profileFields, ", "))
			return nil, false
		}
	}
	return only, true
}

// answerFields answers the id and the named members of a view.
func (s *Server) answerFields(ctx *fasthttp.RequestCtx, view *profileView, only []string) {
	b, err := json.MarshalWithOption(view, json.DisableHTMLEscape())
	if err != nil {
		s.fail(ctx, err)
		return
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		s.fail(ctx, err)
		return
	}
	for name := range all {
		if name != "id" && !slices.Contains(only, name) {
			delete(all, name)
		}
	}
	s.answer(ctx, all)
}

// quote shortens and quotes what a client sent, for an error.
func quote(s string) string {
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:64], "") + "..."
	}
	return string(appendString(nil, s))
}

// entryView is one event of a timeline.
type entryView struct {
	MessageID string   `json:"messageId"`
	Type      string   `json:"type"`
	Event     string   `json:"event"`
	Channel   string   `json:"channel"`
	At        string   `json:"at"`
	Items     []string `json:"items"`
	Value     float64  `json:"value"`
}

type timelineAnswer struct {
	Events []entryView `json:"events"`
	Next   string      `json:"next,omitempty"`
}

// timeline lists a customer's latest events, newest first. before is `next` of
// the page before, a messageId, or a time.
func (s *Server) timeline(ctx *fasthttp.RequestCtx, _ scope) {
	limit, ok := s.queryLimit(ctx, 20, 100)
	if !ok {
		return
	}
	p := s.find(ctx)
	if p == nil {
		return
	}
	list := entriesBefore(p.History(), string(ctx.QueryArgs().Peek("before")))
	out := timelineAnswer{Events: []entryView{}}
	for i, e := range list {
		if i == limit {
			out.Next = list[i-1].MessageID
			break
		}
		out.Events = append(out.Events, entryView{
			MessageID: e.MessageID, Type: e.Type, Event: e.Name, Channel: e.Channel,
			At: stamp(e.At), Items: orEmpty(e.Items), Value: e.Value,
		})
	}
	s.answer(ctx, out)
}

// entriesBefore are the entries after the one named in a list that is newest
// first; none where it is no longer kept.
func entriesBefore(list []profiles.Event, before string) []profiles.Event {
	if before == "" {
		return list
	}
	for i, e := range list {
		if e.MessageID == before {
			return list[i+1:]
		}
	}
	if t, err := time.Parse(time.RFC3339, before); err == nil {
		older := []profiles.Event{}
		for _, e := range list {
			if e.At < t.UnixMilli() {
				older = append(older, e)
			}
		}
		return older
	}
	return nil
}
