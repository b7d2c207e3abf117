package profiles

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

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
	entries := p.entries()
	events, at := make([]Event, len(entries)), p.TimelineAt
	for i, e := range entries {
		events[i] = e.event()
		events[i].At = at
		at -= e.Older
	}
	return events
}

func (e *Entry) event() Event {
	ev := Event{
		MessageID: e.MessageId + formatUUID(e.Uuid), Type: "track", Name: e.Event, Channel: e.Channel,
		Items: e.Items, Value: float64(e.Value) / 1e4,
	}
	if n := int(e.Code >> 4); n > 0 && n <= len(wellKnown) {
		ev.Name = wellKnown[n-1]
	}
	if n := int(e.Code & 15); n > 0 && n <= len(wellKnownChannels) {
		ev.Channel = wellKnownChannels[n-1]
	}
	if k := int(e.Kind); k > 0 && k < len(kinds) {
		ev.Type = kinds[k]
	}
	return ev
}

func (p *Profile) entries() []*Entry {
	var t Timeline
	if err := t.UnmarshalVTUnsafe(p.Timeline); err != nil {
		panic("BUG: a timeline was checked when it was decoded: " + err.Error())
	}
	return t.Entries
}

// checkTimeline reports whether b can be read as a Timeline.
func checkTimeline(b []byte) error {
	var e Entry
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || num != 1 || typ != protowire.BytesType {
			return fmt.Errorf("cannot read timeline: bad tag")
		}
		entry, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return fmt.Errorf("cannot read timeline: %w", protowire.ParseError(m))
		}
		e.Uuid = nil // it is part of b
		e.ResetVT()
		if err := e.UnmarshalVTUnsafe(entry); err != nil {
			return fmt.Errorf("cannot read timeline: %w", err)
		}
		b = b[n+m:]
	}
	return nil
}

// remember puts e into the timeline. The usual event, the newest, is put
// before the others without decoding them.
func (p *Profile) remember(e *streams.Event) {
	if len(p.Timeline) > 0 && e.At < p.TimelineAt {
		p.insertEntry(newEntry(e), e.At)
		return
	}
	var entry Entry
	var items [maxItems]string
	entry.Items = appendItemIDs(items[:0], e)
	entry.fill(e)
	if len(p.Timeline) > 0 {
		entry.Older = e.At - p.TimelineAt
	}
	p.TimelineAt = e.At
	n := entry.SizeVT()
	keep := firstEntries(p.Timeline, maxTimeline-1)
	b := make([]byte, 0, n+len(keep)+4)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(n))
	b = b[:len(b)+n]
	if _, err := entry.MarshalToSizedBufferVT(b[len(b)-n:]); err != nil {
		panic("BUG: cannot encode a timeline entry: " + err.Error())
	}
	b = append(b, keep...)
	p.Timeline = b
}

// insertEntry puts a late event where it belongs.
func (p *Profile) insertEntry(entry *Entry, at int64) {
	list := p.entries()
	i, newer := 0, p.TimelineAt // newer is the time of list[i]
	for i < len(list) && newer > at {
		newer -= list[i].Older
		i++
	}
	if i >= maxTimeline {
		return
	}
	before := list[i-1] // the newest entry is newer
	if before.Older = newer + before.Older - at; i < len(list) {
		entry.Older = at - newer
	}
	list = slices.Insert(list, i, entry)
	p.setTimeline(&Timeline{Entries: list[:min(len(list), maxTimeline)]})
}

func (p *Profile) setTimeline(t *Timeline) {
	b, err := t.MarshalVT()
	if err != nil {
		panic("BUG: cannot encode a timeline: " + err.Error())
	}
	p.Timeline = b
}

// firstEntries returns the encoding of the first n entries of a timeline.
func firstEntries(b []byte, n int) []byte {
	size := 0
	for ; n > 0 && size < len(b); n-- {
		_, tag := protowire.ConsumeVarint(b[size:])
		_, body := protowire.ConsumeBytes(b[size+max(tag, 0):])
		if tag < 0 || body < 0 {
			panic("BUG: a timeline was checked when it was decoded")
		}
		size += tag + body
	}
	return b[:size]
}

func newEntry(e *streams.Event) *Entry {
	entry := &Entry{Items: appendItemIDs(nil, e)}
	entry.fill(e)
	return entry
}

// fill makes an entry that of ev, but for the items.
func (e *Entry) fill(ev *streams.Event) {
	e.MessageId, e.Uuid = splitUUID(cut(ev.MessageID, maxText))
	code := codes[ev.Name]
	if code == 0 {
		e.Event = cut(ev.Name, maxText)
	}
	channel := uint32(slices.Index(wellKnownChannels, ev.Channel) + 1)
	if channel == 0 {
		e.Channel = cut(ev.Channel, maxText)
	}
	e.Code = code<<4 | channel
	if ev.Kind != streams.Track {
		e.Kind = uint32(ev.Kind)
	}
	if v := eventValue(ev) * 1e4; math.Abs(v) < 1<<62 {
		e.Value = int64(math.Round(v))
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

// splitUUID cuts a canonical lower-case UUID off the end of a message id; it
// takes 16 bytes instead of 36.
func splitUUID(id string) (prefix string, uuid []byte) {
	const size = 36
	if len(id) < size {
		return id, nil
	}
	tail := id[len(id)-size:]
	if tail[8] != '-' || tail[13] != '-' || tail[18] != '-' || tail[23] != '-' {
		return id, nil
	}
	var digits [32]byte
	copy(digits[:8], tail[:8])
	copy(digits[8:12], tail[9:13])
	copy(digits[12:16], tail[14:18])
	copy(digits[16:20], tail[19:23])
	copy(digits[20:], tail[24:])
	uuid = make([]byte, 16)
	if _, err := hex.Decode(uuid, digits[:]); err != nil {
		return id, nil
	}
	var again [32]byte
	if hex.Encode(again[:], uuid); again != digits { // capitals
		return id, nil
	}
	return id[:len(id)-size], uuid
}

func formatUUID(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	var s strings.Builder
	h := hex.EncodeToString(b)
	s.Grow(36)
	for i, part := range []string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]} {
		if i > 0 {
			s.WriteByte('-')
		}
		s.WriteString(part)
	}
	return s.String()
}
