package profiles

import (
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/rapport-engine/rapport/streams"
)

const (
	maxInterests = 20
	dayMs        = 24 * 60 * 60 * 1000
)

// lookup answers for the catalogue; nil knows nothing.
type lookup func(id string) *streams.Item

func (l lookup) of(id string) *streams.Item {
	if l == nil {
		return nil
	}
	return l(id)
}

// applyInterest folds views, the wishlist and the waiting list.
func (p *Profile) applyInterest(e *streams.Event, item lookup) {
	lines := eventLines(e)
	for i := range lines {
		l := &lines[i]
		if l.ID == "" {
			continue
		}
		switch e.Name {
		case "Product Viewed":
			p.Viewed = notice(p.Viewed, l, e, item)
		case "Product Added to Wishlist":
			p.Wishlist = notice(p.Wishlist, l, e, item)
		case "Product Removed from Wishlist", "Wishlist Product Added to Cart":
			p.Wishlist = unlist(p.Wishlist, l.ID, e.At)
		case "Product Added to Waiting List":
			p.Waiting = notice(p.Waiting, l, e, item)
		case "Product Removed from Waiting List":
			p.Waiting = unlist(p.Waiting, l.ID, e.At)
		}
	}
}

// applyAffinity folds the categories and brands of what was viewed, added and
// ordered.
func (p *Profile) applyAffinity(e *streams.Event, item lookup) {
	weight := 0.0
	switch e.Name {
	case "Product Viewed":
		weight = weightView
	case "Product Added":
		weight = weightAdd
	case "Order Completed":
		weight = weightOrder
	default:
		return
	}
	lines := eventLines(e)
	for i := range lines {
		category, brand := lines[i].Category, lines[i].Brand
		if len(category) == 0 || brand == "" {
			if it := item.of(lines[i].ID); it != nil {
				if len(category) == 0 {
					category = it.Category
				}
				if brand == "" {
					brand = it.Brand
				}
			}
		}
		var path [maxText + utf8.UTFMax]byte
		p.Categories = p.prefer(p.Categories, asString(appendPath(path[:0], category)), weight, e.At)
		p.Brands = p.prefer(p.Brands, cut(brand, maxText), weight, e.At)
	}
}

// notice puts a product into a list, newest first.
func notice(list []*Interest, l *streams.Line, e *streams.Event, item lookup) []*Interest {
	at := slices.IndexFunc(list, func(i *Interest) bool { return i.Id == l.ID })
	var in *Interest
	if at < 0 {
		list, in = anotherInterest(list, e.At)
		in.Id, in.At, in.FirstAt = l.ID, e.At, e.At
	} else {
		in = list[at]
		list = slices.Delete(list, at, at+1)
	}
	in.count(e.At)
	if e.At >= in.At {
		it := item.of(l.ID)
		in.At, in.Channel, in.Available = e.At, e.Channel, it.IsAvailable()
		if in.Price = l.Price; in.Price == 0 && it != nil {
			in.Price = it.Price
		}
	}
	to := slices.IndexFunc(list, func(i *Interest) bool { return i.At <= in.At })
	if to < 0 {
		to = len(list)
	}
	if list = slices.Insert(list, to, in); len(list) > maxInterests {
		list = slices.Delete(list, maxInterests, len(list))
	}
	return list
}

// anotherInterest returns an empty interest, to be inserted into list: that of the
// oldest where it leaves for it, else one that a shorter list has left.
func anotherInterest(list []*Interest, at int64) ([]*Interest, *Interest) {
	n := len(list)
	if n >= maxInterests && list[n-1].At <= at {
		n--
	}
	list = list[:n]
	if n == cap(list) || list[:n+1][n] == nil {
		return list, &Interest{}
	}
	in := list[:n+1][n]
	in.Reset()
	return list, in
}

// count counts one more time, and one more day if nothing happened on it. Days
// (UTC) are remembered for a month, so that late events count right.
func (i *Interest) count(at int64) {
	i.Times++
	i.FirstAt = min(i.FirstAt, at)
	if i.Days == 0 {
		i.Days = 1
		return
	}
	seen := i.DayBits | 1
	ago := day(i.At) - day(at)
	switch {
	case ago < 0:
		seen = seen<<min(-ago, 32) | 1
		i.Days++
	case ago >= 32:
		i.Days++
	case seen&(1<<ago) == 0:
		seen |= 1 << ago
		i.Days++
	}
	if i.DayBits = seen; bits.OnesCount32(seen) == 1 {
		i.DayBits = 0
	}
}

// day is the number of a time's UTC day.
func day(at int64) int64 {
	if at < 0 {
		return (at+1)/dayMs - 1
	}
	return at / dayMs
}

// unlist takes a product out of a list, unless it was put there later.
func unlist(list []*Interest, id string, at int64) []*Interest {
	return slices.DeleteFunc(list, func(i *Interest) bool { return i.Id == id && i.At <= at })
}
