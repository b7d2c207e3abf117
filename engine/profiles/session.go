package profiles

import (
	"slices"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

const (
	maxSessionItems = 20
	maxQuery        = 200 // bytes
)

// applySession opens or continues the session; it reports whether it opened
// one. What is older than the latest session opens none.
func (p *Profile) applySession(e *streams.Event, gap time.Duration) bool {
	s, ms := p.Session, gap.Milliseconds()
	opened := s == nil || e.At > s.LastAt+ms
	switch {
	case opened:
		s = &Session{StartedAt: e.At, LastAt: e.At, Channel: e.Channel}
		p.Session = s
		p.Sessions++
	case e.At < s.StartedAt-ms:
		return false
	case e.At < s.StartedAt:
		s.StartedAt, s.Channel = e.At, e.Channel
	}
	s.LastAt = max(s.LastAt, e.At)
	s.Events++
	switch e.Name {
	case "Product Added":
		for _, l := range eventLines(e) {
			s.Added = latest(s.Added, l.ID)
		}
	case "Products Searched":
		s.Searched = latest(s.Searched, cut(e.Query, maxQuery))
	}
	return opened
}

// viewedInSession fills the session's views, which are not stored: they are
// the viewed items since it began.
func (p *Profile) viewedInSession() {
	s := p.Session
	if s == nil {
		return
	}
	s.Viewed = s.Viewed[:0]
	for i := len(p.Viewed) - 1; i >= 0; i-- {
		if v := p.Viewed[i]; v.At >= s.StartedAt {
			s.Viewed = append(s.Viewed, v.Id)
		}
	}
}

// latest moves v to the end of a list of at most 20.
func latest(list []string, v string) []string {
	if v == "" {
		return list
	}
	if i := slices.Index(list, v); i >= 0 {
		list = slices.Delete(list, i, i+1)
	} else if len(list) >= maxSessionItems {
		list = slices.Delete(list, 0, 1)
	}
	return append(list, v)
}

// applyChannel counts the event for its channel; channels stay in the order
// of first use.
func (p *Profile) applyChannel(e *streams.Event) {
	i := slices.IndexFunc(p.Channels, func(c *Channel) bool { return c.Name == e.Channel })
	if i < 0 {
		if len(p.Channels) >= maxChannels {
			return
		}
		i = len(p.Channels)
		p.Channels = append(p.Channels, &Channel{Name: e.Channel, FirstAt: e.At, LastAt: e.At})
	}
	c := p.Channels[i]
	c.Events++
	c.FirstAt, c.LastAt = min(c.FirstAt, e.At), max(c.LastAt, e.At)
	for ; i > 0 && p.Channels[i-1].FirstAt > c.FirstAt; i-- {
		p.Channels[i-1], p.Channels[i] = p.Channels[i], p.Channels[i-1]
	}
}

// maxChannels bounds the channels that a profile counts apart.
const maxChannels = 32
