package profiles

import (
	"fmt"
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
	recycle(p)
	if err := p.UnmarshalVTUnsafe(data); err != nil {
		recycle(p)
		return fmt.Errorf("cannot decode profile %q: %w", id, err)
	}
	p.Id = id
	if err := expand(p); err != nil {
		recycle(p)
		return fmt.Errorf("cannot decode profile %q: %w", id, err)
	}
	return nil
}

// recycle empties p and keeps its memory. What aliases an encoding is let go,
// so that no append can write into it, and so are the ends of lists that other
// packages shorten.
func recycle(p *Profile) {
	p.Traits, p.Timeline = nil, nil
	for _, r := range p.Runs {
		r.Event = nil
	}
	clearTail(p.Runs)
	clearTail(p.Messages)
	clearTail(p.MessageStats)
	clearTail(p.Triggers)
	clearTail(p.Counts)
	p.ResetVT()
}

func clearTail[T any](s []*T) { clear(s[len(s):cap(s)]) }

// squeeze removes from p what expand can put back.
func squeeze(p *Profile) {
	p.Identifiers = slices.DeleteFunc(p.Identifiers, func(id string) bool { return id == p.Id })
	p.Id = ""
	squeezeInterests(p.Viewed)
	squeezeInterests(p.Wishlist)
	squeezeInterests(p.Waiting)
	if p.Session != nil {
		p.Session.Viewed = p.Session.Viewed[:0]
		p.Session.LastAt -= p.Session.StartedAt
	}
	for _, c := range p.Channels {
		c.LastAt -= c.FirstAt
	}
}

// expand puts back what squeeze removed.
func expand(p *Profile) error {
	p.Traits = slices.Clip(p.Traits)
	p.Timeline = slices.Clip(p.Timeline)
	for _, r := range p.Runs {
		r.Event = slices.Clip(r.Event)
	}
	if !strings.Contains(p.Id, ":") {
		return fmt.Errorf("id must be type:value, is %q", p.Id)
	}
	p.Identifiers = slices.Insert(p.Identifiers, 0, p.Id)
	expandInterests(p.Viewed)
	expandInterests(p.Wishlist)
	expandInterests(p.Waiting)
	for _, c := range p.Channels {
		c.LastAt += c.FirstAt
	}
	if p.Session != nil {
		p.Session.LastAt += p.Session.StartedAt
		p.viewedInSession()
	}
	return checkTimeline(p.Timeline)
}

// squeezeInterests stores the usual values as zeros.
func squeezeInterests(list []*Interest) {
	for _, i := range list {
		i.FirstAt = i.At - i.FirstAt
		i.Times--
		i.Days--
		i.Available = !i.Available
	}
}

func expandInterests(list []*Interest) {
	for _, i := range list {
		i.FirstAt = i.At - i.FirstAt
		i.Times++
		i.Days++
		i.Available = !i.Available
	}
}

// parse splits "type:value"; without a colon the zero Identifier.
func parse(id string) streams.Identifier {
	typ, value, ok := strings.Cut(id, ":")
	if !ok {
		return streams.Identifier{}
	}
	return streams.Identifier{Type: typ, Value: value}
}

// stronger reports whether identifier a ("type:value") is stronger than b.
func stronger(a, b string) bool { return parse(a).Stronger(parse(b)) }
