package reference

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
)

// held is what send answers when the message is to be decided again later.
const held = "held"

// needNothing are the channels of which the receiver decides; inPlace those
// where the customer is.
var (
	needNothing = []string{"webhook", "kafka", "log"}
	inPlace     = []string{"web", "app", "pos", "call_center", "kiosk"}
)

// send decides a message that was due at a time: "" if it was sent, held, or why
// not.
func (w *walk) send(r *run, s *step, due int64) string {
	p, first := &w.m.rules.policy, due
	if r.heldSince != 0 {
		first = r.heldSince
	}
	r.heldSince = 0
	long := s.send.expire
	if long == 0 {
		long = p.expire
	}
	if w.m.live && due+long <= w.now {
		return "expired"
	}
	if !w.holds(s.send.cond, nil, r) {
		return "condition"
	}
	channel, reason := w.channel(&s.send)
	if reason != "" {
		return reason
	}
	free := s.send.transactional
	if !free {
		if until, why := w.held(r, s, channel); why != "" {
			if until-first >= long || why == "capped" && (s.send.drop || !p.wait && !s.send.wait) {
				return why
			}
			r.step, r.stepAt, r.due, r.heldSince = s, w.now, until, first
			return held
		}
	}
	if r.variant == "" {
		r.variant = variantOf(r, s.send.variants)
	}
	past := w.c.pastOf(r.trigger.name)
	past.messageAt = due
	switch {
	case !free && (draw("*", r.profile) < p.holdout || draw(r.trigger.name, r.profile) < r.trigger.holdout):
		return "holdout"
	case r.trigger.shadow:
		return "shadow"
	}
	id := messageID(r.trigger.name, s.index, r.profile, r.startedBy)
	r.sent, r.last, r.status = r.sent+1, id, "queued"
	w.c.messages = append(w.c.messages, message{id, r.trigger.name, channel, due, !free})
	w.m.decide(Decision{Profile: w.c.id, Trigger: r.trigger.name, Step: s.index, At: due, ID: id, Channel: channel,
		Variant: r.variant, Expires: due + long, Items: w.items(r, s.send.items)})
	return ""
}

// channel is the first channel that reaches the customer, or why none does.
func (w *walk) channel(s *send) (channel, reason string) {
	p, lacks := &w.m.rules.policy, map[string]bool{}
	for _, channel := range s.channels {
		if slices.Contains(needNothing, channel) {
			return channel, ""
		}
		must, named := p.consent[channel]
		if !named {
			must = p.consent["default"]
		}
		a, answered := w.c.consents[channel]
		switch {
		case !slices.Contains(inPlace, channel) && w.address(channel) == "":
			lacks["no_address"] = true
		case w.c.stopped[channel]:
			lacks["suppressed"] = true
		case !s.transactional && (answered && !a.yes || !answered && must):
			lacks["no_consent"] = true
		default:
			return channel, ""
		}
	}
	for _, why := range []string{"no_consent", "suppressed"} {
		if lacks[why] {
			return "", why
		}
	}
	return "", "no_address"
}

// address is where a channel reaches the customer: an identifier or a trait.
func (w *walk) address(channel string) string {
	name := map[string]string{"email": "email", "sms": "phone"}[channel]
	for _, id := range w.c.ids {
		if name != "" && len(id) > len(name) && id[:len(name)+1] == name+":" {
			return id[len(name)+1:]
		}
	}
	if t := w.c.traits[name]; name != "" && t.value != nil {
		return fmt.Sprint(t.value)
	}
	return ""
}

// held says until when a message must not be sent, and why; "" for now.
func (w *walk) held(r *run, s *step, channel string) (int64, string) {
	p := &w.m.rules.policy
	if until := untilOpen(w.now, p.quiet, s.send.hours, w.zone()); until > w.now {
		return until, "quiet"
	}
	until := w.now
	for _, l := range p.caps {
		until = max(until, w.free(&l, r.trigger.name, channel))
	}
	if until > w.now {
		return until, "capped"
	}
	return 0, ""
}

// free is when a cap lets a message through.
func (w *walk) free(l *limit, trigger, channel string) int64 {
	counts := func(trigger, channel string) bool {
		return (l.channel == "" || l.channel == "*" || l.channel == channel) && (l.triggers == nil || slices.Contains(l.triggers, trigger))
	}
	if !counts(trigger, channel) {
		return w.now
	}
	var in []int64 // when those were sent that are in the window
	for _, m := range w.c.messages {
		if m.counts && counts(m.trigger, m.channel) && m.at > w.now-l.per {
			in = append(in, m.at)
		}
	}
	if len(in) < l.times {
		return w.now
	}
	slices.Sort(in)
	return in[len(in)-l.times] + l.per
}

// draw is where a customer stands from 0 to 1.
func draw(trigger, profile string) float64 {
	sum := sha256.Sum256([]byte(trigger + "\x00" + profile))
	return float64(binary.BigEndian.Uint64(sum[:8])) / (1 << 63) / 2
}

// variantOf shares those not held out among the variants.
func variantOf(r *run, list []variant) string {
	if len(list) == 0 {
		return ""
	}
	u := draw(r.trigger.name, r.profile)
	if h := r.trigger.holdout; h > 0 && h < 1 {
		u = max(0, (u-h)/(1-h))
	}
	for _, v := range list {
		if u < v.share {
			return v.name
		}
		u -= v.share
	}
	return list[len(list)-1].name
}

// messageID is the start of SHA-256 over profile, step and what started the run.
func messageID(trigger string, step int, profile, startedBy string) string {
	sum := sha256.Sum256([]byte(profile + "\x00" + strconv.Itoa(step) + "\x00" + startedBy))
	return fmt.Sprintf("%s.%d.%x", trigger, step, sum[:8])
}

// items are what a message is about, sorted.
func (w *walk) items(r *run, which string) []string {
	out := []string{}
	switch which {
	case "cart":
		for _, l := range w.c.lines(w.now) {
			out = append(out, fmt.Sprintf("%s x%d", l.id, l.quantity))
		}
	case "event":
		if r.event != nil {
			for _, l := range r.event.lines() {
				n := l.Quantity
				if !l.Given {
					n = 0
				}
				out = append(out, fmt.Sprintf("%s x%d", l.ID, n))
			}
		}
	case "run":
		for _, m := range r.matches {
			out = append(out, m.id+" x0")
		}
		if r.matches == nil && r.event != nil {
			for _, l := range r.event.lines() {
				out = append(out, l.ID+" x0")
			}
		}
	}
	slices.Sort(out)
	return out
}
