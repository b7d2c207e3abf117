package engine

import (
	"errors"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// step takes one record of the partition's log its whole way: the clock moves,
// the event is decoded, teaches the recommender, is routed to its customer,
// changes the profile, and is tested against the triggers. What it causes goes
// to the outbox, numbered. Nothing here may depend on anything but the state
// and the record (DESIGN.md, rule 1).
func (w *worker) step(rec *streams.Record) {
	fresh := rec.Offset >= w.state.Offset // else only the model has not read it
	if fresh {
		w.state.Offset, w.leader = rec.Offset+1, rec.LeaderEpoch
		w.outbox.begin(rec)
		w.moveClock(rec)
		if w.failed != nil || len(rec.Value) == 0 || !w.firstTime(rec) {
			return
		}
		if w.own(rec) {
			return
		}
	}
	e := &w.event
	if err := w.decoder.Decode(rec, e); err != nil {
		if fresh {
			w.deadLetter(rec, err)
		}
		return
	}
	if rec.Header(streams.HeaderKind) == nil {
		w.observe(rec, e)
	}
	if fresh {
		w.logHistory(rec, e)
		w.apply(rec, e)
	}
}

// apply routes a decoded event to its customer's profile, changes it and runs
// the triggers; or forwards it to the partition where that profile lives.
func (w *worker) apply(rec *streams.Record, e *streams.Event) {
	if undo, permit := e.Unlink(); undo || permit {
		w.unlink(rec, e, permit)
		return
	}
	p := w.route(rec, e)
	if p == nil {
		return // forwarded, or nobody's
	}
	w.unblocked(p, e)
	t := w.turn(p, e)
	w.rules.Before(t)
	outcome := w.cfg.Profile.Apply(p, e, w.state.Now, w.item)
	w.counts.applied(e, &outcome)
	w.state.Work.Created += count(outcome.NewProfile)
	if outcome.Duplicate {
		return
	}
	w.store.Changed(p)
	w.link(p, e, outcome.Unlinked)
	if e.MessageRef != "" && !e.Behaviour() {
		w.feedback(p, e)
		if outcome.Unsent {
			w.unsend(e)
		}
	}

	w.rules.OnEvent(t)
	w.emit(t)
}

// observe notes what the event teaches the recommender, once per record, where it
// was first logged. It is learned with the rest of its batch.
func (w *worker) observe(rec *streams.Record, e *streams.Event) {
	if w.model != nil {
		w.lessons.Add(rec.Offset, e)
	}
	w.onEvent(rec, e)
}

// own handles the records that Rapport writes to itself and reports whether rec
// was one. Reports and forwards are events, and go on.
func (w *worker) own(rec *streams.Record) bool {
	switch string(rec.Header(streams.HeaderKind)) {
	case streams.KindLink:
		w.onLink(rec)
	case streams.KindSegment: // it was applied where it arose
	case streams.KindRules:
		w.onRules(rec)
	case streams.KindRefuse:
		w.onRefuse(rec)
	case streams.KindMerge, streams.KindUnmerge:
		w.onMerge(rec, string(rec.Header(streams.HeaderKind)))
	case streams.KindUnlink:
		w.onUnlink(rec)
	case streams.KindCatalog:
		w.onCatalog(rec)
	case streams.KindStep:
		w.onStep(rec)
	default:
		return false
	}
	return true
}

// deadLetter sends what cannot be applied to `deadletter` with the reason.
func (w *worker) deadLetter(rec *streams.Record, err error) {
	letter := streams.DeadLetter{Reason: streams.ReasonInvalid, Detail: err.Error(), Number: w.outbox.source.String(), At: w.state.Now}
	var invalid *streams.InvalidError
	if errors.As(err, &invalid) {
		letter.Reason = invalid.Reason
	}
	letter.Event = rec.Value[:min(len(rec.Value), streams.MaxEvent)]
	w.counts.deadLetter(letter.Reason)
	w.outbox.deadLetter(letter)
}

// feedback tells the list of messages what became of one.
func (w *worker) feedback(p *profiles.Profile, e *streams.Event) {
	for _, m := range p.Messages {
		if m.Id == e.MessageRef {
			w.onStatus(m.Id, m.Status, e)
			return
		}
	}
}

// item is the catalogue as of this place in the log.
func (w *worker) item(id string) *streams.Item { return w.catalogue.At(id, w.state.Catalog) }

// open returns the profile that id names, new or old, decoded.
func (w *worker) open(id string) *profiles.Profile {
	p, _ := w.store.Open(id)
	return p
}
