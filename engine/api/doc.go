// Package api is Rapport's HTTP server: Segment's tracking API in;
// recommendations, profiles, messages, the catalogue and operations out.
//
// What it needs of the engine it declares itself (Engine); it keeps no state of
// a customer. Every route is one line of the table in routes.go, which the
// OpenAPI document is tested against.
package api
