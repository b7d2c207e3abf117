package recommender

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// reasons are what Ranked.Reason can be. Their places are in the ids of
// recommendations: only ever append.
var reasons = [...]string{
	StrategyNone, Session, ViewedTogether, BoughtTogether, Similar, ForYou, BuyAgain, RecentlyViewed, Trending, Newest,
	StrategyCatalog, StrategyPinned,
}

func reasonNumber(name string) byte { return byte(max(0, slices.Index(reasons[:], name))) } //nolint:gosec // twelve of them

// maxRuns is how many runs of items of one strategy an id tells apart; what comes
// after them counts as of the last.
const maxRuns = 24

// listRef is what the id of a tracked recommendation says of its list: the placement and,
// item by item, the strategy. So whoever reads an event that carries the id knows what
// earned it, whichever process answered, and remembers nothing.
type listRef struct {
	placement uint32 // a hash of its name; 0: no list
	n         uint8
	runs      [maxRuns]byte // strategy and, in the lower half, items less one
}

func placementHash(name string) uint32 { return max(1, uint32(xxhash.Sum64String(name))) } //nolint:gosec // half of it will do

// refOf describes an answer.
func refOf(a *Answer) listRef {
	ref := listRef{placement: placementHash(a.Placement)}
	for k := range a.Items {
		reason := reasonNumber(a.Items[k].Reason)
		if last := int(ref.n) - 1; last >= 0 && ref.runs[last]>>4 == reason && ref.runs[last]&15 < 15 {
			ref.runs[last]++
			continue
		}
		if ref.n == maxRuns {
			break
		}
		ref.runs[ref.n] = reason << 4
		ref.n++
	}
	return ref
}

// strategy is the one of a place of the list, from 1; of an unknown place the first's.
func (l *listRef) strategy(place int) byte {
	if l.n == 0 {
		return 0
	}
	for _, run := range l.runs[:l.n] {
		if place -= int(run&15) + 1; place <= 0 {
			return run >> 4
		}
	}
	return l.runs[l.n-1] >> 4
}

// tracked is id with the list's description.
func (l *listRef) tracked(id string) string {
	var raw [4 + maxRuns]byte
	binary.BigEndian.PutUint32(raw[:4], l.placement)
	n := 4 + copy(raw[4:], l.runs[:l.n])
	var out [128]byte
	b := append(append(out[:0], id...), '_')
	return string(base64.RawURLEncoding.AppendEncode(b, raw[:n]))
}

// refIn reads the description out of an id; false where it has none.
func refIn(id string) (l listRef, ok bool) {
	rest, ok := strings.CutPrefix(id, "rec_")
	if !ok {
		return l, false
	}
	_, text, ok := strings.Cut(rest, "_")
	if !ok || len(text) > base64.RawURLEncoding.EncodedLen(4+maxRuns) {
		return l, false
	}
	var raw [4 + maxRuns]byte
	n, err := base64.RawURLEncoding.Decode(raw[:], []byte(text))
	if err != nil || n < 4 {
		return l, false
	}
	l.placement = binary.BigEndian.Uint32(raw[:4])
	for _, run := range raw[4:n] {
		if int(run>>4) >= len(reasons) {
			return listRef{}, false
		}
	}
	l.n = uint8(copy(l.runs[:], raw[4:n])) //nolint:gosec // at most maxRuns
	return l, l.placement != 0
}
