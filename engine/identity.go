package engine

import (
	"fmt"
	"strings"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/rules"
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
		p := w.open(id)
		if p.AliasOf == "" {
			if strings.HasPrefix(id, messagePrefix) {
				w.counts.Issues["unknown_message"]++
				return nil
			}
			return p
		}
		if contains(passed, p.AliasOf) {
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
	value, err := json.Marshal(l)
	if err != nil {
		panic("BUG: cannot encode a link: " + err.Error())
	}
	w.counts.Links++
	kind := []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindLink)}}
	w.outbox.event(w.partitionOf(l.From), l.From, value, kind)
}

// linkMessage lets feedback that names nothing but the message find its
// customer.
func (w *worker) linkMessage(m *streams.Message) {
	w.sendLink(streams.Link{From: messagePrefix + m.ID, To: m.Profile, At: m.At.UnixMilli()})
}

// onLink makes an identifier at home here the alias of a stronger one.
func (w *worker) onLink(rec *streams.Record) {
	var l streams.Link
	switch err := json.Unmarshal(rec.Value, &l); {
	case err != nil:
		w.deadLetter(rec, fmt.Errorf("cannot read a link: %w", err))
		return
	case !streams.Named(l.From) || !streams.Named(l.To):
		w.deadLetter(rec, fmt.Errorf("cannot link %.300q to %.300q: each must be type:value", l.From, l.To))
		return
	}
	p := w.open(l.From)
	result := profiles.Link(p, l, w.cfg.Identity)
	w.store.Changed(p)
	switch result.Kind {
	case profiles.Linked:
		w.counts.Aliases++
		w.superseded(p, result.Ended)
	case profiles.Conflict, profiles.Blocked:
		w.counts.Conflicts++
	case profiles.PassOn:
		w.sendLink(result.PassOn)
	}
}

// superseded counts the runs that end because their customer is somebody known.
func (w *worker) superseded(p *profiles.Profile, ended []*profiles.Run) {
	t := w.turn(p, nil)
	for _, run := range ended {
		t.Skips = append(t.Skips, rules.Skip{Trigger: run.Trigger, Step: int(run.Step), Reason: skipSuperseded})
		t.Ended = append(t.Ended, run.Trigger)
		w.counts.skip(run.Trigger, skipSuperseded)
	}
	w.state.tally(t)
	if w.watch != nil && len(ended) > 0 {
		w.watch(t)
	}
}

func (w *worker) partitionOf(id string) int32 { return streams.Partition(id, w.cfg.Partitions) }

func contains(list []string, s string) bool {
	for i := range list {
		if list[i] == s {
			return true
		}
	}
	return false
}
