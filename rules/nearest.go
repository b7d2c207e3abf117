package rules

import (
	"maps"
	"slices"
)

// fieldNames are the type's fields, sorted.
func (t *structType) fieldNames() []string { return slices.Sorted(maps.Keys(t.fields)) }

// nearestField is the field of any type that name is most likely a misspelling
// of, "" when none is near.
func nearestField(name string) string {
	var all []string
	for _, t := range structTypes {
		all = append(all, t.fieldNames()...)
	}
	return nearest(name, all)
}

// nearest is the candidate within two edits of name, "" for none; the first in
// order of distance, then name.
func nearest(name string, candidates []string) string {
	slices.Sort(candidates)
	best, found := 3, ""
	for _, c := range candidates {
		if d := edits(name, c); d < best && d < len(name) {
			best, found = d, c
		}
	}
	return found
}

// edits is the Levenshtein distance of two short words.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
