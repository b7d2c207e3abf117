package api

import (
	"bytes"
	"html/template"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

// unsubscribeProperties are those of the Unsubscribed that a click on a link becomes.
type unsubscribeProperties struct {
	Channel   string `json:"channel"`
	Reason    string `json:"reason"`
	MessageID string `json:"message_id,omitempty"`
}

// unsubscribePage asks a person, and tells that it is done. Programs that look
// into mails follow links, so the link alone changes nothing.
var unsubscribePage = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex"><title>Unsubscribe</title></head>
<body style="margin:15vh auto;max-width:400px;padding:16px;font-family:sans-serif;text-align:center">
{{if .Done}}<p>Done: no more messages by {{.Channel}}.</p>{{else}}<p>No more messages by {{.Channel}}?</p>
<form method="post"><button style="font-size:1em;padding:8px 24px">Unsubscribe</button></form>{{end}}
</body></html>
`))

// unsubscribeLink reads a link's parameters; ok is false when the request has
// been answered.
func (s *Server) unsubscribeLink(ctx *fasthttp.RequestCtx) (u streams.Unsubscribe, ok bool) {
	args := ctx.QueryArgs()
	u = streams.Unsubscribe{Profile: string(args.Peek("id")), Channel: string(args.Peek("channel")), Message: string(args.Peek("message_id"))}
	if !u.Signed(string(args.Peek("sig")), s.opts.Secret) {
		s.problem(ctx, fasthttp.StatusForbidden, "sig: this is no link that we sent; open the one in the message as it is")
		return u, false
	}
	return u, true
}

// unsubscribeAsk shows the page with the button.
func (s *Server) unsubscribeAsk(ctx *fasthttp.RequestCtx, _ scope) {
	if u, ok := s.unsubscribeLink(ctx); ok {
		s.unsubscribeAnswer(ctx, u.Channel, false)
	}
}

// unsubscribe is the button, or a mail program's one click (RFC 8058).
func (s *Server) unsubscribe(ctx *fasthttp.RequestCtx, _ scope) {
	u, ok := s.unsubscribeLink(ctx)
	if !ok {
		return
	}
	id, ok := s.identifier(ctx, u.Profile)
	if !ok {
		return
	}
	rec, err := s.unsubscribeRecord(id, &u)
	if err != nil {
		s.problem(ctx, fasthttp.StatusBadRequest, err.Error())
		return
	}
	s.log1(ctx, rec)
	if ctx.Response.StatusCode() == fasthttp.StatusOK && bytes.Contains(ctx.Request.Header.Peek(fasthttp.HeaderAccept), []byte("text/html")) {
		s.unsubscribeAnswer(ctx, u.Channel, true)
	}
}

func (s *Server) unsubscribeAnswer(ctx *fasthttp.RequestCtx, channel string, done bool) {
	var page bytes.Buffer
	err := unsubscribePage.Execute(&page, struct {
		Channel string
		Done    bool
	}{channel, done})
	if err != nil {
		s.fail(ctx, err)
		return
	}
	ctx.SetContentType("text/html; charset=utf-8")
	ctx.SetBody(page.Bytes())
}

func (s *Server) unsubscribeRecord(id streams.Identifier, u *streams.Unsubscribe) (streams.Record, error) {
	return s.ownRecord(id, &ownCall{
		Type: "track", Event: "Unsubscribed", Context: identifyContext{Channel: u.Channel},
		Properties: &unsubscribeProperties{Channel: u.Channel, Reason: "link", MessageID: u.Message},
	})
}
