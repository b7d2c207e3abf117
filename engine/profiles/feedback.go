package profiles

import (
	"cmp"
	"slices"
	"strings"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
)

// feedback has the status that an event about a message leads to. A complaint
// leads to none: it says that the message was read, and not liked.
var feedback = map[string]string{
	"Message Sent": "sent", "Message Delivered": "delivered", "Message Opened": "opened",
	"Message Clicked": "clicked", "Message Bounced": "bounced", "Message Failed": "failed",
	"Message Skipped": "skipped", "Message Complained": "",
}

// progress orders the statuses of a message, which only move forward.
var progress = map[string]int{
	"queued": 0, "sent": 1, "delivered": 2, "failed": 3, "skipped": 3, "bounced": 4, "opened": 5, "clicked": 6,
}

// maxSoftBounces in a row suppress a channel.
const maxSoftBounces = 5

// applyFeedback folds what became of a message, and returns the status that one
// of the latest has come to by it, "" where none has.
func (p *Profile) applyFeedback(e *streams.Event) (moved string) {
	status, about := feedback[e.Name]
	if !about {
		return ""
	}
	var m *SentMessage
	if i := slices.IndexFunc(p.Messages, func(m *SentMessage) bool { return m.Id == e.MessageRef }); i >= 0 && e.MessageRef != "" {
		m = p.Messages[i]
	}
	props := properties(e)
	channel := feedbackChannel(m, props, e)
	if status == "" {
		p.Suppress(channel, "complaint", e.At)
		return ""
	}
	p.bounces(channel, status, props, e.At)
	before := ""
	if m != nil {
		if before = cmp.Or(m.Status, "queued"); progress[status] <= progress[before] {
			return ""
		}
		m.Status, moved = status, status
	}
	if s := p.messageStats(channel); s != nil {
		s.count(before, status, e.At)
	}
	return moved
}

// feedbackChannel is the channel of the message that e is about: as remembered,
// as e says, or email for Segment's "Email Opened" and its like, which have
// Rapport's names by now.
func feedbackChannel(m *SentMessage, props map[string]any, e *streams.Event) string {
	if m != nil {
		return m.Channel
	}
	if channel := cut(text(props, "channel"), maxText); channel != "" {
		return channel
	}
	var sent struct {
		Event string `json:"event"`
	}
	if json.Unmarshal(e.Raw, &sent) == nil && strings.HasPrefix(sent.Event, "Email ") {
		return "email"
	}
	return e.Channel
}

// bounces suppresses a channel after a hard bounce or five soft ones in a row.
func (p *Profile) bounces(channel, status string, props map[string]any, at int64) {
	switch status {
	case "delivered", "opened", "clicked":
		p.SoftBounces = 0
	case "bounced":
		kind := strings.ToLower(cmp.Or(text(props, "bounce_type"), text(props, "type")))
		switch kind {
		case "soft", "transient", "temporary":
			if p.SoftBounces++; p.SoftBounces >= maxSoftBounces {
				p.Suppress(channel, "soft_bounces", at)
			}
		default:
			p.Suppress(channel, "hard_bounce", at)
		}
	}
}

// Suppress stops all messages in a channel; the first reason stays.
func (p *Profile) Suppress(channel, reason string, at int64) {
	i, found := slices.BinarySearchFunc(p.Suppressed, channel, func(s *Suppression, channel string) int {
		return strings.Compare(s.Channel, channel)
	})
	if !found && len(p.Suppressed) < maxChannels {
		p.Suppressed = slices.Insert(p.Suppressed, i, &Suppression{Channel: channel, Reason: reason, At: at})
	}
}

// messageStats returns the counters of a channel, in order of channel; nil when
// there are too many.
func (p *Profile) messageStats(channel string) *MessageStats {
	i, found := slices.BinarySearchFunc(p.MessageStats, channel, func(s *MessageStats, channel string) int {
		return strings.Compare(s.Channel, channel)
	})
	if !found && len(p.MessageStats) >= maxChannels {
		return nil
	}
	if !found {
		p.MessageStats = slices.Insert(p.MessageStats, i, &MessageStats{Channel: channel})
	}
	return p.MessageStats[i]
}

// count counts a message once as sent, opened and clicked, whatever is skipped
// on its way. before is "" for a message that is not among the latest.
// Unopened counts the messages sent since the last one that was opened.
func (s *MessageStats) count(before, status string, at int64) {
	was, is := progress[before], progress[status]
	opened, clicked := progress["opened"], progress["clicked"]
	if status == "failed" || status == "skipped" {
		return
	}
	if before == "queued" || before == "" && status == "sent" {
		s.Sent++
		s.Unopened++
		s.LastSentAt = max(s.LastSentAt, at)
	}
	if is >= opened && was < opened && (before != "" || status == "opened") {
		s.Opened++
	}
	if is >= opened {
		s.Unopened = 0
		s.LastOpenedAt = max(s.LastOpenedAt, at)
	}
	if is >= clicked && was < clicked {
		s.Clicked++
		s.LastClickedAt = max(s.LastClickedAt, at)
	}
}
