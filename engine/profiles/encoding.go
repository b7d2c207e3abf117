package profiles

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rapport-engine/rapport/streams"
)

// Encode returns p as it is kept at rest. What can be derived is left out, the
// id too: the store's key holds it. It changes p, which must not be used
// afterwards, except by Decode.
func Encode(p *Profile) []byte {
	if cap(p.Scratch)-len(p.Scratch) < scratchSize/2 {
		p.Scratch = make([]byte, 0, scratchSize)
	}
	scratch := p.Scratch
	lists := p.squeeze(scratch[len(scratch):])
	n := p.SizeVT()
	data := make([]byte, n+len(lists))
	if m, err := p.MarshalToSizedBufferVT(data[:n]); err != nil || m != n {
		panic(fmt.Sprintf("BUG: cannot encode profile %q: %d of %d bytes, %v", p.Id, m, n, err))
	}
	copy(data[n:], lists)
	p.Scratch = scratch[:0]
	return data
}

// Decode fills p with the profile of that id from its encoding, reusing p's
// memory. The strings of p share memory with id and data, so neither may be
// changed later. After an error p is empty.
func Decode(id string, data []byte, p *Profile) error {
	err := decode(id, data, p)
	if err == nil {
		err = cmp.Or(checkTimeline(p.Timeline), checkDedupe(p.Dedupe), checkPreferences(p.Categories), checkPreferences(p.Brands))
	}
	if err == nil {
		err = checkDecisions(p.Decisions)
	}
	if err == nil && !strings.Contains(id, ":") {
		err = errors.New("the id must be type:value")
	}
	if err != nil {
		recycle(p)
		return fmt.Errorf("cannot decode profile %q: %w", id, err)
	}
	return nil
}

// decode is Decode of what Encode wrote or Decode has checked.
func decode(id string, data []byte, p *Profile) error {
	recycle(p)
	scratch := p.Scratch
	p.Scratch = nil
	err := p.UnmarshalVTUnsafe(data)
	open := p.Scratch != nil || p.Cart != nil || p.Orders != nil || p.ReadUsual != "" || len(p.Viewed)+len(p.Wishlist)+len(p.Waiting) > 0
	p.Scratch = scratch
	if err == nil && open {
		err = errors.New("what is never at rest")
	}
	if err != nil {
		return err
	}
	p.Id = id
	if err := p.open(); err != nil {
		return err
	}
	p.expand()
	return nil
}

// open reads what is packed at rest.
func (p *Profile) open() error {
	if len(p.PackedCart) > 0 {
		p.Cart = CartFromVTPool()
		if err := p.Cart.UnmarshalVTUnsafe(p.PackedCart); err != nil {
			return fmt.Errorf("cannot read cart: %w", err)
		}
	}
	if len(p.PackedOrders) > 0 {
		p.Orders = OrdersFromVTPool()
		if err := p.Orders.UnmarshalVTUnsafe(p.PackedOrders); err != nil {
			return fmt.Errorf("cannot read orders: %w", err)
		}
	}
	if err := p.readOld(); err != nil {
		return err
	}
	p.ReadUsual = p.usualChannel()
	return errors.Join(
		openInterests(&p.Viewed, &p.PackedViewed, p.LastAt, p.ReadUsual),
		openInterests(&p.Wishlist, &p.PackedWishlist, p.LastAt, p.ReadUsual),
		openInterests(&p.Waiting, &p.PackedWaiting, p.LastAt, p.ReadUsual))
}

func openInterests(to *[]*Interest, packed *[]byte, at int64, usual string) (err error) {
	if len(*packed) > 0 {
		*to, err = unpackInterests(*to, *packed, at, usual)
		*packed = nil
	}
	return err
}

// recycle empties p and keeps its memory. What aliases an encoding is let go,
// so that no append can write into it, and so are the ends of lists that other
// packages shorten.
func recycle(p *Profile) {
	p.Traits, p.Timeline, p.Decisions, p.Shipped = nil, nil, nil, nil
	p.Categories, p.Brands, p.Dedupe, p.OldTimeline = nil, nil, nil, nil
	p.PackedViewed, p.PackedWishlist, p.PackedWaiting, p.PackedCart, p.PackedOrders = nil, nil, nil, nil, nil
	p.Viewed, p.Wishlist, p.Waiting = p.Viewed[:0], p.Wishlist[:0], p.Waiting[:0] // filled as a whole
	for _, r := range p.Runs {
		r.Event = nil
	}
	for _, m := range p.Inbox {
		m.Body = nil
	}
	clearTail(p.Runs)
	clearTail(p.Messages)
	clearTail(p.MessageStats)
	clearTail(p.Triggers)
	clearTail(p.Counts)
	clearTail(p.Segments)
	clearTail(p.Touches)
	clearTail(p.Goals)
	clearTail(p.Inbox)
	p.ResetVT()
}

func clearTail[T any](s []*T) { clear(s[len(s):cap(s)]) }

// squeeze removes from p what expand can put back, and appends to lists what is
// packed by hand, as fields.
func (p *Profile) squeeze(lists []byte) []byte {
	p.Identifiers = slices.DeleteFunc(p.Identifiers, func(id string) bool { return id == p.Id })
	p.squeezeJoints(p.Id)
	p.Id = ""
	p.contextAges()
	for _, c := range p.Channels {
		c.LastAt -= c.FirstAt
	}
	if p.Session != nil {
		p.Session.Viewed = p.Session.Viewed[:0]
		p.Session.LastAt -= p.Session.StartedAt
	}
	usual := p.usualChannel()
	lists = p.packCart(lists, usual)
	lists = p.packOrders(lists)
	lists = appendInterests(lists, 124, p.Viewed, p.LastAt, usual)
	lists = appendInterests(lists, 125, p.Wishlist, p.LastAt, usual)
	lists = appendInterests(lists, 126, p.Waiting, p.LastAt, usual)
	p.Viewed, p.Wishlist, p.Waiting = p.Viewed[:0], p.Wishlist[:0], p.Waiting[:0]
	p.ReadUsual, p.Scratch = "", nil
	return lists
}

