package profiles

import (
	"encoding/binary"
	"errors"
	"math"
)

// Lists of interests are packed at rest. An entry is what is unusual about it
// (1 byte), the id (its length first), how much older it is than the one before
// (varint, ms; the first: than the profile's LastAt), and what is unusual.
const (
	interestChannel = 1 << iota // not the customer's usual: its length (varint), the name
	interestFirst               // seen before: how long ago then (varint)
	interestCounts              // more than once: times, days, bits of the days (varints)
	interestCents               // a price: in cents (varint)
	interestPrice               // another price: as it is (8 bytes)
	interestGone                // was not available
	interestFlags
)

// packInterests appends a list, newest first, to b.
func packInterests(b []byte, list []*Interest, at int64, usual string) []byte {
	for _, i := range list {
		start := len(b)
		b = append(b, 0)
		b = binary.AppendUvarint(b, uint64(len(i.Id)))
		b = append(b, i.Id...)
		b = binary.AppendVarint(b, at-i.At)
		flags := byte(0)
		at = i.At
		if i.Channel != usual {
			flags |= interestChannel
			b = binary.AppendUvarint(b, uint64(len(i.Channel)))
			b = append(b, i.Channel...)
		}
		if i.FirstAt != i.At {
			flags |= interestFirst
			b = binary.AppendVarint(b, i.At-i.FirstAt)
		}
		if i.Times != 1 || i.Days != 1 || i.DayBits != 0 {
			flags |= interestCounts
			b = binary.AppendUvarint(b, uint64(i.Times))
			b = binary.AppendUvarint(b, uint64(i.Days))
			b = binary.AppendUvarint(b, uint64(i.DayBits))
		}
		if price, cents := squeezePrice(i.Price); cents > 0 {
			flags |= interestCents
			b = binary.AppendUvarint(b, cents)
		} else if price != 0 {
			flags |= interestPrice
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(price))
		}
		if !i.Available {
			flags |= interestGone
		}
		b[start] = flags
	}
	return b
}

// unpackInterests fills list, whose structs it reuses, with what b says. Strings
// share memory with b.
func unpackInterests(list []*Interest, b []byte, at int64, usual string) ([]*Interest, error) {
	r := reader{b: b}
	for len(r.b) > 0 {
		n := len(list)
		if n < cap(list) {
			list = list[:n+1]
		} else {
			list = append(list, nil)
		}
		if list[n] == nil {
			list[n] = &Interest{}
		}
		at = r.interest(list[n], at, usual)
	}
	if r.bad {
		return list, errors.New("cannot read interests")
	}
	return list, nil
}

// interest reads an entry into i, whose every field it sets.
func (r *reader) interest(i *Interest, before int64, usual string) (at int64) {
	flags := r.byte()
	r.bad = r.bad || flags >= interestFlags
	i.Id = asString(r.bytes(int(min(r.uvarint(), math.MaxInt32))))
	at = before - r.varint()
	i.At, i.FirstAt, i.Channel, i.Available = at, at, usual, flags&interestGone == 0
	i.Times, i.Days, i.DayBits, i.Price, i.Cents = 1, 1, 0, 0, 0
	if flags&interestChannel != 0 {
		i.Channel = asString(r.bytes(int(min(r.uvarint(), math.MaxInt32))))
	}
	if flags&interestFirst != 0 {
		i.FirstAt = at - r.varint()
	}
	if flags&interestCounts != 0 {
		i.Times, i.Days, i.DayBits = uint32(r.uvarint()), uint32(r.uvarint()), uint32(r.uvarint()) //nolint:gosec // as they were written
	}
	if flags&interestCents != 0 {
		i.Price = float64(r.uvarint()) / 100
	} else if flags&interestPrice != 0 {
		if b := r.bytes(8); len(b) == 8 {
			i.Price = math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
	}
	return at
}
