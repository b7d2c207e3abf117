package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/router"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

// Server answers the API on one listener and metrics and profiles of the
// process on another.
type Server struct {
	engine  Engine
	opts    Options
	keys    keyring
	secret  []byte
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	filters *filterCache
	history historyClock
	// itemChanges is held while items are changed: a patch reads what it writes.
	itemChanges sync.Mutex
	routes      []route
	openapi     []byte

	api, admin *fasthttp.Server

	mu             sync.Mutex // guards what Listen sets
	apiLn, adminLn net.Listener
}

// New checks the options and wires the routes; it neither listens nor starts
// anything. Without keys it refuses an address that is not loopback.
func New(e Engine, o Options) (*Server, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("cannot set up the HTTP API: %w", err)
	}
	s := &Server{
		engine: e, opts: o, keys: newKeyring(o.Keys), secret: []byte(o.IdentitySecret),
		log: o.Logger, now: o.Now, filters: newFilterCache(),
	}
	s.routes = s.table()
	s.metrics = newMetrics(o.Registerer, s.routes)
	s.openapi = openapiDocument
	s.api = s.fasthttp(s.router().Handler)
	s.api.MaxRequestBodySize = maxPlainBody
	s.api.HeaderReceived = bodyLimit
	s.admin = s.fasthttp(s.adminHandler())
	s.admin.WriteTimeout = 3 * time.Minute // a CPU profile takes as long as it is asked for
	return s, nil
}

func (s *Server) fasthttp(h fasthttp.RequestHandler) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:                      h,
		ErrorHandler:                 s.malformed,
		Logger:                       quietLogger{s.log},
		ReadTimeout:                  s.opts.ReadTimeout,
		WriteTimeout:                 s.opts.WriteTimeout,
		IdleTimeout:                  s.opts.IdleTimeout,
		Concurrency:                  s.opts.Concurrency,
		ReadBufferSize:               16 << 10, // a recommend query may carry a 2 KB filter and 100 ids, escaped
		NoDefaultServerHeader:        true,
		DisablePreParseMultipartForm: true,
		CloseOnShutdown:              true,
	}
}

func (s *Server) router() *router.Router {
	r := router.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	r.HandleOPTIONS = false
	methods := map[string][]string{}
	for i := range s.routes {
		rt := &s.routes[i]
		r.Handle(rt.method, rt.path, s.serve(rt))
		methods[rt.path] = append(methods[rt.path], rt.method)
		if rt.method == fasthttp.MethodGet { // the server leaves out the body
			r.HEAD(rt.path, s.serve(rt))
			methods[rt.path] = append(methods[rt.path], fasthttp.MethodHead)
		}
	}
	for i := range s.routes {
		rt := &s.routes[i]
		if list := methods[rt.path]; list != nil {
			delete(methods, rt.path)
			r.OPTIONS(rt.path, s.preflight(rt.cors, strings.Join(append(list, fasthttp.MethodOptions), ", ")))
		}
	}
	other := &route{method: "", path: "other", index: len(s.routes)}
	other.handle = func(ctx *fasthttp.RequestCtx, _ scope) {
		s.problem(ctx, fasthttp.StatusNotFound, "no such path: /openapi.json lists them all")
	}
	r.NotFound = s.serve(other)
	not := *other
	not.handle = func(ctx *fasthttp.RequestCtx, _ scope) {
		allow := string(ctx.Response.Header.Peek(fasthttp.HeaderAllow))
		s.problem(ctx, fasthttp.StatusMethodNotAllowed, "this path takes "+allow)
	}
	r.MethodNotAllowed = s.serve(&not)
	return r
}

// serve is what every request passes: id, keys, CORS, the handler, metrics.
func (s *Server) serve(r *route) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		start := time.Now()
		s.requestID(ctx)
		if r.cors {
			s.allowOrigin(ctx)
		}
		if r.noStore {
			ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
		}
		defer s.finish(ctx, r, start)
		by := scopeNone
		if r.scope != scopeNone {
			var ok bool
			if by, ok = s.authorize(ctx, r); !ok {
				return
			}
		}
		r.handle(ctx, by)
	}
}

