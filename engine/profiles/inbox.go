package profiles

import "slices"

// maxInbox bounds the messages that wait for a customer; the newest stay.
const maxInbox = 20

// Wait keeps a message until the customer comes to its channel, or it expires.
func (p *Profile) Wait(m *Pending, now int64) {
	p.Inbox = slices.DeleteFunc(p.Inbox, func(o *Pending) bool { return o.Expires <= now || o.Id == m.Id })
	p.Inbox = slices.Delete(p.Inbox, 0, max(0, len(p.Inbox)-maxInbox+1))
	p.Inbox = append(p.Inbox, m)
}

// Shown takes a message out that the customer has seen.
func (p *Profile) Shown(id string) {
	p.Inbox = slices.DeleteFunc(p.Inbox, func(o *Pending) bool { return o.Id == id })
}

// Waits lists the messages that wait for the customer in a channel, or in any
// (""), the oldest first, as JSON. They share memory with p's encoding.
func (p *Profile) Waits(channel string, now int64) [][]byte {
	var list [][]byte
	for _, m := range p.Inbox {
		if m.Expires > now && (channel == "" || m.Channel == channel) {
			list = append(list, m.Body)
		}
	}
	return list
}
