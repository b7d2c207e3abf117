package profiles

import (
	"bytes"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Unmerge takes out of p what Merge had put there of x, as x was shipped. What
// came later stays, and so does what cannot be told apart any more: a refusal of
// consent, and the time when something was seen first.
func (s *Settings) Unmerge(p, x *Profile) {
	theirs := func(id string) bool { return id != p.Id && slices.Contains(x.Identifiers, id) }
	p.Identifiers = slices.DeleteFunc(p.Identifiers, theirs)
	p.unjoin(theirs)
	p.Events = less(p.Events, x.Events)
	p.Sessions = less(p.Sessions, x.Sessions)
	p.unmergeTraits(x)
	p.Consents = slices.DeleteFunc(p.Consents, func(c *Consent) bool {
		return c.Granted && slices.ContainsFunc(x.Consents, func(o *Consent) bool { return o.Granted && o.Channel == c.Channel && o.At == c.At })
	})
	for _, theirs := range x.Channels {
		for _, c := range p.Channels {
			if c.Name == theirs.Name {
				c.Events = less(c.Events, theirs.Events)
			}
		}
	}
	p.Channels = slices.DeleteFunc(p.Channels, func(c *Channel) bool { return c.Events == 0 })
	p.Viewed = unmergeInterests(p.Viewed, x.Viewed)
	p.Wishlist = unmergeInterests(p.Wishlist, x.Wishlist)
	p.Waiting = unmergeInterests(p.Waiting, x.Waiting)
	p.viewedInSession()
	p.Categories = unmergePreferences(p.Categories, x.Categories)
	p.Brands = unmergePreferences(p.Brands, x.Brands)
	p.unmergeCart(x)
	p.unmergeOrders(x)
	p.unmergeTimeline(x)
	p.unmergeCounts(x)
	p.unmergeMessages(x)
	p.Runs = slices.DeleteFunc(p.Runs, func(r *Run) bool {
		return slices.ContainsFunc(x.Runs, func(o *Run) bool {
			return compareRuns(r, o) == 0 && r.Profile == o.Profile && r.StartedBy == o.StartedBy
		})
	})
}

func less(n, by uint64) uint64 { return n - min(n, by) }

// unmergeTraits removes the traits that are still as x said.
func (p *Profile) unmergeTraits(x *Profile) {
	theirs, err := x.loadTraits()
	all, errOwn := p.loadTraits()
	if err != nil || errOwn != nil {
		return
	}
	for name, t := range theirs { // map order: names differ
		if own, had := all[name]; had && own.at == t.at && bytes.Equal(own.value, t.value) {
			delete(all, name)
		}
	}
	p.storeTraits(all, p.LastAt)
}

func unmergeInterests(list, theirs []*Interest) []*Interest {
	return slices.DeleteFunc(list, func(own *Interest) bool {
		i := slices.IndexFunc(theirs, func(o *Interest) bool { return o.Id == own.Id })
		if i < 0 {
			return false
		}
		own.Times -= min(own.Times, theirs[i].Times)
		own.Days = max(own.Days-min(own.Days, theirs[i].Days), 1)
		return own.Times == 0
	})
}

// unmergeCart takes out the changes that x's lines consist of.
func (p *Profile) unmergeCart(x *Profile) {
	if p.Cart == nil || x.Cart == nil {
		return
	}
	for _, id := range x.Cart.ids() {
		h, o := p.Cart.load(id), x.Cart.load(id)
		for _, op := range o.ops {
			if i := slices.IndexFunc(h.ops, func(own *CartOp) bool { return own.At == op.At && own.Quantity == op.Quantity }); i >= 0 {
				h.ops = slices.Delete(h.ops, i, i+1)
			}
		}
		p.basket().store(h, nil, nil, nil)
	}
	p.basket().revise()
}

// unmergeOrders gives back the orders that x counts.
func (p *Profile) unmergeOrders(x *Profile) {
	if p.Orders == nil || x.Orders == nil {
		return
	}
	os, o := p.history(), x.Orders
	os.Count = less(os.Count, o.Count)
	os.Revenue = max(round(os.Revenue-o.Revenue), 0)
	os.Seen = slices.DeleteFunc(os.Seen, func(hash uint64) bool { return slices.Contains(o.Seen, hash) })
	os.Recent = slices.DeleteFunc(os.Recent, func(r *Order) bool {
		if r.Id != "" {
			return slices.Contains(o.Seen, xxhash.Sum64String(r.Id))
		}
		return slices.ContainsFunc(o.Recent, func(t *Order) bool { return t.Id == "" && t.At == r.At && t.Total == r.Total })
	})
	if os.LastAt = 0; len(os.Recent) > 0 {
		os.LastAt = os.Recent[0].At
		os.FirstAt = min(os.FirstAt, os.LastAt)
	}
	if os.Count == 0 {
		p.Orders = nil
	}
}

func (p *Profile) unmergeTimeline(x *Profile) {
	theirs := map[string]bool{}
	for _, e := range x.History() {
		theirs[e.MessageID] = true
	}
	p.setHistory(slices.DeleteFunc(p.History(), func(e Event) bool { return theirs[e.MessageID] }))
}

func (p *Profile) unmergeCounts(x *Profile) {
	for _, theirs := range x.Counts {
		c := p.eventCount(theirs.Name)
		for _, at := range theirs.At {
			if i, found := slices.BinarySearch(c.At, at); found {
				c.At = slices.Delete(c.At, i, i+1)
			}
		}
	}
	p.Counts = slices.DeleteFunc(p.Counts, func(c *EventCount) bool { return len(c.At) == 0 })
}

func (p *Profile) unmergeMessages(x *Profile) {
	p.Messages = slices.DeleteFunc(p.Messages, func(m *SentMessage) bool {
		return slices.ContainsFunc(x.Messages, func(o *SentMessage) bool { return o.Id == m.Id })
	})
	for _, theirs := range x.MessageStats {
		if s := p.messageStats(theirs.Channel); s != nil {
			s.Sent, s.Opened, s.Clicked = less(s.Sent, theirs.Sent), less(s.Opened, theirs.Opened), less(s.Clicked, theirs.Clicked)
			s.Unopened = less(s.Unopened, theirs.Unopened)
		}
	}
}
