package api

import (
	"context"
	"errors"
	"strconv"

	"github.com/goccy/go-json"
	"github.com/valyala/fasthttp"
)

// problem answers with an RFC 9457 document; detail says what to change.
func (s *Server) problem(ctx *fasthttp.RequestCtx, status int, detail string) {
	ctx.Response.ResetBody()
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/problem+json")
	b := append([]byte(nil), `{"type":"about:blank","title":`...)
	b = appendString(b, fasthttp.StatusMessage(status))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"detail":`...)
	b = appendString(b, detail)
	b = append(b, '}')
	ctx.SetBody(b)
}

// retryLater answers 429 or 503 with the seconds after which to try again.
func (s *Server) retryLater(ctx *fasthttp.RequestCtx, status, seconds int, detail string) {
	s.problem(ctx, status, detail)
	ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(seconds))
}

// fail answers for an error of the engine.
func (s *Server) fail(ctx *fasthttp.RequestCtx, err error) {
	var invalid *InvalidError
	switch {
	case errors.Is(err, ErrNotFound):
		s.problem(ctx, fasthttp.StatusNotFound, "nothing is known under this id")
	case errors.As(err, &invalid):
		s.problem(ctx, fasthttp.StatusBadRequest, invalid.Detail)
	case errors.Is(err, ErrOverloaded):
		s.retryLater(ctx, fasthttp.StatusTooManyRequests, 1, "too much at once: send again after the seconds in Retry-After")
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		s.log.Warn("unavailable", "path", string(ctx.Path()), "err", err)
		s.retryLater(ctx, fasthttp.StatusServiceUnavailable, 1, "not available right now: nothing was stored, send again after the seconds in Retry-After")
	default:
		s.log.Error("request failed", "path", string(ctx.Path()), "err", err)
		s.problem(ctx, fasthttp.StatusInternalServerError, "an error of the server, told in its log under this X-Request-ID")
	}
}

// answer writes v as JSON with status 200.
func (s *Server) answer(ctx *fasthttp.RequestCtx, v any) {
	b, err := json.MarshalWithOption(v, json.DisableHTMLEscape())
	if err != nil {
		s.fail(ctx, err)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(b)
}
