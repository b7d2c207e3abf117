package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// policy bounds all triggers. The zero value is that of a shop that writes none,
// but for expire.
type policy struct {
	quiet      *hours
	caps       []frequency
	expire     int64 // ms
	holdout    float64
	consent    map[string]bool // by channel: a consent must have been given
	optIn      *bool           // of channels that consent does not name; nil: as without a policy
	whenCapped string          // wait or drop
}

// frequency is a cap: so many messages in a rolling window.
type frequency struct {
	channel  string   // "*": any
	triggers []string // nil: any
	times    int
	per      int64 // ms
}

func (c *frequency) counts(trigger, channel string) bool {
	return (c.channel == "" || c.channel == "*" || c.channel == channel) && anyOf(c.triggers, trigger)
}

// needsConsent reports whether a channel needs a consent that was given; others
// need one that was not refused.
func (p *policy) needsConsent(channel string) bool {
	if p != nil {
		if in, ok := p.consent[channel]; ok {
			return in
		}
		if p.optIn != nil {
			return *p.optIn
		}
	}
	return channel == "email" || channel == "sms"
}

// window is the longest that a cap looks back, 0 without caps.
func (p *policy) window() int64 {
	var longest int64
	for i := range p.caps {
		longest = max(longest, p.caps[i].per)
	}
	return longest
}

// freeAt is when no cap stands against a message, now or later.
func (p *policy) freeAt(c *profiles.Profile, trigger, channel string, now int64) int64 {
	at := now
	for i := range p.caps {
		limit := &p.caps[i]
		if !limit.counts(trigger, channel) {
			continue
		}
		n := 0 // from the newest: the one that fills the cap must leave its window
		for _, m := range slices.Backward(c.Touches) {
			if !limit.counts(m.Trigger, m.Channel) {
				continue
			}
			if n++; n == limit.times {
				at = max(at, m.At+limit.per)
				break
			}
		}
	}
	return at
}

// maxTouches bounds the messages that caps remember of one customer.
const maxTouches = 500

// touch counts a message for the caps.
func (p *policy) touch(c *profiles.Profile, m *profiles.Touch) {
	window := p.window()
	if window == 0 {
		return
	}
	old := 0
	for old < len(c.Touches) && (c.Touches[old].At <= m.At-window || len(c.Touches)-old >= maxTouches) {
		old++
	}
	c.Touches = slices.Delete(c.Touches, 0, old)
	i := len(c.Touches)
	for i > 0 && c.Touches[i-1].At > m.At {
		i--
	}
	c.Touches = slices.Insert(c.Touches, i, m)
}

// untouch gives back what a message took from the caps.
func untouch(c *profiles.Profile, message string) {
	if len(c.Touches) == 0 || message == "" {
		return
	}
	hash := xxhash.Sum64String(message)
	c.Touches = slices.DeleteFunc(c.Touches, func(m *profiles.Touch) bool { return m.Message == hash })
}

// draw is where a customer stands from 0 to 1 for a trigger ("*": for all).
func draw(trigger, profile string) float64 {
	sum := sha256.Sum256([]byte(trigger + "\x00" + profile))
	return float64(binary.BigEndian.Uint64(sum[:8])) / (1 << 64)
}

// heldOut reports whether a customer is one of those that the trigger, or every
// one, leaves out so that its effect can be measured.
func (s *Set) heldOut(t *Trigger, profile string) bool {
	return s.policy.holdout > 0 && draw("*", profile) < s.policy.holdout ||
		t.holdout > 0 && draw(t.Name, profile) < t.holdout
}

// variantOf is the variant that a customer gets, "" where there are none.
func (t *Trigger) variantOf(list []variant, profile string) string {
	if len(list) == 0 {
		return ""
	}
	u := draw(t.Name, profile)
	if t.holdout > 0 && t.holdout < 1 {
		u = math.Max(0, (u-t.holdout)/(1-t.holdout)) // those not held out
	}
	for _, v := range list {
		if u -= v.share; u < 0 {
			return v.name
		}
	}
	return list[len(list)-1].name
}

// limit is where a trigger's life begins or ends: a moment, or a day of the
// default zone.
type limit struct {
	ms  int64
	day time.Time // in UTC; the zero time: ms
}

func (l *limit) begin(loc *time.Location) int64 {
	if l.day.IsZero() {
		return l.ms
	}
	return localTime(l.day, 0, loc)
}

// end is when a limit is past: a day at its end.
func (l *limit) end(loc *time.Location) int64 {
	if l.day.IsZero() {
		return l.ms
	}
	return localTime(l.day.AddDate(0, 0, 1), 0, loc)
}

// alive reports whether the trigger may start at a time.
func (s *Set) alive(t *Trigger, now int64, env *Env) bool {
	if t.from == nil && t.to == nil {
		return true
	}
	loc := time.UTC
	if env != nil {
		if l := s.zones.get(env.Timezone); l != nil {
			loc = l
		}
	}
	return (t.from == nil || now >= t.from.begin(loc)) && (t.to == nil || now < t.to.end(loc))
}
