package profiles

import (
	"encoding/binary"
	"math"
)

// What packed lists consist of.

func appendText(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// appendShared packs an id: how much it shares with another and how much follows, in
// one byte where both are below 15, and what follows.
func appendShared(b []byte, other, id string) []byte {
	shared := min(commonPrefix(other, id), 14)
	if rest := id[shared:]; len(rest) < 15 {
		b = append(b, byte(shared<<4|len(rest)))
		return append(b, rest...)
	}
	b = append(b, 0xff)
	b = binary.AppendUvarint(b, uint64(len(id)))
	return append(b, id...)
}

// room is memory for a packed list of p's that has so many bytes at most, and for one
// more: a list with room behind it is p's own, until p is encoded, and may be changed
// where it is; one that was read from an encoding has none.
func (p *Profile) room(n int) []byte {
	n++
	used := len(p.Scratch)
	if cap(p.Scratch)-used < n {
		p.Scratch, used = make([]byte, 0, max(n, scratchSize)), 0
	}
	p.Scratch = p.Scratch[:used+n]
	return p.Scratch[used : used : used+n]
}

const scratchSize = 4096

// own returns list, copied unless it is p's own.
func (p *Profile) own(list []byte) []byte {
	if cap(list) > len(list) {
		return list
	}
	return append(p.room(len(list)), list...)
}

// commonPrefix is how many bytes two strings begin with alike, at most 255.
func commonPrefix(a, b string) int {
	n := min(len(a), len(b), math.MaxUint8)
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// reader takes packed values off the front of b; bad is set where there is none.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() int {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return int(c)
}

func (r *reader) text() []byte { return r.bytes(r.byte()) }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1) //nolint:gosec // zigzag
}

// shared reads an id as appendShared packed it.
func (r *reader) shared() (shared int, rest []byte) {
	c := r.byte()
	if c != 0xff {
		return c >> 4, r.bytes(c & 15)
	}
	n := r.uvarint()
	return 0, r.bytes(int(min(n, 1<<31)))
}

// joined is a string that begins like other and goes on with rest, whose memory
// it shares where it shares nothing with other.
func (r *reader) joined(other string, shared int, rest []byte) string {
	if shared > len(other) {
		r.bad = true
		return ""
	}
	if shared == 0 {
		return asString(rest)
	}
	return other[:shared] + string(rest)
}
