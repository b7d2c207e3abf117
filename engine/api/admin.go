package api

import (
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"github.com/valyala/fasthttp/pprofhandler"
)

// adminHandler serves the admin listener: /metrics, pprof, health. It asks for
// no key: the address is for operators only.
func (s *Server) adminHandler() fasthttp.RequestHandler {
	var metrics fasthttp.RequestHandler
	if s.opts.Gatherer != nil {
		metrics = fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(s.opts.Gatherer, promhttp.HandlerOpts{}))
	}
	index := fasthttpadaptor.NewFastHTTPHandlerFunc(pprof.Index)
	return func(ctx *fasthttp.RequestCtx) {
		s.requestID(ctx)
		path := string(ctx.Path())
		switch {
		case path == "/metrics" && metrics != nil:
			metrics(ctx)
		case path == "/healthz":
			s.healthz(ctx, scopeNone)
		case path == "/readyz":
			s.readyz(ctx, scopeNone)
		case path == pprofPrefix: // pprofhandler has it without the slash only, where its links lead nowhere
			index(ctx)
		case strings.HasPrefix(path, pprofPrefix):
			pprofhandler.PprofHandler(ctx)
		default:
			s.problem(ctx, fasthttp.StatusNotFound, "here are /metrics, /debug/pprof/, /healthz and /readyz")
		}
	}
}

const pprofPrefix = "/debug/pprof/"