// packCart appends the cart, as it was read where nothing changed it.
func (p *Profile) packCart(lists []byte, usual string) []byte {
	if p.Cart != nil && (len(p.PackedCart) == 0 || p.ReadUsual != usual) {
		squeezeLines(p.Cart.Lines, usual)
		lists = appendMessage(lists, 12, p.Cart)
	} else {
		lists = appendField(lists, 12, p.PackedCart)
	}
	p.Cart.ReturnToVTPool()
	p.Cart, p.PackedCart = nil, nil
	return lists
}

// packOrders likewise.
func (p *Profile) packOrders(lists []byte) []byte {
	if p.Orders != nil && len(p.PackedOrders) == 0 {
		for _, o := range p.Orders.Recent {
			squeezeLines(o.Products, "")
		}
		lists = appendMessage(lists, 16, p.Orders)
	} else {
		lists = appendField(lists, 16, p.PackedOrders)
	}
	p.Orders.ReturnToVTPool()
	p.Orders, p.PackedOrders = nil, nil
	return lists
}

func appendField(b []byte, number protowire.Number, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendBytes(b, value)
}

func appendMessage(b []byte, number protowire.Number, m interface {
	SizeVT() int
	MarshalToSizedBufferVT(b []byte) (int, error)
},
) []byte {
	n := m.SizeVT()
	if n == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(n))
	b = slices.Grow(b, n)[:len(b)+n]
	if _, err := m.MarshalToSizedBufferVT(b[len(b)-n:]); err != nil {
		panic("BUG: cannot encode a part of a profile: " + err.Error())
	}
	return b
}

func appendInterests(b []byte, number protowire.Number, list []*Interest, at int64, usual string) []byte {
	var memory [1024]byte
	return appendField(b, number, packInterests(memory[:0], list, at, usual))
}

// expand puts back what squeeze removed.
func (p *Profile) expand() {
	p.Traits = slices.Clip(p.Traits)
	p.Timeline = slices.Clip(p.Timeline)
	p.Dedupe = slices.Clip(p.Dedupe)
	p.Categories, p.Brands = slices.Clip(p.Categories), slices.Clip(p.Brands)
	p.Shipped = slices.Clip(p.Shipped)
	for _, r := range p.Runs {
		r.Event = slices.Clip(r.Event)
	}
	p.Decisions = slices.Clip(p.Decisions)
	for _, m := range p.Inbox {
		m.Body = slices.Clip(m.Body)
	}
	p.Identifiers = slices.Insert(p.Identifiers, 0, p.Id)
	p.expandJoints()
	for _, c := range p.Channels {
		c.LastAt += c.FirstAt
	}
	p.contextAges()
	if p.Cart != nil {
		expandLines(p.Cart.Lines, p.ReadUsual)
	}
	if p.Orders != nil {
		for _, o := range p.Orders.Recent {
			expandLines(o.Products, "")
		}
	}
	if p.Session != nil {
		p.Session.LastAt += p.Session.StartedAt
		p.viewedInSession()
	}
}

// contextAges makes times of when something was said ages before LastAt, which
// is 0 for most, and ages times.
func (p *Profile) contextAges() {
	age := func(said string, at *int64) {
		if said != "" {
			*at = p.LastAt - *at
		}
	}
	age(p.Locale, &p.LocaleAt)
	age(p.Timezone, &p.TimezoneAt)
	age(p.PushToken, &p.PushTokenAt)
}

// usualChannel is the one that lists leave out at rest.
func (p *Profile) usualChannel() string {
	if len(p.Channels) == 0 {
		return ""
	}
	return p.Channels[0].Name
}

func squeezeLines(list []*Line, usual string) {
	for _, l := range list {
		l.Price, l.Cents = squeezePrice(l.Price)
		l.Quantity--
		l.Channel = squeezeName(l.Channel, usual)
	}
}

func expandLines(list []*Line, usual string) {
	for _, l := range list {
		l.Price, l.Cents = expandPrice(l.Price, l.Cents), 0
		l.Quantity++
		l.Channel = expandName(l.Channel, usual)
	}
}

// squeezePrice returns the price in cents where nothing is lost, which takes
// half the bytes.
func squeezePrice(price float64) (float64, uint64) {
	if price > 0 && price < 1e9 {
		if cents := uint64(math.Round(price * 100)); float64(cents)/100 == price {
			return 0, cents
		}
	}
	return price, 0
}

func expandPrice(price float64, cents uint64) float64 {
	if cents > 0 {
		return float64(cents) / 100
	}
	return price
}

// squeezeName stores the usual name as nothing, and none as a zero
// byte.
func squeezeName(name, usual string) string {
	switch name {
	case usual:
		return ""
	case "":
		return "\x00"
	}
	return name
}

func expandName(name, usual string) string {
	switch name {
	case "":
		return usual
	case "\x00":
		return ""
	}
	return name
}

// parse splits "type:value"; without a colon the zero Identifier.
func parse(id string) streams.Identifier {
	typ, value, ok := strings.Cut(id, ":")
	if !ok {
		return streams.Identifier{}
	}
	return streams.Identifier{Type: typ, Value: value}
}
