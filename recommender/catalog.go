package recommender

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/streams"
)

// Version is an item as of a change number; Item is nil where that change
// deleted it.
type Version struct {
	Number int64
	Item   *streams.Item
}

// Catalogue holds all items: the newest version of each for recommendations, and
// older ones for readers that stand at an earlier change number. Safe for any
// number of goroutines; Get takes no lock.
type Catalogue struct {
	items *table
	count atomic.Int64             // items whose newest version is not deleted
	order atomic.Pointer[[]uint32] // items ever put, in order of their first change

	mu      sync.RWMutex // guards entry.versions and the fields below
	shelves shelves
	stale   staleQueue
	pruned  int64 // the greatest number given to Prune
}

// NewCatalogue returns an empty catalogue.
func NewCatalogue() *Catalogue {
	c := &Catalogue{items: newTable()}
	c.order.Store(&[]uint32{})
	return c
}

// Get returns the newest version of an item, nil when it is unknown or deleted.
func (c *Catalogue) Get(id string) *streams.Item {
	if i := c.items.find(id); i != none {
		if now := c.items.at(i).now.Load(); now != nil {
			return now.item
		}
	}
	return nil
}

// At returns the newest version of an item whose change number is not above
// number, nil when the item was unknown or deleted then. Below the number last
// given to Prune the answer is that of the oldest version kept or nil.
func (c *Catalogue) At(id string, number int64) *streams.Item {
	i := c.items.find(id)
	if i == none {
		return nil
	}
	e := c.items.at(i)
	now := e.now.Load()
	if now == nil {
		return nil
	}
	if now.number <= number {
		return now.item
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if k := after(e.versions, number); k > 0 {
		return e.versions[k-1].Item
	}
	return nil
}

// after returns the index of the first version above number.
func after(versions []Version, number int64) int {
	return sort.Search(len(versions), func(k int) bool { return versions[k].Number > number })
}

// Put records change number of an item; a nil item deletes it. The same number
// again changes nothing; numbers may come out of order. The item must not be
// changed afterwards.
func (c *Catalogue) Put(number int64, id string, item *streams.Item) {
	i := c.items.intern(id, 0)
	e := c.items.at(i)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := after(e.versions, number)
	if k > 0 && e.versions[k-1].Number == number {
		return
	}
	if k < len(e.versions) && e.versions[k].Number <= c.pruned {
		return // nobody asks for it any more
	}
	if len(e.versions) == 0 {
		order := append(*c.order.Load(), i)
		c.order.Store(&order)
	}
	e.versions = slices.Insert(e.versions, k, Version{number, item})
	if k > 0 { // the one before it can go once number is pruned
		c.stale.push(stale{number, i})
	}
	if k+1 < len(e.versions) {
		c.stale.push(stale{e.versions[k+1].Number, i})
		return
	}
	c.publish(i, number, item)
}

// publish makes item the newest version of entry i.
func (c *Catalogue) publish(i uint32, number int64, item *streams.Item) {
	e := c.items.at(i)
	old := e.now.Load()
	if was, is := old != nil && old.item != nil, item != nil; was != is {
		if is {
			c.count.Add(1)
		} else {
			c.count.Add(-1)
		}
	}
	now := &current{number: number, item: item}
	if item != nil {
		now.available = item.IsAvailable()
		now.limited = len(item.Channels) > 0 || len(item.Stores) > 0
		now.group = hashOf(item.GroupID)
		now.brand = hashOf(item.Brand)
		now.category = hashOf(strings.Join(item.Category, "\x00"))
		c.shelves.put(i, old, now)
	}
	e.now.Store(now)
	c.shelves.changed(i, old, now)
}

// hashOf returns a hash of s that is 0 only for "".
func hashOf(s string) uint64 {
	if s == "" {
		return 0
	}
	return xxhash.Sum64String(s) | 1
}

// Prune tells that no reader asks below number any more: of each item, the
// versions older than the newest one at number are dropped. Its cost is that of
// the changes since the last call, not of the catalogue.
func (c *Catalogue) Prune(number int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pruned = max(c.pruned, number)
	for len(c.stale) > 0 && c.stale[0].number <= number {
		e := c.items.at(c.stale.pop().item)
		if k := after(e.versions, number) - 1; k > 0 {
			e.versions = slices.Delete(e.versions, 0, k)
		}
	}
}

// Versions returns a copy of the versions kept of an item, oldest first; nil when
// it was never known.
func (c *Catalogue) Versions(id string) []Version {
	i := c.items.find(id)
	if i == none {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.items.at(i).versions)
}

// Range calls fn for each item ever put, deleted ones too, in order of their
// first change, with a copy of its versions, oldest first, until fn returns
// false. Putting the versions in this order into an empty catalogue makes an
// equal one.
func (c *Catalogue) Range(fn func(id string, versions []Version) bool) {
	for _, i := range *c.order.Load() {
		e := c.items.at(i)
		c.mu.RLock()
		versions := slices.Clone(e.versions)
		c.mu.RUnlock()
		if !fn(e.id, versions) {
			return
		}
	}
}

// Len returns how many items the catalogue has now.
func (c *Catalogue) Len() int { return int(c.count.Load()) }

// stale says that an item has a version older than the one of number.
type stale struct {
	number int64
	item   uint32
}

// staleQueue is a binary heap, the lowest number first.
type staleQueue []stale

func (q *staleQueue) push(s stale) {
	*q = append(*q, s)
	h := *q
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].number <= h[i].number {
			return
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
}

func (q *staleQueue) pop() stale {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		low := 2*i + 1
		if low >= last {
			return top
		}
		if low+1 < last && h[low+1].number < h[low].number {
			low++
		}
		if h[i].number <= h[low].number {
			return top
		}
		h[i], h[low] = h[low], h[i]
		i = low
	}
}
