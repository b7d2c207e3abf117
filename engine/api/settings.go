package api

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// settingsAnswer is what Segment's browser library asks for at its start.
type settingsAnswer struct {
	Integrations       map[string]any   `json:"integrations"`
	Plan               map[string]any   `json:"plan"`
	EdgeFunction       map[string]any   `json:"edgeFunction"`
	AnalyticsNext      bool             `json:"analyticsNextEnabled"`
	MiddlewareSettings map[string]any   `json:"middlewareSettings"`
	EnabledMiddleware  map[string]any   `json:"enabledMiddleware"`
	Metrics            map[string]any   `json:"metrics"`
	LegacyVideoPlugins bool             `json:"legacyVideoPluginsEnabled"`
	RemotePlugins      []map[string]any `json:"remotePlugins"`
}

// settings points the browser library at this server: it sends to
// <protocol>://<apiHost>/t and so on, and nothing to anybody else.
func (s *Server) settings(ctx *fasthttp.RequestCtx, _ scope) {
	key := pathValue(ctx, "writeKey")
	if s.keys.scopeOf([]byte(key)) == scopeNone {
		s.problem(ctx, fasthttp.StatusUnauthorized, "unknown key: the path names one of the configured write keys")
		return
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store") // it names the host as the client sees it
	s.answer(ctx, settingsAnswer{
		Integrations: map[string]any{"Segment.io": map[string]any{
			"apiKey": key, "apiHost": string(ctx.Host()) + "/v1", "protocol": protocol(ctx),
			"unbundledIntegrations": []string{}, "addBundledMetadata": false,
			"versionSettings": map[string]any{"version": "4.4.7", "componentTypes": []string{"browser"}},
		}},
		Plan: map[string]any{
			"track":    map[string]any{"__default": map[string]any{"enabled": true, "integrations": map[string]any{}}},
			"identify": map[string]any{"__default": map[string]any{"enabled": true}},
			"group":    map[string]any{"__default": map[string]any{"enabled": true}},
		},
		EdgeFunction: map[string]any{}, AnalyticsNext: true,
		MiddlewareSettings: map[string]any{}, EnabledMiddleware: map[string]any{},
		Metrics:       map[string]any{"sampleRate": 0}, // the library's own telemetry: none
		RemotePlugins: []map[string]any{},
	})
}

// protocol is "https" where the client, or the proxy before us, speaks TLS.
func protocol(ctx *fasthttp.RequestCtx) string {
	if ctx.IsTLS() || bytes.EqualFold(ctx.Request.Header.Peek(fasthttp.HeaderXForwardedProto), []byte("https")) {
		return "https"
	}
	return "http"
}
