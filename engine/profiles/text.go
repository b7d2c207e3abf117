package profiles

import (
	"unicode/utf8"
	"unsafe"
)

// Bounds of what a profile keeps of texts that events bring, so that no event
// can make a profile large.
const (
	maxText   = 200  // bytes of a name, a brand, a level of a category, a reason
	maxLink   = 1000 // bytes of a URL; a longer one is left out
	maxToken  = 4096 // bytes of a push token; a longer one is left out
	maxLevels = 10   // of a category
)

// cut shortens s to at most n bytes, at the end of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// link is a URL that is not too long.
func link(url string) string {
	if len(url) > maxLink {
		return ""
	}
	return url
}

// appendPath appends a category as affinities name it: its levels, joined by slashes.
func appendPath(b []byte, category []string) []byte {
	for i, level := range category[:min(len(category), maxLevels)] {
		if i > 0 {
			b = append(b, '/')
		}
		b = append(b, level[:min(len(level), maxText+1)]...)
	}
	return b[:len(cut(asString(b), maxText))]
}

// asString is b as a string that shares its memory: b never changes.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
