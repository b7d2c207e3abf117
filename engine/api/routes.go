package api

import (
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

// route is one line of the API.
type route struct {
	method, path string
	scope        scope // the least that a key must have; scopeNone asks for none
	cors         bool  // browsers call it from other origins
	bodyKey      bool  // a key may come as writeKey in the body
	noStore      bool  // the answer is about a customer
	maxBody      int   // bytes after decompression, 0 without a body
	handle       func(*fasthttp.RequestCtx, scope)

	index int // in the table
}

// table lists every route; openapi.json describes the same ones.
func (s *Server) table() []route {
	t := []route{
		{method: "GET", path: "/v1/projects/{writeKey}/settings", cors: true, handle: s.settings},
		{method: "GET", path: "/v1/recommend", scope: scopeWrite, cors: true, noStore: true, handle: s.recommendGet},
		{method: "POST", path: "/v1/recommend", scope: scopeWrite, cors: true, bodyKey: true, noStore: true, maxBody: maxQuery, handle: s.recommendPost},

		{method: "POST", path: "/v1/rank", scope: scopeWrite, cors: true, bodyKey: true, noStore: true, maxBody: maxQuery, handle: s.rankPost},

		{method: "GET", path: "/v1/profiles/{id}", scope: scopeRead, noStore: true, handle: s.profile},
		{method: "GET", path: "/v1/profiles/{id}/events", scope: scopeRead, noStore: true, handle: s.timeline},
		{method: "GET", path: "/v1/profiles/{id}/decisions", scope: scopeRead, noStore: true, handle: s.decisions},
		{method: "POST", path: "/v1/consents", scope: scopeRead, noStore: true, maxBody: maxQuery, handle: s.consents},
		{method: "GET", path: "/v1/messages", scope: scopeRead, noStore: true, handle: s.messages},
		{method: "GET", path: "/v1/deadletters", scope: scopeAdmin, noStore: true, handle: s.deadLetters},

		{method: "GET", path: "/v1/items", scope: scopeRead, handle: s.listItems},
		{method: "PUT", path: "/v1/items", scope: scopeRead, maxBody: maxItems, handle: s.putItems},
		{method: "PATCH", path: "/v1/items", scope: scopeRead, maxBody: maxItems, handle: s.patchItems},
		{method: "GET", path: "/v1/items/{id}", scope: scopeRead, handle: s.getItem},
		{method: "DELETE", path: "/v1/items/{id}", scope: scopeRead, handle: s.deleteItem},

		{method: "GET", path: "/v1/triggers", scope: scopeAdmin, handle: s.triggers},
		{method: "POST", path: "/v1/triggers/validate", scope: scopeAdmin, maxBody: maxRules, handle: s.validateTriggers},
		{method: "GET", path: "/v1/triggers/{name}/stats", scope: scopeAdmin, handle: s.triggerStats},
		{method: "GET", path: "/v1/placements", scope: scopeAdmin, handle: s.placements},
		{method: "GET", path: "/v1/segments", scope: scopeAdmin, handle: s.segments},
		{method: "GET", path: streams.UnsubscribePath, noStore: true, handle: s.unsubscribeAsk},
		{method: "POST", path: streams.UnsubscribePath, noStore: true, maxBody: maxQuery, handle: s.unsubscribe},
		{method: "GET", path: "/healthz", handle: s.healthz},
		{method: "GET", path: "/readyz", handle: s.readyz},
		{method: "GET", path: "/openapi.json", handle: s.openapiJSON},
	}
	for _, c := range calls {
		for _, name := range []string{c.name, c.short} {
			t = append(t, route{method: "POST", path: "/v1/" + name, scope: scopeWrite, cors: true, bodyKey: true, maxBody: maxBatch, handle: s.ingest(c.name)})
		}
	}
	for i := range t {
		t[i].index = i
	}
	return t
}

// calls are those of Segment's tracking API, with the short names of its
// browser library.
var calls = []struct{ name, short string }{
	{"identify", "i"}, {"track", "t"}, {"page", "p"}, {"screen", "s"}, {"alias", "a"}, {"group", "g"}, {"batch", "b"},
}
