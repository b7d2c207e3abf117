package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

const (
	// maxMerge bounds the encoding of what one identifier ships, in bytes: as
	// base64 in JSON it stays under 512 KB.
	maxMerge = 380 << 10
	// maxHops bounds the aliases that one merge may pass.
	maxHops = 100
	// undoFor is how long an alias keeps what it shipped, and how long feedback
	// may name a message alone; ms.
	undoFor = 30 * 24 * 60 * 60 * 1000
	// expiryTimer is the timer of an alias entry that expires; no trigger can
	// have this name.
	expiryTimer = "\x00expiry"
)

// ship sends what an identifier had collected before it became an alias to the
// profile that it points to now.
func (w *worker) ship(p *profiles.Profile, l *streams.Link) {
	expires := max(w.state.Now, min(l.At, maxTick)) + undoFor
	switch {
	case strings.HasPrefix(p.Id, messagePrefix):
		p.ExpiresAt = expires
	case p.Empty() && l.Of == "":
		return // nothing to tell: the other side knows of the link
	default:
		m := streams.Merge{From: p.Id, To: p.AliasOf, At: l.At}
		var cut int
		w.members(p, -1)
		m.Profile, cut = p.Ship(maxMerge, expires)
		w.counts.Cut += int64(cut)
		w.sendMerge(streams.KindMerge, &m)
	}
	w.setExpiry(p)
}

// sendMerge takes a merge to the home of its profile. What is at home here has it
// at once, as it has the events that follow.
func (w *worker) sendMerge(kind string, m *streams.Merge) {
	home := w.partitionOf(m.To)
	if home == w.id {
		if err := w.merge(kind, m); err != nil {
			panic("BUG: cannot read a merge of our own: " + err.Error())
		}
		return
	}
	value, err := json.Marshal(m)
	if err != nil {
		panic("BUG: cannot encode a merge: " + err.Error())
	}
	w.outbox.event(home, m.To, value, []streams.Header{{Key: streams.HeaderKind, Value: []byte(kind)}})
}

// onMerge reads a merge from another partition.
func (w *worker) onMerge(rec *streams.Record, kind string) {
	var m streams.Merge
	err := json.Unmarshal(rec.Value, &m)
	if err == nil {
		err = checkMerge(&m)
	}
	if err == nil {
		err = w.merge(kind, &m)
	}
	if err != nil {
		w.deadLetter(rec, fmt.Errorf("cannot read a merge: %w", err))
	}
}

// merge gives a profile at home here what a weaker identifier had collected, or,
// of a merge that is undone, takes it back. An alias passes it on.
func (w *worker) merge(kind string, m *streams.Merge) error {
	x := new(profiles.Profile)
	if err := profiles.Decode(m.From, m.Profile, x); err != nil {
		return err
	}
	w.catchUp(m.To)
	p := w.open(m.To)
	if p.AliasOf != "" {
		m.At, m.To, m.Hops = max(m.At, p.LinkedAt), p.AliasOf, m.Hops+1
		w.sendMerge(kind, m)
		return nil
	}
	w.store.Changed(p)
	if kind == streams.KindUnmerge {
		w.cfg.Profile.Unmerge(p, x)
		p.Refuse(m.From)
		w.emit(w.turn(p, nil))
		return nil
	}
	w.counts.Merges++
	t := w.turn(p, nil)
	w.rules.Before(t)
	w.members(p, -1)
	dropped := w.cfg.Profile.Merge(p, x, m.At, w.state.Now)
	w.members(p, 1)
	w.rules.Supersede(t, dropped)
	w.rules.OnMerge(t)
	w.emit(t)
	w.waitFor(p)
	return nil
}

// members counts a profile in or out of the segments that it has.
func (w *worker) members(p *profiles.Profile, by int64) {
	for _, s := range p.Segments {
		if w.state.Rules.Members == nil {
			w.state.Rules.Members = map[string]int64{}
		}
		w.state.Rules.Members[s.Name] += by
	}
}

