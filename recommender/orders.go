package recommender

// boughtItems is how many items of a customer's recent orders are remembered,
// orderLines how many lines of one order are learned from.
const (
	boughtItems = 16
	orderLines  = 50
)

// bought is what a customer bought last: a ring, oldest first from next.
type bought struct {
	n, next uint32
	items   [boughtItems]boughtItem
}

type boughtItem struct {
	at    int64 // Unix ms
	item  uint32
	order uint32 // part of the order's hash
}

// push notes one more item, forgetting the oldest where there is no room.
func (b *bought) push(it boughtItem) {
	b.items[b.next] = it
	b.next = (b.next + 1) % boughtItems
	b.n = min(b.n+1, boughtItems)
}

// at returns the k-th item, 0 the oldest.
func (b *bought) at(k uint32) *boughtItem {
	return &b.items[(b.next+boughtItems-b.n+k)%boughtItems]
}

// recentSet remembers the hashes that were added last, in buckets of eight, each
// of which forgets its oldest first.
type recentSet struct{ keys []uint64 }

const recentWays = 8

func newRecentSet(n int) recentSet {
	size := recentWays
	for size < n {
		size *= 2
	}
	return recentSet{make([]uint64, size)}
}

func (s *recentSet) bucket(key uint64) []uint64 {
	first := int(key>>32) & (len(s.keys) - 1) &^ (recentWays - 1)
	return s.keys[first : first+recentWays]
}

// add notes key and reports whether it was not there.
func (s *recentSet) add(key uint64) bool {
	key = max(key, 1)
	b := s.bucket(key)
	for _, k := range b {
		if k == key {
			return false
		}
	}
	copy(b[1:], b)
	b[0] = key
	return true
}

// has reports whether key was added lately.
func (s *recentSet) has(key uint64) bool {
	key = max(key, 1)
	for _, k := range s.bucket(key) {
		if k == key {
			return true
		}
	}
	return false
}
