package profiles

import (
	"encoding/binary"
	"errors"
	"slices"
)

// The timeline is kept packed, oldest first, so that a new event is appended. An
// entry says of its message id and of its first item how much they share with those
// of the entry that follows, the newer one; the last entry shares nothing. The list
// ends with how many entries there are (1 byte) and how long the last one is (3, little
// endian). An entry:
//
//	1 byte   channel: its place in wellKnownChannels from 1, 0 for another; flags
//	1 byte   name: its place in wellKnown from 1, 0 for another; flags
//	kind (1), channel and name (1 and that many), each where it is not the usual
//	message id: bytes shared (1), bytes that follow (1), these, and its UUID (16)
//	varint   how much older the entry before is, ms; of the first anything
//	items    where several, how many (1); each: bytes shared, bytes that follow, these
//	varint   value, in cents where that is exact, else in 1/10000
const (
	momentKind    = 1 << 4
	momentUUID    = 1 << 5
	momentItem    = 1 << 6
	momentItems   = 1 << 7
	momentValue   = 1 << 6 // of the second byte
	momentPrecise = 1 << 7
	momentTrailer = 4
)

// moment is an entry of the timeline.
type moment struct {
	text    string // the message id, without a UUID at its end
	uuid    [16]byte
	hasUUID bool
	kind    uint8 // streams.Kind; 0 stands for track
	name    string
	channel string
	at      int64
	older   int64 // how much older the one before is
	items   []string
	value   int64 // in 1/10000
}

func (m *moment) first() string {
	if len(m.items) == 0 {
		return ""
	}
	return m.items[0]
}

// size is how much m may add to a packed list.
func (m *moment) size() int {
	n := 64 + len(m.text) + len(m.name) + len(m.channel)
	for _, id := range m.items {
		n += len(id) + 6
	}
	return n
}

// append packs m, which newer follows; nil is nothing.
func (m *moment) append(b []byte, newer *moment) []byte {
	text, item := "", ""
	if newer != nil {
		text, item = newer.text, newer.first()
	}
	at := len(b)
	b = append(b, uint8(slices.Index(wellKnownChannels, m.channel)+1), uint8(codes[m.name])) //nolint:gosec // below 16 and 64
	if m.kind != 0 {
		b[at] |= momentKind
		b = append(b, m.kind)
	}
	if b[at]&15 == 0 {
		b = appendText(b, m.channel)
	}
	if b[at+1] == 0 {
		b = appendText(b, m.name)
	}
	shared := commonPrefix(text, m.text)
	b = append(b, byte(shared))
	b = appendText(b, m.text[shared:])
	if m.hasUUID {
		b[at] |= momentUUID
		b = append(b, m.uuid[:]...)
	}
	b = binary.AppendUvarint(b, uint64(m.older)) //nolint:gosec // read back likewise
	switch len(m.items) {
	case 0:
	case 1:
		b[at] |= momentItem
	default:
		b[at] |= momentItems
		b = append(b, byte(len(m.items)))
	}
	for _, id := range m.items {
		b, item = appendShared(b, item, id), id
	}
	switch {
	case m.value == 0:
	case m.value%100 == 0:
		b[at+1] |= momentValue
		b = binary.AppendVarint(b, m.value/100)
	default:
		b[at+1] |= momentValue | momentPrecise
		b = binary.AppendVarint(b, m.value)
	}
	return b
}

// head passes what an entry has before its message id, and returns its flags.
func (r *reader) head() (flags int) {
	channel, name := r.byte(), r.byte()
	if channel&momentKind != 0 {
		r.byte()
	}
	if channel&15 == 0 {
		r.text()
	}
	if name&63 == 0 {
		r.text()
	}
	return channel | name<<8
}

// skip passes an entry.
func (r *reader) skip() {
	flags := r.head()
	r.byte()
	r.text()
	if flags&momentUUID != 0 {
		r.bytes(16)
	}
	r.uvarint()
	for range r.items(flags) {
		r.shared()
	}
	if flags>>8&momentValue != 0 {
		r.uvarint()
	}
}

// items is how many an entry has; flags are its first byte.
func (r *reader) items(flags int) int {
	switch {
	case flags&momentItems != 0:
		return r.byte()
	case flags&momentItem != 0:
		return 1
	}
	return 0
}

// moment reads an entry that newer follows into m, whose items it reuses. Strings
// share memory with what is read where they share nothing with another.
func (r *reader) moment(m, newer *moment) {
	text, item := "", ""
	if newer != nil {
		text, item = newer.text, newer.first()
	}
	channel, name := r.byte(), r.byte()
	if m.kind = 0; channel&momentKind != 0 {
		m.kind = uint8(r.byte()) //nolint:gosec // it is one
	}
	if n := channel & 15; n == 0 {
		m.channel = asString(r.text())
	} else if m.channel = ""; n <= len(wellKnownChannels) {
		m.channel = wellKnownChannels[n-1]
	}
	if n := name & 63; n == 0 {
		m.name = asString(r.text())
	} else if m.name = ""; n <= len(wellKnown) {
		m.name = wellKnown[n-1]
	}
	shared := r.byte()
	m.text = r.joined(text, shared, r.text())
	if m.hasUUID = channel&momentUUID != 0; m.hasUUID {
		copy(m.uuid[:], r.bytes(16))
	}
	m.older = int64(r.uvarint()) //nolint:gosec // as it was written
	m.items = m.items[:0]
	for range r.items(channel) {
		shared, rest := r.shared()
		item = r.joined(item, shared, rest)
		m.items = append(m.items, item)
	}
	if m.value = 0; name&momentValue != 0 {
		if m.value = r.varint(); name&momentPrecise == 0 {
			m.value *= 100
		}
	}
}

