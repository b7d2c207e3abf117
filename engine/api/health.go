package api

import "github.com/valyala/fasthttp"

func (s *Server) healthz(ctx *fasthttp.RequestCtx, _ scope) {
	ctx.SetContentType("application/json")
	ctx.SetBodyString(`{"status":"alive"}`)
}

// readyz is 200 once every partition of this process is assigned and restored.
func (s *Server) readyz(ctx *fasthttp.RequestCtx, _ scope) {
	ready, detail := s.engine.Ready()
	s.answer(ctx, readyAnswer{Ready: ready, Detail: detail})
	if !ready {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
	}
}

type readyAnswer struct {
	Ready  bool `json:"ready"`
	Detail any  `json:"detail,omitempty"`
}

func (s *Server) openapiJSON(ctx *fasthttp.RequestCtx, _ scope) {
	ctx.SetContentType("application/json")
	ctx.SetBody(s.openapi)
}
