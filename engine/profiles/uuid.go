package profiles

import "encoding/hex"

// splitUUID cuts a canonical lower-case UUID off the end of a message id; it
// takes 16 bytes instead of 36.
func splitUUID(id string) (prefix string, uuid [16]byte, ok bool) {
	const size = 36
	if len(id) < size {
		return id, uuid, false
	}
	tail := id[len(id)-size:]
	if tail[8] != '-' || tail[13] != '-' || tail[18] != '-' || tail[23] != '-' {
		return id, uuid, false
	}
	var digits [32]byte
	copy(digits[:8], tail[:8])
	copy(digits[8:12], tail[9:13])
	copy(digits[12:16], tail[14:18])
	copy(digits[16:20], tail[19:23])
	copy(digits[20:], tail[24:])
	if _, err := hex.Decode(uuid[:], digits[:]); err != nil {
		return id, uuid, false
	}
	var again [32]byte
	if hex.Encode(again[:], uuid[:]); again != digits { // capitals
		return id, uuid, false
	}
	return id[:len(id)-size], uuid, true
}

func formatUUID(uuid [16]byte) string {
	var b [36]byte
	hex.Encode(b[:8], uuid[:4])
	hex.Encode(b[9:13], uuid[4:6])
	hex.Encode(b[14:18], uuid[6:8])
	hex.Encode(b[19:23], uuid[8:10])
	hex.Encode(b[24:], uuid[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}
