package rules

import (
	"strings"

	"cel.dev/cel-go/common/ast"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// facts are parts of a profile: what a condition reads, or what an event may
// have changed. A segment is evaluated only when they meet.
type facts uint16

const (
	readCart facts = 1 << iota
	readOrders
	readViewed
	readLists // wishlist, waiting
	readTraits
	readConsents
	readActivity // events, times, channels, session, locale
	readAffinity
	readMessages
	readCounts
	readIdentity
	readSegments
	readAll = facts(1<<12 - 1)
)

// factsOf has what each field of profile belongs to.
var factsOf = map[string]facts{
	"id": readIdentity, "known": readIdentity, "identifiers": readIdentity,
	"locale": readActivity, "timezone": readActivity, "events": readActivity, "first_at": readActivity, "last_at": readActivity,
	"channels": readActivity, "cart": readCart, "orders": readOrders, "viewed": readViewed, "wishlist": readLists,
	"waiting": readLists, "affinities": readAffinity, "traits": readTraits, "consents": readConsents,
	"messages": readMessages, "segments": readSegments,
	"count": readCounts, "last": readCounts, "bought": readOrders,
	"reachable": readIdentity | readTraits | readConsents | readMessages | readActivity,
}

// readBy finds what a condition reads.
func readBy(a *ast.AST) facts {
	var reads facts
	whole, parts := 0, 0 // how often profile is named, and as the root of a field
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		field, target := "", ast.Expr(nil)
		switch e.Kind() {
		case ast.IdentKind:
			switch e.AsIdent() {
			case "profile":
				whole++
			case "session":
				reads |= readActivity
			}
		case ast.SelectKind:
			field, target = e.AsSelect().FieldName(), e.AsSelect().Operand()
		case ast.CallKind:
			if call := e.AsCall(); call.IsMemberFunction() {
				field, target = call.FunctionName(), call.Target()
			}
		}
		if target != nil && target.Kind() == ast.IdentKind && target.AsIdent() == "profile" {
			if f, ok := factsOf[field]; ok {
				parts++
				reads |= f
			}
		}
	}))
	if whole != parts {
		return readAll
	}
	return reads
}

// changedBy is what an event may have changed.
func changedBy(p *profiles.Profile, e *streams.Event) facts {
	if !e.Behaviour() {
		return readMessages
	}
	if p.Events <= 1 {
		return readAll // a new customer may be in any segment, those of what was never done too
	}
	changed := readActivity | readCounts
	if len(e.Identifiers) > 1 {
		changed |= readIdentity
	}
	if e.Kind == streams.Identify {
		changed |= readTraits | readConsents
	}
	if e.Name == "Subscribed" || e.Name == "Unsubscribed" {
		changed |= readConsents
	}
	if e.Product.ID != "" || e.Products != nil {
		changed |= readCart | readViewed | readLists | readAffinity
	}
	if e.OrderID != "" || strings.HasPrefix(e.Name, "Order ") {
		changed |= readOrders | readCart
	}
	return changed
}
