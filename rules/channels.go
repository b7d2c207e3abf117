package rules

import (
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// freeChannels need neither address nor consent: who receives them decides.
var freeChannels = map[string]bool{"webhook": true, "kafka": true, "log": true}

// placeChannels need no address: their messages wait in the profile.
var placeChannels = map[string]bool{"web": true, "app": true, "pos": true, "call_center": true, "kiosk": true}

// address is where the customer is reached in a channel. reason is "" or why
// the customer is not: no_address, no_consent (there is an address) or
// suppressed. A transactional message needs no consent.
func (o *policy) address(p *profiles.Profile, channel string, transactional bool) (to, reason string) {
	if freeChannels[channel] {
		return "", ""
	}
	if !placeChannels[channel] {
		if to = p.Address(channel); to == "" {
			return "", ReasonNoAddress
		}
	}
	switch {
	case suppressed(p, channel):
		return "", ReasonSuppressed
	case !transactional && !o.consented(p, channel):
		return "", ReasonNoConsent
	}
	return to, ""
}

// unsubscribeURL is the link that ends the messages in the channel of m, for
// channels that carry it to an address.
func (e *Env) unsubscribeURL(m *streams.Message) string {
	if e == nil || m.To == "" {
		return ""
	}
	return streams.Unsubscribe{Profile: m.Profile, Channel: m.Channel, Message: m.ID}.URL(e.URL, e.Secret)
}

func suppressed(p *profiles.Profile, channel string) bool {
	for _, s := range p.Suppressed {
		if s.Channel == channel {
			return true
		}
	}
	return false
}

func (o *policy) consented(p *profiles.Profile, channel string) bool {
	for _, c := range p.Consents {
		if c.Channel == channel {
			return c.Granted
		}
	}
	return !o.needsConsent(channel)
}

// choose is the first of the channels that reaches the customer. Without one,
// reason is no_consent where that was all that lacked in some channel, else
// suppressed, else no_address.
func (o *policy) choose(p *profiles.Profile, s *send) (channel, to, reason string) {
	lacks := map[string]bool{}
	for _, c := range s.channels {
		to, why := o.address(p, c, s.transactional)
		if why == "" {
			return c, to, ""
		}
		lacks[why] = true
	}
	for _, why := range []string{ReasonNoConsent, ReasonSuppressed} {
		if lacks[why] {
			return "", "", why
		}
	}
	return "", "", ReasonNoAddress
}
