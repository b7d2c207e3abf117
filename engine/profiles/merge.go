package profiles

import (
	"cmp"
	"slices"
	"strings"
)

// Merge makes p what it would be had every event of x been its own: x is what
// an identifier had collected before it turned out, at a time (Unix ms, that of
// the event that said so), to be p's customer. now is the partition's time. x is
// used up. It returns the runs that had to give way to others of their trigger
// and key.
func (s *Settings) Merge(p, x *Profile, at, now int64) (dropped []*Run) {
	p.mergeIdentifiers(x)
	p.Events += x.Events
	p.mergeContext(x)
	if p.mergeTraits(x, now) != "" {
		p.mergeTraitsLater(x) // too large together: the newer ones count
	}
	for _, c := range x.Consents {
		p.consent(c.Channel, c.Granted, c.At, c.Source)
	}
	p.mergeSuppressed(x)
	p.mergeChannels(x)
	p.mergeSession(x, s.SessionGap)
	p.Viewed = mergeInterests(p.Viewed, x.Viewed)
	p.Wishlist = mergeInterests(p.Wishlist, x.Wishlist)
	p.Waiting = mergeInterests(p.Waiting, x.Waiting)
	p.viewedInSession()
	p.Categories = mergePreferences(p.Categories, x.Categories)
	p.Brands = mergePreferences(p.Brands, x.Brands)
	p.mergeJoints(x, at)
	p.mergeCart(x, now, s.CartTTL)
	p.settle(now)
	p.mergeOrders(x)
	p.mergeTimeline(x)
	p.mergeDedupe(x, now, s.MaxDedupe)
	p.mergeCounts(x, now)
	p.mergeMessages(x)
	p.mergeTriggers(x)
	p.mergeCaps(x)
	p.mergeDecisions(x)
	return p.mergeRuns(x)
}

// mergeIdentifiers lists x's identifiers, of which those that p was refused
// stay out.
func (p *Profile) mergeIdentifiers(x *Profile) {
	for _, id := range x.Identifiers {
		if len(p.Identifiers) < maxIdentifiers && !slices.Contains(p.Identifiers, id) && !slices.Contains(p.Refused, id) {
			p.list(parse(id))
		}
	}
	for _, id := range x.Claimed {
		if len(p.Claimed) < maxClaimed && !slices.Contains(p.Claimed, id) && !slices.Contains(p.Identifiers, id) {
			p.Claimed = append(p.Claimed, id)
		}
	}
	for _, id := range x.Refused {
		p.Refuse(id)
	}
}

func (p *Profile) mergeContext(x *Profile) {
	if x.FirstAt != 0 && (p.FirstAt == 0 || x.FirstAt < p.FirstAt) {
		p.FirstAt = x.FirstAt
	}
	p.LastAt = max(p.LastAt, x.LastAt)
	keepLatest(&p.Locale, &p.LocaleAt, x.Locale, x.LocaleAt)
	keepLatest(&p.Timezone, &p.TimezoneAt, x.Timezone, x.TimezoneAt)
	keepLatest(&p.PushToken, &p.PushTokenAt, x.PushToken, x.PushTokenAt)
	p.SoftBounces = max(p.SoftBounces, x.SoftBounces)
}

// mergeTraits keeps of each trait the latest value; at the same time a value
// wins over a removal, then p's own.
func (p *Profile) mergeTraits(x *Profile, now int64) (issue string) {
	theirs, err := x.loadTraits()
	if err != nil || len(theirs) == 0 {
		return ""
	}
	all, err := p.loadTraits()
	if err != nil {
		return "bad_traits"
	}
	for name, t := range theirs { // map order: names differ
		own, had := all[name]
		if !had || t.at > own.at || t.at == own.at && own.value == nil {
			all[name] = t
		}
	}
	return p.storeTraits(all, now)
}

