package profiles

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
)

// A list of preferences is kept packed, in order of name. Each entry is how many
// bytes of its name are those of the name before (1 byte), how many follow (1), these,
// and the score (4, little endian). An event looks for its category and brand in there
// and changes one score; nothing is decoded for it.

const scoreSize = 4

// preferencePlace is where a name is in a packed list, or would be.
type preferencePlace struct {
	found bool
	at    int     // of the score where it was found, else of the entry that follows
	score float32 // where it was found
	n     int     // entries looked at; all of them where it is not found
	own   int     // bytes that the name shares with the one before
	next  int     // bytes that the name shares with the one that follows
}

// findPreference walks a packed list. While the names before are smaller, own is how
// much of the last one the name shares; an entry that shares more than that with the
// last is smaller, too, and one that shares less is greater.
func findPreference(list []byte, name string) (p preferencePlace) {
	i := 0
	for ; i < len(list); p.n++ {
		shared, size := int(list[i]), int(list[i+1])
		end := i + 2 + size
		if shared > p.own {
			i = end + scoreSize
			continue
		}
		p.next = shared
		if shared < p.own {
			break
		}
		rest, suffix := name[shared:], list[i+2:end]
		k := 0
		for k < len(rest) && k < size && rest[k] == suffix[k] {
			k++
		}
		p.next += k
		if k == size && k == len(rest) {
			p.found, p.at, p.score = true, end, readScore(list[end:])
			return p
		}
		if k == len(rest) || k < size && rest[k] < suffix[k] {
			break
		}
		p.own += k
		p.next = 0
		i = end + scoreSize
	}
	p.at = i
	for ; i < len(list); p.n++ {
		i += 2 + int(list[i+1]) + scoreSize
	}
	return p
}

// grown is how long a list gets by insert, at most.
func (p *preferencePlace) grown(list []byte, name string) int {
	return len(list) + 2 + len(name) - p.own + scoreSize
}

// insert appends to out a list with one more entry.
func (p *preferencePlace) insert(out, list []byte, name string, score float32) []byte {
	out = append(out, list[:p.at]...)
	out = appendPreference(out, p.own, name[p.own:], score)
	if p.at < len(list) { // the one that follows shares perhaps more with this one
		shared, size := int(list[p.at]), int(list[p.at+1])
		more := p.next - shared
		out = append(out, byte(p.next), byte(size-more))
		out = append(out, list[p.at+2+more:]...)
	}
	return out
}

// weakestPreference is where the entry with the least score begins; of equal ones
// the last.
func weakestPreference(list []byte) (at int, least float32) {
	for i := 0; i < len(list); {
		end := i + 2 + int(list[i+1])
		if score := readScore(list[end:]); i == 0 || score <= least {
			at, least = i, score
		}
		i = end + scoreSize
	}
	return at, least
}

// removePreference appends to out a list without the entry that begins at.
func removePreference(out, list []byte, at int) []byte {
	shared, size := int(list[at]), int(list[at+1])
	next := at + 2 + size + scoreSize
	out = append(out, list[:at]...)
	if next == len(list) {
		return out
	}
	more := max(int(list[next])-shared, 0) // bytes that the next one shared with this one alone
	out = append(out, byte(int(list[next])-more), byte(int(list[next+1])+more))
	out = append(out, list[at+2:at+2+more]...)
	return append(out, list[next+2:]...)
}

func appendPreference(b []byte, shared int, suffix string, score float32) []byte {
	b = append(b, byte(shared), byte(len(suffix)))
	b = append(b, suffix...)
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(score))
}

func readScore(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func setScore(b []byte, score float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(score)) }

// Preferences are those of Profile.Categories or Brands, in order of name.
func Preferences(list []byte) []Preference { return AppendPreferences(nil, list) }

// AppendPreferences appends to all what Preferences returns.
func AppendPreferences(all []Preference, list []byte) []Preference {
	if len(list) == 0 {
		return all
	}
	n, size, last := 0, 0, 0
	for i := 0; i < len(list); i += 2 + int(list[i+1]) + scoreSize {
		n, size = n+1, size+int(list[i])+int(list[i+1])
	}
	all = slices.Grow(all, n)
	names := make([]byte, 0, size) // of which the strings are parts
	for i := 0; i < len(list); {
		shared, end := int(list[i]), i+2+int(list[i+1])
		from := len(names)
		names = append(names, names[last:last+shared]...)
		names = append(names, list[i+2:end]...)
		all = append(all, Preference{asString(names[from:]), readScore(list[end:])})
		i, last = end+scoreSize, from
	}
	return all
}

// packPreferences packs a list in any order.
func packPreferences(all []Preference) []byte {
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Preference) int { return strings.Compare(a.Name, b.Name) })
	var b []byte
	last := ""
	for _, a := range all {
		shared := commonPrefix(last, a.Name)
		b = appendPreference(b, shared, a.Name[shared:], a.Score)
		last = a.Name
	}
	return b
}

// checkPreferences reports whether b can be read as a packed list.
func checkPreferences(b []byte) error {
	bad := errors.New("cannot read affinities")
	var name [math.MaxUint8]byte
	size := 0 // of the name before
	for n := 0; len(b) > 0; n++ {
		if len(b) < 2 || n == maxAffinities {
			return bad
		}
		shared, end := int(b[0]), 2+int(b[1])
		switch {
		case shared > size, end == 2, len(b) < end+scoreSize, shared+end-2 > len(name):
			return bad
		case shared < size && b[2] <= name[shared]: // not in order
			return bad
		}
		size = shared + copy(name[shared:], b[2:end])
		b = b[end+scoreSize:]
	}
	return nil
}