// checkMerge says what is wrong with a merge as anybody may write it.
func checkMerge(m *streams.Merge) error {
	switch {
	case !streams.Named(m.From) || !streams.Named(m.To):
		return fmt.Errorf("%.300q into %.300q: each must be type:value", m.From, m.To)
	case !identifier(m.To).Stronger(identifier(m.From)):
		return fmt.Errorf("%q into %q, which is not stronger", m.From, m.To)
	case m.Hops < 0 || m.Hops > maxHops:
		return errors.New("it has passed too many aliases")
	}
	return nil
}

// identifier splits what streams.Named has accepted.
func identifier(id string) streams.Identifier {
	typ, value, _ := strings.Cut(id, ":")
	return streams.Identifier{Type: typ, Value: value}
}

// refuse tells the profile that asked for a link that it does not have the
// identifier; permit that it may ask again.
func (w *worker) refuse(l *streams.Link, permit bool) {
	id, to := l.From, l.To
	if l.By != "" {
		id, to = l.Of, l.By
	}
	w.sendOwn(streams.KindRefuse, to, &streams.Link{From: id, To: to, At: l.At, Permit: permit})
}

// onRefuse takes an identifier off the list of a profile that it stayed away
// from.
func (w *worker) onRefuse(rec *streams.Record) {
	var l streams.Link
	if !w.readLink(rec, &l) {
		return
	}
	p := w.store.Lookup(l.To)
	switch {
	case p == nil:
		return
	case p.AliasOf != "":
		l.To = p.AliasOf
		w.sendOwn(streams.KindRefuse, l.To, &l)
		return
	case l.Permit:
		p.Allow(l.From)
	default:
		p.Refuse(l.From)
	}
	w.store.Changed(p)
}

// unlink sends an operator's wish to take two identifiers apart, or to permit
// their link again, to the home of the weaker one.
func (w *worker) unlink(rec *streams.Record, e *streams.Event, permit bool) {
	if rec.Header(streams.HeaderTrust) != nil {
		w.counts.Issues["unlink_refused"]++
		return
	}
	stronger, weaker := e.Identifiers[0], e.Previous
	if weaker == stronger || weaker.IsZero() {
		weaker = e.Identifiers[1]
	}
	w.sendOwn(streams.KindUnlink, weaker.String(), &streams.Link{From: weaker.String(), To: stronger.String(), At: e.At, Permit: permit})
}

// onUnlink undoes the link of an identifier at home here: it is a profile of its
// own again, with what it had shipped.
func (w *worker) onUnlink(rec *streams.Record) {
	var l streams.Link
	if !w.readLink(rec, &l) {
		return
	}
	w.catchUp(l.From)
	p := w.open(l.From)
	w.store.Changed(p)
	if l.Permit {
		p.Permit(l.To)
		w.refuse(&l, true)
		return
	}
	target, shipped, err := p.Unlink(l.To)
	if err != nil {
		w.deadLetter(rec, err)
	}
	if target == "" {
		return
	}
	w.counts.Undone++
	w.sendMerge(streams.KindUnmerge, &streams.Merge{From: p.Id, To: target, At: l.At, Profile: shipped})
	w.members(p, 1)
	w.emit(w.turn(p, nil))
	w.waitFor(p)
}

func (w *worker) setExpiry(p *profiles.Profile) {
	if p.ExpiresAt > 0 {
		w.timers.Push(rules.Timer{Due: p.ExpiresAt, Profile: p.Id, Trigger: expiryTimer})
	}
}

// expire drops what an alias entry keeps for a time only.
func (w *worker) expire(id string) {
	p := w.store.Lookup(id)
	switch {
	case p == nil || p.ExpiresAt == 0 || p.ExpiresAt > w.state.Now:
		return
	case strings.HasPrefix(id, messagePrefix):
		w.store.Delete(p)
	default:
		p.Shipped, p.ExpiresAt = nil, 0
		w.store.Changed(p)
	}
}
