package rules

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// Interests tells which customers of a partition may be interested in an item:
// those who have, or had, it in their cart or lists. It is no state: it is made
// again from the profiles. The zero value is empty and ready.
type Interests struct {
	ids   []string // customers by number
	known map[string]uint32
	lists map[uint64][]uint32 // by the item's hash; may hold a customer twice
	total int                 // entries of all lists
	clean int                 // total after the last compaction
	swept int                 // compactions
}

// Add notes everything that a customer is interested in.
func (x *Interests) Add(p *profiles.Profile) {
	if p.AliasOf != "" {
		return
	}
	if p.Cart != nil {
		for _, l := range p.Cart.Lines {
			x.add(p.Id, l.Id)
		}
	}
	for _, list := range [][]*profiles.Interest{p.Viewed, p.Wishlist, p.Waiting} {
		for _, i := range list {
			x.add(p.Id, i.Id)
		}
	}
}

// AddEvent notes the items that a customer's event is about.
func (x *Interests) AddEvent(p *profiles.Profile, e *streams.Event) {
	if e.Product.ID != "" {
		x.add(p.Id, e.Product.ID)
	}
	for i := range e.Products {
		x.add(p.Id, e.Products[i].ID)
	}
}

func (x *Interests) add(profile, item string) {
	if x.known == nil {
		x.known, x.lists = map[string]uint32{}, map[uint64][]uint32{}
	}
	n, ok := x.known[profile]
	if !ok {
		n = uint32(len(x.ids))
		profile = strings.Clone(profile)
		x.ids = append(x.ids, profile)
		x.known[profile] = n
	}
	hash := xxhash.Sum64String(item)
	list := x.lists[hash]
	if slices.Contains(list[max(0, len(list)-16):], n) {
		return
	}
	x.lists[hash] = append(list, n)
	if x.total++; x.total > 2*x.clean+4096 {
		x.compact()
	}
}

// compact drops repeats.
func (x *Interests) compact() {
	x.total = 0
	x.swept++
	for hash, list := range x.lists { // map order: each list by itself
		slices.Sort(list)
		list = slices.Compact(list)
		x.lists[hash] = list
		x.total += len(list)
	}
	x.clean = x.total
}

// Mark changes whenever what Find answers for an item may.
func (x *Interests) Mark(item string) [2]int {
	return [2]int{x.swept, len(x.lists[xxhash.Sum64String(item)])}
}

// Find lists who may be interested in an item, in order of their ids.
func (x *Interests) Find(item string) []string {
	list := x.lists[xxhash.Sum64String(item)]
	if len(list) == 0 {
		return nil
	}
	ids := make([]string, len(list))
	for i, n := range list {
		ids[i] = x.ids[n]
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