func (p *Profile) mergeTraitsLater(x *Profile) {
	if x.TraitsAt > p.TraitsAt {
		p.Traits, p.TraitAges, p.TraitsAt = x.Traits, x.TraitAges, x.TraitsAt
	}
}

func (p *Profile) mergeSuppressed(x *Profile) {
	for _, theirs := range x.Suppressed {
		p.Suppress(theirs.Channel, theirs.Reason, theirs.At)
		for _, own := range p.Suppressed {
			if own.Channel == theirs.Channel && theirs.At < own.At {
				own.Reason, own.At = theirs.Reason, theirs.At
			}
		}
	}
}

func (p *Profile) mergeChannels(x *Profile) {
	for _, theirs := range x.Channels {
		i := slices.IndexFunc(p.Channels, func(c *Channel) bool { return c.Name == theirs.Name })
		switch {
		case i >= 0:
			c := p.Channels[i]
			c.Events += theirs.Events
			c.FirstAt, c.LastAt = min(c.FirstAt, theirs.FirstAt), max(c.LastAt, theirs.LastAt)
		case len(p.Channels) < maxChannels:
			p.Channels = append(p.Channels, theirs)
		}
	}
	slices.SortStableFunc(p.Channels, func(a, b *Channel) int { return cmp.Compare(a.FirstAt, b.FirstAt) })
}

// mergeCounts adds the times of the events that rules count.
func (p *Profile) mergeCounts(x *Profile, now int64) {
	for _, theirs := range x.Counts {
		c := p.eventCount(theirs.Name)
		c.LastAt = max(c.LastAt, theirs.LastAt)
		c.At = append(c.At, theirs.At...)
		slices.Sort(c.At)
		c.trim(now)
	}
}

// mergeMessages takes over what was sent, for feedback and for caps.
func (p *Profile) mergeMessages(x *Profile) {
	for _, m := range x.Messages {
		if !slices.ContainsFunc(p.Messages, func(own *SentMessage) bool { return own.Id == m.Id }) {
			p.Messages = append(p.Messages, m)
		}
	}
	slices.SortStableFunc(p.Messages, func(a, b *SentMessage) int { return cmp.Or(cmp.Compare(b.At, a.At), strings.Compare(a.Id, b.Id)) })
	if len(p.Messages) > maxMessages {
		p.Messages = slices.Delete(p.Messages, maxMessages, len(p.Messages))
	}
	for _, theirs := range x.MessageStats {
		s := p.messageStats(theirs.Channel)
		if s == nil {
			continue
		}
		s.Sent += theirs.Sent
		s.Opened += theirs.Opened
		s.Clicked += theirs.Clicked
		s.Unopened += theirs.Unopened
		s.LastSentAt = max(s.LastSentAt, theirs.LastSentAt)
		s.LastOpenedAt = max(s.LastOpenedAt, theirs.LastOpenedAt)
		s.LastClickedAt = max(s.LastClickedAt, theirs.LastClickedAt)
	}
}

// maxMessages is how many messages a profile remembers.
const maxMessages = 20

// maxRefused bounds the identifiers that are remembered to belong to others.
const maxRefused = 20

// Refuse takes an identifier off p that stayed with another profile, and
// remembers it, so that it is not asked for again.
func (p *Profile) Refuse(id string) {
	p.Identifiers = slices.DeleteFunc(p.Identifiers, func(own string) bool { return own == id && id != p.Id })
	if id != p.Id {
		p.unjoin(func(left string) bool { return left == id })
	}
	if id == p.Id || slices.Contains(p.Refused, id) {
		return
	}
	if p.Refused = append(p.Refused, id); len(p.Refused) > maxRefused {
		p.Refused = slices.Delete(p.Refused, 0, len(p.Refused)-maxRefused)
	}
}

// Allow lets p list an identifier again that it was refused.
func (p *Profile) Allow(id string) {
	p.Refused = slices.DeleteFunc(p.Refused, func(own string) bool { return own == id })
}
