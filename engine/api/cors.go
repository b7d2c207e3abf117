package api

import (
	"slices"

	"github.com/valyala/fasthttp"
)

const exposedHeaders = "X-Request-ID, Retry-After"

// allowOrigin lets pages of the configured origins read the answer.
func (s *Server) allowOrigin(ctx *fasthttp.RequestCtx) bool {
	origin := ctx.Request.Header.Peek(fasthttp.HeaderOrigin)
	if len(origin) == 0 {
		return false
	}
	h := &ctx.Response.Header
	switch {
	case slices.Contains(s.opts.CORSOrigins, "*"):
		h.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
	case slices.Contains(s.opts.CORSOrigins, string(origin)):
		h.SetBytesV(fasthttp.HeaderAccessControlAllowOrigin, origin)
		h.Set(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	default:
		h.Set(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
		return false
	}
	h.Set(fasthttp.HeaderAccessControlExposeHeaders, exposedHeaders)
	return true
}

// preflight answers OPTIONS of a path: what it takes, and to a browser on
// another page's behalf, where it may call it. Libraries send headers of their
// own (X-Retry-Count, AnonymousId), so whatever is asked for is allowed.
func (s *Server) preflight(cors bool, methods string) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		s.requestID(ctx)
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		h := &ctx.Response.Header
		h.Set(fasthttp.HeaderAllow, methods)
		if !cors || !s.allowOrigin(ctx) {
			return
		}
		h.Set(fasthttp.HeaderAccessControlAllowMethods, "GET, POST, OPTIONS")
		headers := ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestHeaders)
		if len(headers) > 0 && len(headers) <= 1024 && headerList(headers) {
			h.SetBytesV(fasthttp.HeaderAccessControlAllowHeaders, headers)
		} else {
			h.Set(fasthttp.HeaderAccessControlAllowHeaders, "Authorization, Content-Type, Content-Encoding, X-Request-ID, X-Retry-Count")
		}
		h.Set(fasthttp.HeaderAccessControlMaxAge, "7200")
	}
}

// headerList reports whether b can be a list of header names.
func headerList(b []byte) bool {
	for _, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == ',', c == ' ':
		default:
			return false
		}
	}
	return true
}
