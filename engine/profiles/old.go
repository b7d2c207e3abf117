package profiles

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// What older versions wrote is read into what this one has: lists that were
// messages and are packed now. Nothing writes them any more.

// readOld takes over what an encoding of before has.
func (p *Profile) readOld() error {
	if len(p.OldCategories) > 0 {
		p.Categories, p.OldCategories = packOldAffinities(p.OldCategories), nil
	}
	if len(p.OldBrands) > 0 {
		p.Brands, p.OldBrands = packOldAffinities(p.OldBrands), nil
	}
	if len(p.OldDedupe) > 0 {
		p.Dedupe, p.OldDedupe = packOldDedupe(p.OldDedupe), nil
	}
	usual := p.usualChannel()
	takeOldInterests(&p.Viewed, &p.OldViewed, p.LastAt, usual)
	takeOldInterests(&p.Wishlist, &p.OldWishlist, p.LastAt, usual)
	takeOldInterests(&p.Waiting, &p.OldWaiting, p.LastAt, usual)
	if len(p.OldTimeline) == 0 {
		return nil
	}
	var t Timeline
	if err := t.UnmarshalVTUnsafe(p.OldTimeline); err != nil {
		return fmt.Errorf("cannot read timeline: %w", err)
	}
	p.OldTimeline = nil
	list, at := make([]moment, min(len(t.Entries), maxTimeline)), p.TimelineAt
	for i := range list {
		list[i].fromEntry(t.Entries[i])
		list[i].at = at
		at -= t.Entries[i].Older
	}
	p.Timeline = packMoments(list)
	return nil
}

func takeOldInterests(to, from *[]*Interest, at int64, usual string) {
	if len(*from) == 0 {
		return
	}
	for _, i := range *from {
		at -= i.At
		i.At, i.FirstAt = at, at-i.FirstAt
		i.Times++
		i.Days++
		i.Available = !i.Available
		i.Price, i.Cents = expandPrice(i.Price, i.Cents), 0
		i.Channel = expandName(i.Channel, usual)
	}
	*to, *from = *from, nil
}

func (m *moment) fromEntry(e *Entry) {
	*m = moment{name: cut(e.Event, maxText), channel: cut(e.Channel, maxText), items: e.Items[:min(len(e.Items), maxItems)], value: e.Value}
	m.text = cut(e.MessageId, maxText)
	if m.hasUUID = len(e.Uuid) == len(m.uuid); m.hasUUID {
		copy(m.uuid[:], e.Uuid)
	}
	if n := int(e.Code >> 4); n > 0 && n <= len(wellKnown) {
		m.name = wellKnown[n-1]
	}
	if n := int(e.Code & 15); n > 0 && n <= len(wellKnownChannels) {
		m.channel = wellKnownChannels[n-1]
	}
	if k := int(e.Kind); k > 0 && k < len(kinds) {
		m.kind = uint8(k)
	}
}

// packOldAffinities packs a list as it was stored before. Of equal names the
// first counts.
func packOldAffinities(list []*Affinity) []byte {
	all := make([]Preference, 0, len(list))
	for _, a := range list {
		name := cut(a.Name, maxText)
		if name != "" && len(all) < maxAffinities && !slices.ContainsFunc(all, func(p Preference) bool { return p.Name == name }) {
			all = append(all, Preference{name, a.Score})
		}
	}
	return packPreferences(all)
}

// packOldDedupe packs message ids as they were stored before.
func packOldDedupe(list []*DedupeHour) (packed []byte) {
	slices.SortStableFunc(list, func(a, b *DedupeHour) int { return cmp.Compare(a.Hour, b.Hour) })
	for i, h := range list {
		hour := int32(h.Hour)                                          //nolint:gosec // until the year 246,000
		if len(h.Ids) == 0 || i > 0 && int32(list[i-1].Hour) >= hour { //nolint:gosec // likewise
			continue
		}
		packed = binary.LittleEndian.AppendUint32(packed, uint32(hour))       //nolint:gosec // read back likewise
		packed = binary.LittleEndian.AppendUint32(packed, uint32(len(h.Ids))) //nolint:gosec // as many as fit a message
		for _, id := range h.Ids {
			packed = binary.LittleEndian.AppendUint64(packed, id)
		}
	}
	return packed
}
