package profiles

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// The message ids of a day are kept packed, by hours of the partition's time,
// oldest first: the hour since 1970 (4 bytes, little endian), how many ids it has
// (4), and the hash of each (8).

const (
	hourMs       = 60 * 60 * 1000
	dedupeHeader = 8
)

// hourOf is the hour of a time in Unix ms.
func hourOf(now int64) int32 { return int32(now / hourMs) } //nolint:gosec // until the year 246,000

// dedupeHour reads the hour that list begins with, and where the next one does.
func dedupeHour(list []byte) (hour int32, next int) {
	return int32(binary.LittleEndian.Uint32(list)), dedupeHeader + 8*int(binary.LittleEndian.Uint32(list[4:])) //nolint:gosec // as it was written
}

// dedupe remembers a message id for a day; false when it was known.
// The time is that of the partition: a repeat of a batch of history is logged when
// its clock has moved on, in another partition perhaps further.
func (p *Profile) dedupe(id string, now int64, limit int) bool {
	p.forgetIDs(now)
	if id == "" {
		return true
	}
	hash := xxhash.Sum64String(id)
	if knowsID(p.Dedupe, hash) {
		return false
	}
	if limit > 0 && countIDs(p.Dedupe) >= limit {
		p.Dedupe = dropOldestIDs(p.Dedupe, 1)
	}
	hour := hourOf(now)
	if last, n := lastHour(p.Dedupe); n > 0 && hour == last && cap(p.Dedupe)-len(p.Dedupe) > 8 {
		at := p.Dedupe[len(p.Dedupe)-8*n-4:]
		binary.LittleEndian.PutUint32(at, uint32(n+1)) //nolint:gosec // not so many
		p.Dedupe = binary.LittleEndian.AppendUint64(p.Dedupe, hash)
		return true
	}
	p.Dedupe = addID(p.room(len(p.Dedupe)+dedupeHeader+8*(1+moreIDs)), p.Dedupe, hour, hash)
	return true
}

// forgetIDs drops what is older than a day.
func (p *Profile) forgetIDs(now int64) {
	for len(p.Dedupe) > 0 {
		hour, next := dedupeHour(p.Dedupe)
		if hour >= hourOf(now)-24 {
			return
		}
		p.Dedupe = p.Dedupe[next:]
	}
}

// moreIDs is how many ids a list that was copied has room for.
const moreIDs = 8

// lastHour is the latest hour of a list, and how many ids it has.
func lastHour(list []byte) (hour int32, n int) {
	for len(list) > 0 {
		h, next := dedupeHour(list)
		hour, n, list = h, (next-dedupeHeader)/8, list[next:]
	}
	return hour, n
}

func knowsID(list []byte, hash uint64) bool {
	for len(list) > 0 {
		_, next := dedupeHour(list)
		for i := dedupeHeader; i < next; i += 8 {
			if binary.LittleEndian.Uint64(list[i:]) == hash {
				return true
			}
		}
		list = list[next:]
	}
	return false
}

// idsOf is the part of list that is about an hour.
func idsOf(list []byte, hour int32) []byte {
	for len(list) > 0 {
		h, next := dedupeHour(list)
		if h == hour {
			return list[:next]
		}
		list = list[next:]
	}
	return nil
}

func countIDs(list []byte) (n int) {
	for len(list) > 0 {
		_, next := dedupeHour(list)
		n += (next - dedupeHeader) / 8
		list = list[next:]
	}
	return n
}

// addID appends to out a list with one id more.
func addID(out, list []byte, hour int32, hash uint64) []byte {
	at := 0 // the end of the hours up to that one
	last := -1
	for at < len(list) {
		h, next := dedupeHour(list[at:])
		if h > hour {
			break
		}
		if h == hour {
			last = at
		}
		at += next
	}
	out = append(out, list[:at]...)
	if last < 0 {
		out = binary.LittleEndian.AppendUint32(out, uint32(hour)) //nolint:gosec // read back likewise
		out = binary.LittleEndian.AppendUint32(out, 1)
	} else {
		n := out[last+4:]
		binary.LittleEndian.PutUint32(n, binary.LittleEndian.Uint32(n)+1)
	}
	out = binary.LittleEndian.AppendUint64(out, hash)
	return append(out, list[at:]...)
}

// dropOldestIDs returns list without its first n ids.
func dropOldestIDs(list []byte, n int) []byte {
	for n > 0 && len(list) > 0 {
		hour, next := dedupeHour(list)
		has := (next - dedupeHeader) / 8
		if has <= n {
			n, list = n-has, list[next:]
			continue
		}
		out := make([]byte, 0, len(list)-8*n)
		out = binary.LittleEndian.AppendUint32(out, uint32(hour))  //nolint:gosec // read back likewise
		out = binary.LittleEndian.AppendUint32(out, uint32(has-n)) //nolint:gosec // below has
		return append(out, list[dedupeHeader+8*n:]...)
	}
	return list
}

// dropOldestHour returns list without its first hour.
func dropOldestHour(list []byte) []byte {
	_, next := dedupeHour(list)
	return list[next:]
}

// mergeDedupe remembers x's message ids of a day, too.
func (p *Profile) mergeDedupe(x *Profile, now int64, limit int) {
	own := slices.Clone(p.Dedupe)
	for list := x.Dedupe; len(list) > 0; {
		hour, next := dedupeHour(list)
		for i := dedupeHeader; i < next; i += 8 {
			if hash := binary.LittleEndian.Uint64(list[i:]); !knowsID(idsOf(own, hour), hash) {
				own = addID(nil, own, hour, hash)
			}
		}
		list = list[next:]
	}
	p.Dedupe = own
	p.forgetIDs(now)
	if n := countIDs(p.Dedupe); limit > 0 && n > limit {
		p.Dedupe = dropOldestIDs(p.Dedupe, n-limit)
	}
}

// checkDedupe reports whether b can be read as message ids.
func checkDedupe(b []byte) error {
	bad := errors.New("cannot read message ids")
	for first, before := true, int32(0); len(b) > 0; first = false {
		if len(b) < dedupeHeader || int64(binary.LittleEndian.Uint32(b[4:])) > int64(len(b)-dedupeHeader)/8 {
			return bad
		}
		hour, next := dedupeHour(b)
		if next == dedupeHeader || !first && hour <= before {
			return bad
		}
		b, before = b[next:], hour
	}
	return nil
}