// appendMoment appends to out a packed list with m, the newest, at its end; lastAt
// is when the last one was. Where there are too many then, the oldest goes.
func appendMoment(out, list []byte, m *moment, lastAt int64) []byte {
	n := 1
	if len(list) > 0 {
		count, start := momentEnd(list)
		from := reader{b: list}
		if n = count + 1; n > maxTimeline {
			n = maxTimeline
			from.skip()
		}
		out = append(out, list[len(list)-len(from.b):start]...)
		out = appendRelated(out, list[start:len(list)-momentTrailer], m)
		m.older = m.at - lastAt
	}
	start := len(out)
	return appendTrailer(m.append(out, nil), n, start)
}

// appendRelated appends a packed entry that was the last one, now that newer
// follows.
func appendRelated(out, last []byte, newer *moment) []byte {
	r := reader{b: last}
	flags := r.head()
	out = append(out, last[:len(last)-len(r.b)]...)
	r.byte()
	text := asString(r.text())
	shared := commonPrefix(newer.text, text)
	out = append(out, byte(shared))
	out = appendText(out, text[shared:])
	rest := r.b
	if flags&momentUUID != 0 {
		r.bytes(16)
	}
	r.uvarint()
	if r.items(flags) > 0 {
		out = append(out, rest[:len(rest)-len(r.b)]...)
		_, id := r.shared()
		out = appendShared(out, newer.first(), asString(id))
		rest = r.b
	}
	return append(out, rest...)
}

func appendTrailer(b []byte, n, start int) []byte {
	size := len(b) - start
	return append(b, byte(n), byte(size), byte(size>>8), byte(size>>16))
}

// momentEnd reads how many entries a packed list has and where the last begins.
func momentEnd(list []byte) (n, start int) {
	end := len(list) - momentTrailer
	t := list[end:]
	return int(t[0]), end - (int(t[1]) | int(t[2])<<8 | int(t[3])<<16)
}

// packMoments packs a list that is newest first.
func packMoments(list []moment) []byte {
	if len(list) == 0 {
		return nil
	}
	var b []byte
	start := 0
	for i := len(list) - 1; i >= 0; i-- {
		m, newer := &list[i], (*moment)(nil)
		if i > 0 {
			newer = &list[i-1]
		}
		if m.older = 0; i+1 < len(list) {
			m.older = m.at - list[i+1].at
		}
		start = len(b)
		b = m.append(b, newer)
	}
	return appendTrailer(b, len(list), start)
}

// moments unpacks the timeline, newest first.
func (p *Profile) moments() []moment {
	list, at := readMoments(p.Timeline), p.TimelineAt
	for i := range list {
		list[i].at = at
		at -= list[i].older
	}
	return list
}

// readMoments unpacks a list that checkTimeline has accepted.
func readMoments(b []byte) []moment {
	var offsets [maxTimeline]int
	n, end := momentOffsets(b, &offsets)
	list := make([]moment, max(n, 0))
	for i := range list {
		r, newer := reader{b: b[offsets[n-1-i]:end]}, (*moment)(nil)
		if i > 0 {
			newer = &list[i-1]
		}
		r.moment(&list[i], newer)
	}
	return list
}

// momentOffsets fills in where the entries of a packed list begin, and returns how many
// there are and where the last ends; -1 where it is no such list.
func momentOffsets(b []byte, offsets *[maxTimeline]int) (n, end int) {
	if len(b) < momentTrailer {
		return -1, 0
	}
	n, start := momentEnd(b)
	end = len(b) - momentTrailer
	if n == 0 || n > maxTimeline || start < 0 {
		return -1, 0
	}
	r := reader{b: b[:end]}
	for i := range n {
		offsets[i] = end - len(r.b)
		r.skip()
	}
	if r.bad || len(r.b) > 0 || offsets[n-1] != start {
		return -1, 0
	}
	return n, end
}

// checkTimeline reports whether b can be read as a timeline.
func checkTimeline(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var offsets [maxTimeline]int
	n, end := momentOffsets(b, &offsets)
	text, item := 0, 0
	for i := n - 1; i >= 0; i-- {
		r := reader{b: b[offsets[i]:end]}
		if text, item = r.lengths(text, item); r.bad || text > maxText {
			n = -1
			break
		}
	}
	if n < 0 {
		return errors.New("cannot read timeline")
	}
	return nil
}

// lengths passes an entry and returns how long its message id, without a UUID, and its
// first item are, given those of the entry that follows.
func (r *reader) lengths(text, item int) (ownText, ownItem int) {
	flags := r.head()
	shared := r.byte()
	r.bad = r.bad || shared > text
	text = shared + len(r.text())
	if flags&momentUUID != 0 {
		r.bytes(16)
	}
	r.uvarint()
	items := r.items(flags)
	r.bad = r.bad || items > maxItems
	first := 0
	for i := range items {
		shared, rest := r.shared()
		r.bad = r.bad || shared > item
		item = shared + len(rest)
		if i == 0 {
			first = item
		}
	}
	return text, first
}
