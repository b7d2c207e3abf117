package profiles

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/streams"
)

// Encode returns p as it is kept at rest. What can be derived is left out, the
// id too: the store's key holds it. It changes p, which must not be used
// afterwards, except by Decode.
func Encode(p *Profile) []byte {
	squeeze(p)
	n := p.SizeVT()
	data := make([]byte, n)
	if m, err := p.MarshalToSizedBufferVT(data); err != nil || m != n {
		panic(fmt.Sprintf("BUG: cannot encode profile %q: %d of %d bytes, %v", p.Id, m, n, err))
	}
	return data
}

// Decode fills p with the profile of that id from its encoding, reusing p's
// memory. The strings of p share memory with id and data, so neither may be
// changed later. After an error p is empty.
func Decode(id string, data []byte, p *Profile) error {
	err := decode(id, data, p)
	if err == nil {
		err = checkTimeline(p.Timeline)
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
	if err := p.UnmarshalVTUnsafe(data); err != nil {
		return err
	}
	p.Id = id
	expand(p)
	return nil
}

// recycle empties p and keeps its memory. What aliases an encoding is let go,
// so that no append can write into it, and so are the ends of lists that other
// packages shorten.
func recycle(p *Profile) {
	p.Traits, p.Timeline, p.Decisions, p.Shipped = nil, nil, nil, nil
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

// squeeze removes from p what expand can put back.
func squeeze(p *Profile) {
	p.Identifiers = slices.DeleteFunc(p.Identifiers, func(id string) bool { return id == p.Id })
	p.squeezeJoints(p.Id)
	p.Id = ""
	p.contextAges()
	usual := p.usualChannel()
	squeezeInterests(p.Viewed, p.LastAt, usual)
	squeezeInterests(p.Wishlist, p.LastAt, usual)
	squeezeInterests(p.Waiting, p.LastAt, usual)
	if p.Cart != nil {
		squeezeLines(p.Cart.Lines, usual)
	}
	if p.Orders != nil {
		for _, o := range p.Orders.Recent {
			squeezeLines(o.Products, "")
		}
	}
	if p.Session != nil {
		p.Session.Viewed = p.Session.Viewed[:0]
		p.Session.LastAt -= p.Session.StartedAt
	}
	for _, c := range p.Channels {
		c.LastAt -= c.FirstAt
	}
}

// expand puts back what squeeze removed.
func expand(p *Profile) {
	p.Traits = slices.Clip(p.Traits)
	p.Timeline = slices.Clip(p.Timeline)
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
	usual := p.usualChannel()
	expandInterests(p.Viewed, p.LastAt, usual)
	expandInterests(p.Wishlist, p.LastAt, usual)
	expandInterests(p.Waiting, p.LastAt, usual)
	if p.Cart != nil {
		expandLines(p.Cart.Lines, usual)
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

// squeezeInterests stores the usual values as zeros, and times as differences
// from the one before.
func squeezeInterests(list []*Interest, at int64, usual string) {
	for _, i := range list {
		i.FirstAt = i.At - i.FirstAt
		i.At, at = at-i.At, i.At
		i.Times--
		i.Days--
		i.Available = !i.Available
		i.Price, i.Cents = squeezePrice(i.Price)
		i.Channel = squeezeName(i.Channel, usual)
	}
}

func expandInterests(list []*Interest, at int64, usual string) {
	for _, i := range list {
		at -= i.At
		i.At, i.FirstAt = at, at-i.FirstAt
		i.Times++
		i.Days++
		i.Available = !i.Available
		i.Price, i.Cents = expandPrice(i.Price, i.Cents), 0
		i.Channel = expandName(i.Channel, usual)
	}
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
