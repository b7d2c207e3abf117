package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// messagePrefix begins the identifier that stands for whoever got a message:
// feedback may name the message alone.
const messagePrefix = streams.MessageType + ":"

// route finds the profile that an event belongs to: that of its strongest
// identifier, or the one that identifier points to. Where that is another
// partition's, the event is forwarded there and route returns nil, as it does
// for feedback on a message that is not known.
func (w *worker) route(rec *streams.Record, e *streams.Event) *profiles.Profile {
	id, passed := w.target(rec, e)
	for {
		if home := w.partitionOf(id); home != w.id {
			w.forward(rec, e, id, home, passed)
			return nil
		}
		w.catchUp(id)
		p := w.open(id)
		if p.AliasOf == "" {
			if strings.HasPrefix(id, messagePrefix) {
				w.counts.Issues["unknown_message"]++
				return nil
			}
			return p
		}
		if slices.Contains(passed, p.AliasOf) {
			w.counts.Looped++
			return p
		}
		passed = append(passed, id)
		id = p.AliasOf
	}
}

// target is the identifier that a record is meant for and those it has passed.
func (w *worker) target(rec *streams.Record, e *streams.Event) (id string, passed []string) {
	if string(rec.Header(streams.HeaderKind)) != streams.KindForward || !streams.Named(string(rec.Key)) {
		return w.strongest(e).String(), nil
	}
	if list := rec.Header(streams.HeaderPassed); len(list) > 0 {
		passed = strings.Split(string(list), "\n")
	}
	return string(rec.Key), passed
}

// strongest is the event's strongest identifier that is not blocked; the
// strongest of all if each is.
func (w *worker) strongest(e *streams.Event) streams.Identifier {
	if len(w.cfg.Identity.Blocked) > 0 {
		for _, id := range e.Identifiers {
			if !w.cfg.Identity.Blocked[id.String()] {
				return id
			}
		}
	}
	return e.Identifiers[0]
}

// forward sends an event on to the home of the identifier that it belongs to.
func (w *worker) forward(rec *streams.Record, e *streams.Event, id string, home int32, passed []string) {
	headers := []streams.Header{
		{Key: streams.HeaderKind, Value: []byte(streams.KindForward)},
		streams.FirstHeader(e),
	}
	if len(passed) > 0 {
		headers = append(headers, streams.Header{Key: streams.HeaderPassed, Value: []byte(strings.Join(passed, "\n"))})
	}
	if trust := rec.Header(streams.HeaderTrust); trust != nil {
		headers = append(headers, streams.Header{Key: streams.HeaderTrust, Value: trust})
	}
	w.counts.Forwarded++
	w.outbox.event(home, id, rec.Value, headers)
}

// link tells the home of each weaker identifier that it points to p now.
func (w *worker) link(p *profiles.Profile, e *streams.Event, weaker []streams.Identifier) {
	if p.Blocked || w.cfg.Identity.Blocked[p.Id] {
		return
	}
	for _, id := range weaker {
		w.sendLink(streams.Link{From: id.String(), To: p.Id, At: e.At})
	}
}

// sendLink sends a link to the home of its weaker identifier.
func (w *worker) sendLink(l streams.Link) {
	if w.cfg.Identity.Blocked[l.From] || w.cfg.Identity.Blocked[l.To] {
		return
	}
	w.counts.Links++
	w.sendOwn(streams.KindLink, l.From, &l)
}

// sendOwn sends a record of Rapport's own to the home of an identifier.
func (w *worker) sendOwn(kind, to string, l *streams.Link) {
	value, err := json.Marshal(l)
	if err != nil {
		panic("BUG: cannot encode a link: " + err.Error())
	}
	w.outbox.event(w.partitionOf(to), to, value, []streams.Header{{Key: streams.HeaderKind, Value: []byte(kind)}})
}

// linkMessage lets feedback that names nothing but the message find its
// customer.
func (w *worker) linkMessage(m *streams.Message) {
	w.sendLink(streams.Link{From: messagePrefix + m.ID, To: m.Profile, At: m.At.UnixMilli()})
}

// onLink makes an identifier at home here the alias of a stronger one, and ships
// there what it has collected.
func (w *worker) onLink(rec *streams.Record) {
	var l streams.Link
	if !w.readLink(rec, &l) {
		return
	}
	w.catchUp(l.From)
	p := w.open(l.From)
	result := profiles.Link(p, l, w.cfg.Identity)
	switch result.Kind {
	case profiles.Linked:
		w.counts.Aliases++
		w.store.Changed(p)
		w.ship(p, &l)
	case profiles.Conflict, profiles.Blocked, profiles.Forbidden:
		w.counts.Conflicts++
		w.store.Changed(p)
		w.refuse(&l, false)
		if result.Freed != "" {
			w.refuse(&streams.Link{From: p.Id, To: result.Freed, At: l.At}, false)
		}
	case profiles.PassOn:
		w.sendLink(result.PassOn)
	}
}

// readLink decodes a link; what is none becomes a dead letter.
func (w *worker) readLink(rec *streams.Record, l *streams.Link) bool {
	switch err := json.Unmarshal(rec.Value, l); {
	case err != nil:
		w.deadLetter(rec, fmt.Errorf("cannot read a link: %w", err))
		return false
	case !streams.Named(l.From) || !streams.Named(l.To) || l.By != "" && (!streams.Named(l.By) || !streams.Named(l.Of)):
		w.deadLetter(rec, fmt.Errorf("cannot link %.300q to %.300q: each must be type:value", l.From, l.To))
		return false
	}
	return true
}

// unblocked takes identifiers that link nothing off an event, but for the one
// that it is applied to.
func (w *worker) unblocked(p *profiles.Profile, e *streams.Event) {
	if len(w.cfg.Identity.Blocked) == 0 {
		return
	}
	e.Identifiers = slices.DeleteFunc(e.Identifiers, func(id streams.Identifier) bool {
		s := id.String()
		return s != p.Id && w.cfg.Identity.Blocked[s]
	})
}

func (w *worker) partitionOf(id string) int32 { return streams.Partition(id, w.cfg.Partitions) }
