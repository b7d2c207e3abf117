package api

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// appendID appends 26 characters of base32 that sort by time: 48 bits of Unix
// ms, then 80 random ones.
func appendID(b []byte, now time.Time) []byte {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16|uint64(rand.Uint32()&0xffff)) //nolint:gosec // ids need to be unlikely to repeat, not secret
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64())                                            //nolint:gosec // as above
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	var out [26]byte
	for i := 25; i >= 0; i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return append(b, out[:]...)
}

func (s *Server) newID() string {
	var buf [26]byte
	return string(appendID(buf[:0], s.now()))
}