// finish turns a panic of a handler, a bug, into a 500 and counts the request.
func (s *Server) finish(ctx *fasthttp.RequestCtx, r *route, start time.Time) {
	if p := recover(); p != nil {
		s.log.Error("BUG: a handler panicked", "path", string(ctx.Path()), "panic", p, "stack", string(debug.Stack()))
		s.problem(ctx, fasthttp.StatusInternalServerError, "an error of the server, told in its log under this X-Request-ID")
	}
	s.metrics.observe(r.index, ctx.Response.StatusCode(), time.Since(start))
}

// requestID sets X-Request-ID: the client's own where it is reasonable.
func (s *Server) requestID(ctx *fasthttp.RequestCtx) {
	if own := ctx.Request.Header.Peek("X-Request-ID"); len(own) > 0 && len(own) <= 128 && visible(own) {
		ctx.Response.Header.SetBytesV("X-Request-ID", own)
		return
	}
	var buf [26]byte
	ctx.Response.Header.SetBytesV("X-Request-ID", appendID(buf[:0], s.now()))
}

func visible(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// malformed answers requests that fasthttp could not read.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	s.requestID(ctx)
	var small *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		s.problem(ctx, fasthttp.StatusRequestEntityTooLarge, "the body is too large for this path")
	case errors.As(err, &small):
		s.problem(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge, "request line and headers must be under 16 KB")
	case errors.As(err, &timeout) && timeout.Timeout():
		s.problem(ctx, fasthttp.StatusRequestTimeout, "the request took too long to arrive")
	default:
		s.problem(ctx, fasthttp.StatusBadRequest, "not an HTTP request: "+err.Error())
	}
	s.metrics.observe(len(s.routes), ctx.Response.StatusCode(), 0)
}

// Listen opens the listeners, so that Addr is known before Run.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apiLn != nil {
		return nil
	}
	ln, err := net.Listen("tcp", s.opts.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %q: %w", s.opts.Listen, err)
	}
	if s.opts.AdminListen != "" {
		admin, err := net.Listen("tcp", s.opts.AdminListen)
		if err != nil {
			return errors.Join(fmt.Errorf("cannot listen on admin %q: %w", s.opts.AdminListen, err), ln.Close())
		}
		s.adminLn = admin
	}
	s.apiLn = ln
	return nil
}

// Addr is the "host:port" of the API once Listen has returned, else "".
func (s *Server) Addr() string { return s.addr(&s.apiLn) }

// AdminAddr is the "host:port" of metrics and pprof once Listen has returned;
// "" without them.
func (s *Server) AdminAddr() string { return s.addr(&s.adminLn) }

func (s *Server) addr(ln *net.Listener) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *ln == nil {
		return ""
	}
	return (*ln).Addr().String()
}

// Run serves until the context ends, then takes no new request, waits for
// those in flight (at most Options.ShutdownTimeout) and returns nil. The admin
// listener goes last, so that a shutdown can be watched.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.api.Serve(s.apiLn) })
	if s.adminLn != nil {
		g.Go(func() error { return s.admin.Serve(s.adminLn) })
	}
	g.Go(func() error {
		<-ctx.Done()
		s.stop(s.api, s.apiLn)
		if s.adminLn != nil {
			s.stop(s.admin, s.adminLn)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("cannot serve HTTP: %w", err)
	}
	return nil
}

// stop ends a server. The listener is closed here, too: Shutdown does nothing
// to a server whose Serve has not come as far as to know its listener.
func (s *Server) stop(srv *fasthttp.Server, ln net.Listener) {
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.ShutdownTimeout)
	defer cancel()
	if err := srv.ShutdownWithContext(ctx); err != nil {
		s.log.Warn("requests were still in flight at shutdown", "err", err)
	}
	if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Warn("cannot close a listener", "err", err)
	}
}

// quietLogger passes fasthttp's complaints about connections on as debug.
type quietLogger struct{ log *slog.Logger }

func (q quietLogger) Printf(format string, args ...any) {
	q.log.Debug("http", "msg", fmt.Sprintf(format, args...))
}
