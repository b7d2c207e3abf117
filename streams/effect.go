package streams

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// EffectNumber says which record caused an effect, and which of its effects
// it is. The numbers of one source partition only grow.
type EffectNumber struct {
	Topic       string // of the source, without the configured prefix
	Partition   int32
	Incarnation int64
	Offset      int64
	Index       int32
}

// Compare returns -1, 0 or 1 as n is lower than, equal to or higher than o:
// by topic, partition, incarnation, offset, index.
func (n EffectNumber) Compare(o EffectNumber) int {
	return cmp.Or(
		cmp.Compare(n.Topic, o.Topic),
		cmp.Compare(n.Partition, o.Partition),
		cmp.Compare(n.Incarnation, o.Incarnation),
		cmp.Compare(n.Offset, o.Offset),
		cmp.Compare(n.Index, o.Index))
}

// Less reports whether n is lower than o.
func (n EffectNumber) Less(o EffectNumber) bool { return n.Compare(o) < 0 }

// IsZero reports whether n numbers nothing.
func (n EffectNumber) IsZero() bool { return n.Topic == "" }

// Source is what effects are applied in order of: "<topic>/<partition>".
func (n EffectNumber) Source() string { return n.Topic + "/" + strconv.Itoa(int(n.Partition)) }

// String returns "<topic>/<partition>/<incarnation>/<offset>/<index>", the form
// of HeaderEffect and HeaderPrev; "" for the zero value.
func (n EffectNumber) String() string {
	if n.IsZero() {
		return ""
	}
	return string(n.Append(nil))
}

// Append appends the form of String to b; nothing for the zero value.
func (n EffectNumber) Append(b []byte) []byte {
	if n.IsZero() {
		return b
	}
	b = append(append(b, n.Topic...), '/')
	b = append(strconv.AppendInt(b, int64(n.Partition), 10), '/')
	b = append(strconv.AppendInt(b, n.Incarnation, 10), '/')
	b = append(strconv.AppendInt(b, n.Offset, 10), '/')
	return strconv.AppendInt(b, int64(n.Index), 10)
}

// ParseEffect reads what String writes; "" is the zero value.
func ParseEffect(s string) (EffectNumber, error) {
	if s == "" {
		return EffectNumber{}, nil
	}
	parts := strings.Split(s, "/")
	if len(parts) != 5 || parts[0] == "" {
		return EffectNumber{}, fmt.Errorf("cannot parse effect number %q: must be topic/partition/incarnation/offset/index", s)
	}
	var numbers [4]int64
	for i, size := range [...]int{32, 64, 64, 32} {
		v, err := strconv.ParseUint(parts[i+1], 10, size-1)
		if err != nil {
			return EffectNumber{}, fmt.Errorf("cannot parse effect number %q: %w", s, err)
		}
		numbers[i] = int64(v)
	}
	return EffectNumber{Topic: parts[0], Partition: int32(numbers[0]), Incarnation: numbers[1],
		Offset: numbers[2], Index: int32(numbers[3])}, nil
}

// Effect returns the number in HeaderEffect; the zero value when the record is
// no effect.
func (r *Record) Effect() (EffectNumber, error) { return ParseEffect(string(r.Header(HeaderEffect))) }
