package rules

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// scope is what a condition reads: the activation of CEL programs and the
// argument of conditions that run as closures. Nothing is built before a
// condition asks for it.
type scope struct {
	now     int64
	profile *profiles.Profile
	env     *Env
	policy  *policy // nil: that of a shop without one
	zones   *zones
	changed *change        // in starts by trait or item
	event   *streams.Event // `event`: what happened, or the run's last start event
	run     *profiles.Run  // nil in conditions of starts

	line itemView // the event's item, when itemOf is event
	// itemOf is the event that line was built for.
	itemOf *streams.Event

	decoded  *streams.Event // room for a run's event
	runEvent *streams.Event // that of runOf; nil: not decoded yet
	runOf    *profiles.Run

	objects  [7]object // handed out by ResolveName
	views    [3]eventView
	viewNext int
	traits   map[string]any
}

// itemView is an item as conditions see it: the catalogue's, over the line
// that an event said of it.
type itemView struct {
	item *streams.Item
	line *streams.Line
}

// change is what an item or a trait was, and is now.
type change struct {
	old, now any
	item     *streams.Item // that changed; nil in a change of a trait
}

// defaultZone is the zone of customers whose own is unknown.
func (s *scope) defaultZone() *time.Location {
	if s.env != nil && s.zones != nil {
		if loc := s.zones.get(s.env.Timezone); loc != nil {
			return loc
		}
	}
	return time.UTC
}

var (
	zeroChange  change
	zeroEvent   streams.Event
	zeroSession profiles.Session
	zeroOrder   profiles.Order
	zeroCart    profiles.Cart
	zeroOrders  profiles.Orders
)

// Parent is part of cel.Activation.
func (s *scope) Parent() cel.Activation { return nil }

// ResolveName is part of cel.Activation.
func (s *scope) ResolveName(name string) (any, bool) {
	switch name {
	case "now":
		return stamp(s.now), true
	case "profile":
		return s.object(0, profileType, s), true
	case "event":
		return s.object(1, eventType, s.view(s.ev())), true
	case "item":
		return s.object(2, itemType, s.item()), true
	case "run":
		return s.object(3, runType, s), true
	case "session":
		return s.object(4, sessionType, orZero(s.profile.Session, &zeroSession)), true
	case "order":
		return s.object(5, orderType, s.order()), true
	case "change":
		return s.object(6, changeType, orZero(s.changed, &zeroChange)), true
	case ctxName:
		return object{ctxType, s}, true
	}
	return nil, false
}

func (s *scope) object(i int, t *structType, v any) ref.Val {
	s.objects[i] = object{t, v}
	return &s.objects[i]
}

func orZero[T any](v, zero *T) *T {
	if v == nil {
		return zero
	}
	return v
}

// at sets what the next condition is about. A nil event is the run's last start
// event, decoded if it is asked for.
func (s *scope) at(event *streams.Event, run *profiles.Run) {
	s.event, s.run = event, run
}

// ev is `event`.
func (s *scope) ev() *streams.Event {
	switch {
	case s.event != nil:
	case s.run != nil:
		s.event = s.eventOf(s.run)
	default:
		s.event = &zeroEvent
	}
	return s.event
}

// item is the item of the event's product.
func (s *scope) item() *itemView {
	if s.changed != nil && s.changed.item != nil {
		return &itemView{item: s.changed.item, line: &zeroLine}
	}
	if s.run != nil && len(s.run.Matches) > 0 && len(s.run.Items) > 0 {
		return s.catalog(s.run.Items[0])
	}
	if e := s.ev(); s.itemOf != e {
		s.line = itemView{item: s.env.item(e.Product.ID), line: &e.Product}
		s.itemOf = e
	}
	return &s.line
}

// cart is the customer's cart without the lines that have left it by now.
func (s *scope) cart() *profiles.Cart {
	c := s.profile.Cart
	if c == nil {
		return &zeroCart
	}
	lines := s.profile.LiveCart(s.now, s.cartTTL())
	if len(lines) == len(c.Lines) {
		return c
	}
	return &profiles.Cart{Id: c.Id, Url: c.Url, UpdatedAt: c.UpdatedAt, Lines: lines}
}

// cartTTL is how long a line stays in the cart.
func (s *scope) cartTTL() time.Duration {
	if s.env != nil && s.env.CartTTL > 0 {
		return s.env.CartTTL
	}
	return 30 * 24 * time.Hour
}

// order is the order that the event names in the customer's history.
func (s *scope) order() *profiles.Order {
	if o := findOrder(s.profile, s.ev().OrderID); o != nil {
		return o
	}
	return &zeroOrder
}

func findOrder(p *profiles.Profile, id string) *profiles.Order {
	if id == "" || p.Orders == nil {
		return nil
	}
	for _, o := range p.Orders.Recent {
		if o.Id == id {
			return o
		}
	}
	return nil
}

// eventOf is the run's last start event, decoded once.
func (s *scope) eventOf(run *profiles.Run) *streams.Event {
	if s.runOf == run && s.runEvent != nil {
		return s.runEvent
	}
	if s.decoded == nil {
		s.decoded = &streams.Event{}
	}
	e := s.decoded
	if len(run.Event) == 0 || s.env == nil || s.env.Decode == nil || s.env.Decode(run, e) != nil {
		*e = streams.Event{}
	}
	e.At, e.LoggedAt = run.EventAt, run.EventLoggedAt
	s.setEventOf(run, e)
	s.itemOf, s.views = nil, [3]eventView{}
	return e
}

// setEventOf says that event is the run's last start event.
func (s *scope) setEventOf(run *profiles.Run, event *streams.Event) {
	s.runOf, s.runEvent = run, event
}

// eventView is an event with its JSON objects, each decoded at most once.
type eventView struct {
	*streams.Event
	maps [3]map[string]any
}

// object decodes the i-th JSON object of the event. Absent, or not an object:
// empty.
func (v *eventView) object(i int, b []byte) map[string]any {
	if v.maps[i] == nil {
		v.maps[i] = decodeObject(b)
	}
	return v.maps[i]
}

// view is the event's view, kept for the length of the turn.
func (s *scope) view(e *streams.Event) *eventView {
	for i := range s.views {
		if s.views[i].Event == e {
			return &s.views[i]
		}
	}
	s.viewNext = (s.viewNext + 1) % len(s.views)
	s.views[s.viewNext] = eventView{Event: e}
	return &s.views[s.viewNext]
}

// profileTraits are the customer's traits, decoded once a turn.
func (s *scope) profileTraits() map[string]any {
	if s.traits == nil {
		s.traits = decodeObject(s.profile.Traits)
	}
	return s.traits
}

// decodeObject decodes a JSON object; never nil.
func decodeObject(b []byte) map[string]any {
	m := map[string]any{}
	if len(b) > 0 && json.Unmarshal(b, &m) != nil || m == nil {
		m = map[string]any{}
	}
	return m
}

// item is the catalogue's item, nil when unknown.
func (e *Env) item(id string) *streams.Item {
	if e == nil || e.Catalog == nil || id == "" {
		return nil
	}
	return e.Catalog(id)
}

// stamp is Unix ms as a CEL timestamp.
func stamp(ms int64) types.Timestamp { return types.Timestamp{Time: time.UnixMilli(ms).UTC()} }
