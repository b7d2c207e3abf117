package profiles

import (
	"strings"
	"unicode/utf8"
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

// path is a category as affinities name it.
func path(category []string) string {
	return cut(strings.Join(category[:min(len(category), maxLevels)], "/"), maxText)
}
