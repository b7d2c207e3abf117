package recommender

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/cespare/xxhash/v2"
)

// What two items have in common weighs so much in similar; in all 1.
const (
	likeCategory, likeWords, likeBrand, likePrice, likeAttributes = 0.35, 0.3, 0.15, 0.1, 0.1
)

// nameWords is how many words of a name count.
const nameWords = 12

// features are what likeness reads of an item, made ready when the catalogue takes
// it: hashes instead of texts. They never change; an item that does has others.
type features struct {
	made                uint64 // its number among all features
	category, brand     *shelf // nil where the item has none
	categoryAt, brandAt uint32 // places there
	brandHash           uint64
	price               float64  // logarithm, NaN where there is none
	path                []uint32 // hashes of the category's path, from the root to each level
	words               []uint32 // hashes of the distinct words of the name, sorted
	attributes          []uint32 // hashes of name and value where that is a text, number or truth, sorted
	attributeCount      int      // of all attributes
}

func featuresOf(now *current) *features {
	it := now.item
	f := &features{brandHash: now.brand, price: math.NaN(), attributeCount: len(it.Attributes)}
	if it.Price > 0 && !math.IsInf(it.Price, 1) {
		f.price = math.Log(it.Price)
	}
	hashes := make([]uint32, 0, len(it.Category)+nameWords+len(it.Attributes))
	hashes = appendPath(hashes, it.Category)
	path := len(hashes)
	hashes = appendWords(hashes, it.Name)
	words := len(hashes)
	hashes = slices.Clip(slices.Clone(appendAttributes(hashes, it.Attributes))) // side by side in memory
	f.path, f.words, f.attributes = hashes[:path], hashes[path:words], hashes[words:]
	return f
}

func appendPath(path []uint32, category []string) []uint32 {
	var d xxhash.Digest
	d.Reset()
	for _, level := range category {
		_, _ = d.WriteString(level)
		_, _ = d.Write([]byte{0})
		path = append(path, uint32(d.Sum64())) //nolint:gosec // a part of the hash
	}
	return path
}

// appendWords appends sorted hashes of the distinct words of a name, whatever
// their case.
func appendWords(to []uint32, name string) []uint32 {
	first := len(to)
	for word := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		h := uint32(xxhash.Sum64String(word)) //nolint:gosec // a part of the hash
		if words := to[first:]; len(words) < nameWords && !slices.Contains(words, h) {
			to = append(to, h)
		}
	}
	slices.Sort(to[first:])
	return to
}

func appendAttributes(to []uint32, attributes map[string]any) []uint32 {
	first := len(to)
	var b []byte
	for name, value := range attributes {
		b = append(append(b[:0], name...), 0)
		switch v := value.(type) {
		case string:
			b = append(append(b, 's'), v...)
		case float64:
			if math.IsNaN(v) {
				continue
			}
			b = binary.LittleEndian.AppendUint64(append(b, 'n'), math.Float64bits(v))
		case bool:
			b = append(b, 'f')
			if v {
				b[len(b)-1] = 't'
			}
		default:
			continue
		}
		to = append(to, uint32(xxhash.Sum64(b))) //nolint:gosec // a part of the hash
	}
	slices.Sort(to[first:])
	return to
}

// equal reports whether likeness cannot tell two features apart.
func (f *features) equal(g *features) bool {
	return f.brandHash == g.brandHash && f.attributeCount == g.attributeCount &&
		math.Float64bits(f.price) == math.Float64bits(g.price) &&
		slices.Equal(f.path, g.path) && slices.Equal(f.words, g.words) && slices.Equal(f.attributes, g.attributes)
}

// likeness is what two items have in common, from 0 to 1.
func likeness(a, b *features) float32 {
	n := 0
	for n < len(a.path) && n < len(b.path) && a.path[n] == b.path[n] {
		n++
	}
	like := likeCategory * float64(n) / float64(max(1, len(a.path), len(b.path)))
	if a.brandHash != 0 && a.brandHash == b.brandHash {
		like += likeBrand
	}
	if n := shared(a.words, b.words); n > 0 {
		like += likeWords * float64(n) / float64(len(a.words)+len(b.words)-n)
	}
	if apart := math.Abs(a.price - b.price); apart >= 0 { // 1/2 where one is e times the other
		like += likePrice / (1 + apart)
	}
	if n := shared(a.attributes, b.attributes); n > 0 {
		like += likeAttributes * float64(n) / float64(max(a.attributeCount, b.attributeCount))
	}
	return float32(like)
}

// shared counts what two sorted lists have in common.
func shared(a, b []uint32) (n int) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			n++
			a, b = a[1:], b[1:]
		}
	}
	return n
}
