package recommender

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The best are the same, in the same order, whatever has the same score, however many
// are asked for at a time.
func TestRankedBestFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := newTable()
		var all []scored
		var s scores
		n := rapid.IntRange(0, 200).Draw(t, "candidates")
		s.reset(n)
		for i := range n {
			score := float64(rapid.IntRange(0, 12).Draw(t, "score"))
			item := ids.intern(fmt.Sprint("i", (i*7919)%1000), 0)
			s.add(item, score)
			all = append(all, scored{score, item})
		}
		slices.SortFunc(all, func(a, b scored) int {
			return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(ids.at(a.item).id, ids.at(b.item).id))
		})
		var got []scored
		for size := rapid.IntRange(1, 50).Draw(t, "size"); ; size *= 2 {
			some := s.rank(ids, size)
			if len(some) == 0 {
				break
			}
			got = append(got, some...)
		}
		if !slices.Equal(got, all) {
			t.Fatalf("got %v, want %v", got, all)
		}
	})
}
