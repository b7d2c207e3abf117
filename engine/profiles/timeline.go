package profiles

import (
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/rapport-engine/rapport/streams"
)

const maxTimeline = 20

// Event is an event as the timeline keeps it.
type Event struct {
	MessageID string
	Type      string // track, identify, page, screen, alias, group
	Name      string
	Channel   string
	At        int64 // Unix ms
	Items     []string
	Value     float64 // of the order or the product, 0 when unknown
}

// wellKnown are event names that are stored as their place here, from 1. Names
// are only ever added at the end.
var wellKnown = []string{
	"identify", "page", "screen", "alias", "group",
	"Product Viewed", "Product Added", "Product Removed", "Cart Viewed", "Cart Updated",
	"Checkout Started", "Order Completed", "Order Updated", "Order Shipped", "Order Delivered",
	"Order Cancelled", "Order Refunded", "Products Searched", "Product List Viewed",
	"Product List Filtered", "Product Clicked", "Promotion Viewed", "Promotion Clicked",
	"Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart",
	"Product Added to Waiting List", "Product Removed from Waiting List", "Checkout Step Viewed",
	"Checkout Step Completed", "Payment Info Entered", "Coupon Entered", "Coupon Applied",
	"Coupon Denied", "Coupon Removed", "Product Shared", "Cart Shared", "Product Reviewed",
	"Customer Seen", "Subscribed", "Unsubscribed",
}

var codes = func() map[string]uint32 {
	m := make(map[string]uint32, len(wellKnown))
	for i, name := range wellKnown {
		m[name] = uint32(i + 1)
	}
	return m
}()

// wellKnownChannels likewise, at most 15.
var wellKnownChannels = []string{
	"web", "app", "pos", "call_center", "email", "sms", "messenger", "kiosk", "social", "other", "push",
}

var kinds = [...]string{
	streams.Track: "track", streams.Identify: "identify", streams.Page: "page",
	streams.Screen: "screen", streams.Alias: "alias", streams.Group: "group",
}

// History decodes the timeline: the latest 20 events, newest first by At, then
// the last that arrived first.
func (p *Profile) History() []Event {
	list := p.moments()
	events := make([]Event, len(list))
	for i := range list {
		events[i] = list[i].event()
		events[i].own()
	}
	return events
}

// own lets go of the profile's memory.
func (e *Event) own() {
	e.MessageID, e.Name, e.Channel = strings.Clone(e.MessageID), strings.Clone(e.Name), strings.Clone(e.Channel)
	for i, id := range e.Items {
		e.Items[i] = strings.Clone(id)
	}
}

func (p *Profile) setHistory(events []Event) {
	list := make([]moment, len(events))
	for i := range events {
		list[i].fromEvent(&events[i])
	}
	p.setMoments(list)
}

// remember puts e into the timeline. The usual event, the newest, is put beside
// the others without decoding them.
func (p *Profile) remember(e *streams.Event) {
	if len(p.Timeline) > 0 && e.At < p.TimelineAt {
		p.insert(e)
		return
	}
	var m moment
	var items [maxItems]string
	m.items = appendItemIDs(items[:0], e)
	m.fill(e)
	p.Timeline = appendMoment(p.room(len(p.Timeline)+m.size()), p.Timeline, &m, p.TimelineAt)
	p.TimelineAt = e.At
}

// insert puts a late event where it belongs.
func (p *Profile) insert(e *streams.Event) {
	list := p.moments()
	i := 0
	for i < len(list) && list[i].at > e.At {
		i++
	}
	if i >= maxTimeline {
		return
	}
	m := moment{items: appendItemIDs(nil, e)}
	m.fill(e)
	list = slices.Insert(list, i, m)
	p.setMoments(list[:min(len(list), maxTimeline)])
}

// setMoments makes a list, newest first, the timeline.
func (p *Profile) setMoments(list []moment) {
	p.Timeline, p.TimelineAt = packMoments(list), 0
	if len(list) > 0 {
		p.TimelineAt = list[0].at
	}
}

// fill makes a moment that of e, but for the items.
func (m *moment) fill(e *streams.Event) {
	m.text, m.uuid, m.hasUUID = splitUUID(cut(e.MessageID, maxText))
	m.name, m.channel, m.at = cut(e.Name, maxText), cut(e.Channel, maxText), e.At
	if e.Kind != streams.Track {
		m.kind = uint8(e.Kind) //nolint:gosec // one of six
	}
	if v := eventValue(e) * 1e4; math.Abs(v) < 1<<62 {
		m.value = int64(math.Round(v))
	}
}

func (m *moment) event() Event {
	e := Event{
		MessageID: m.text, Type: kinds[streams.Track], Name: m.name, Channel: m.channel, At: m.at,
		Items: m.items, Value: float64(m.value) / 1e4,
	}
	if m.hasUUID {
		e.MessageID += formatUUID(m.uuid)
	}
	if k := int(m.kind); k > 0 && k < len(kinds) {
		e.Type = kinds[k]
	}
	return e
}

func (m *moment) fromEvent(e *Event) {
	*m = moment{name: e.Name, channel: e.Channel, at: e.At, items: e.Items, value: int64(math.Round(e.Value * 1e4))}
	m.text, m.uuid, m.hasUUID = splitUUID(e.MessageID)
	if k := slices.Index(kinds[:], e.Type); k > 0 && e.Type != kinds[streams.Track] {
		m.kind = uint8(k) //nolint:gosec // one of six
	}
}

// maxItems bounds the products that a timeline entry names.
const maxItems = 20

func appendItemIDs(ids []string, e *streams.Event) []string {
	lines := eventLines(e)
	for i := range lines {
		if len(ids) < maxItems && lines[i].ID != "" {
			ids = append(ids, lines[i].ID)
		}
	}
	return ids
}

// eventLines are the products that e is about: properties.products, else the
// one that properties name.
func eventLines(e *streams.Event) []streams.Line {
	if len(e.Products) == 0 && e.Product.ID != "" {
		return unsafe.Slice(&e.Product, 1) // a slice of one without a copy
	}
	return e.Products
}

func eventValue(e *streams.Event) float64 {
	if e.HasTotal {
		return e.Total
	}
	return sum(eventLines(e))
}

// sum returns what lines cost.
func sum(lines []streams.Line) float64 {
	total := 0.0
	for i := range lines {
		total += lines[i].Price * float64(lines[i].Quantity)
	}
	return total
}
