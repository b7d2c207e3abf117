package engine

import (
	"bytes"

	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

var clockLive = []byte("live")

// maxTick is the end of the year 9999 in Unix ms: no clock shows more.
const maxTick = 253402300799999

// moveClock applies the tick that a record is or carries: the partition's time
// moves, and the timers that are due fire (DESIGN.md, rule 2).
func (w *worker) moveClock(rec *streams.Record) {
	value := rec.Header(streams.HeaderClock)
	switch {
	case value == nil:
		if rec.Header(streams.HeaderKind) == nil {
			w.goLive() // a record of a producer outside
		}
	case bytes.Equal(value, clockLive):
		w.goLive()
		w.awaitMissing()
		w.tickLive(min(rec.Time, maxTick))
	default:
		if t, ok := streams.ParseHistory(value); ok && !w.state.Live {
			w.tickHistory(t)
		}
	}
}

// goLive tells the process that this log takes live events, so that its owner
// ticks.
func (w *worker) goLive() {
	if !w.state.Fed {
		w.state.Fed = true
		w.onLive()
	}
}

// tickLive moves the clock to t. The first live tick on a log of history drops
// what was due before it.
func (w *worker) tickLive(t int64) {
	if t <= w.state.Now && w.state.Live {
		return
	}
	expire, before := !w.state.Live, w.state.Now
	w.state.Live = true
	w.state.Now = max(t, w.state.Now)
	w.clock.Store(w.state.Now)
	if w.fireLater(before, expire) {
		return
	}
	for {
		tm, ok := w.timers.PopDue(w.state.Now)
		if !ok {
			return
		}
		w.fire(tm, expire)
	}
}

// fire does what a timer that is due stands for, or drops it where it was due
// before the log became live.
func (w *worker) fire(tm rules.Timer, drop bool) {
	if tm.Trigger == expiryTimer {
		w.expire(tm.Profile)
		return
	}
	p := w.store.Lookup(tm.Profile)
	if p == nil || p.AliasOf != "" {
		return // what waited went along to another profile; a process that started since knows of no timer
	}
	turn := w.turn(p, nil)
	w.rules.Before(turn)
	if drop {
		w.rules.Expire(turn, tm)
	} else {
		w.rules.OnTimer(turn, tm)
	}
	w.store.Changed(p)
	w.emit(turn)
}

// tickHistory moves history's clock to t, through each instant at which a
// timer is due on its way, so that the result does not depend on how often
// history ticks.
func (w *worker) tickHistory(t int64) {
	if t <= w.state.Now {
		return
	}
	for {
		tm, ok := w.timers.PopDue(t)
		if !ok {
			break
		}
		w.state.Now = max(w.state.Now, tm.Due)
		w.fire(tm, false)
	}
	w.state.Now = t
	w.clock.Store(t)
}

// logHistory sets when an event of history was logged: at its own time, or,
// where it comes late, at the partition's.
func (w *worker) logHistory(rec *streams.Record, e *streams.Event) {
	if _, history := streams.ParseHistory(rec.Header(streams.HeaderClock)); history && rec.Header(streams.HeaderFirst) == nil {
		e.LoggedAt = max(e.LoggedAt, w.state.Now)
	}
}

// HistoryTick is the HeaderClock value of a tick of history at t, in Unix ms.
func HistoryTick(t int64) []byte { return streams.HistoryClock(t) }
