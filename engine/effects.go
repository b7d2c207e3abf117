package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// gap is what is missing of one source's effects.
type gap struct {
	Number string `json:"number"` // of the effect that came
	Prev   string `json:"prev"`   // of the one before it, which did not
	Ticks  int    `json:"ticks"`  // live ticks since
}

// gapPatience is how many live ticks missing effects are waited for: a source
// whose produce failed starts again from its snapshot and produces them anew,
// in order, with all that followed.
const gapPatience = 10

// firstTime reports whether a record is to be applied: no effect, or one that is
// new here and follows what was applied of its source. It remembers the number
// of an effect, so that a repeat is dropped; an effect whose predecessor is
// missing is not applied, nor any that follows it, until the missing ones come.
func (w *worker) firstTime(rec *streams.Record) bool {
	header := rec.Header(streams.HeaderEffect)
	if header == nil {
		return true
	}
	number, err := streams.ParseEffect(string(header))
	if err != nil || number.IsZero() {
		return true // somebody else's header: an event like any other
	}
	source := number.Source()
	applied, err := streams.ParseEffect(w.state.Watermarks[source])
	if err != nil {
		panic("BUG: a watermark is no effect number: " + err.Error())
	}
	if !applied.Less(number) {
		w.counts.Repeated++
		return false
	}
	if prev, err := streams.ParseEffect(string(rec.Header(streams.HeaderPrev))); err == nil && applied.Less(prev) && !w.state.Pardoned[source] {
		w.missing(source, string(header), prev.String())
		return false
	}
	w.state.Watermarks[strings.Clone(source)] = string(header)
	delete(w.state.Pardoned, source)
	if w.state.Gaps[source] != nil {
		delete(w.state.Gaps, source)
		w.log.Info("the missing effects came", "partition", w.id, "source", source)
	}
	return true
}

// missing notes that effects of a source did not come.
func (w *worker) missing(source, number, prev string) {
	w.counts.Gaps++
	if w.state.Gaps[source] != nil {
		return
	}
	if w.state.Gaps == nil {
		w.state.Gaps = map[string]*gap{}
	}
	w.state.Gaps[source] = &gap{Number: number, Prev: prev}
	w.log.Warn("effects are missing; waiting for them", "partition", w.id, "source", source, "got", number, "after", prev, "applied", w.state.Watermarks[source])
}

// awaitMissing counts the ticks that pass while effects are missing, and stops
// the partition when they have been too many.
func (w *worker) awaitMissing() {
	for _, source := range slices.Sorted(maps.Keys(w.state.Gaps)) {
		g := w.state.Gaps[source]
		if g.Ticks++; g.Ticks <= gapPatience || w.stopped.Load() != nil {
			continue
		}
		why := fmt.Sprintf("effect %s of %s follows %s, which is not in the log (the last one is %q): the log has lost records; restore them, or start with --accept-log-loss to go on without",
			g.Number, source, g.Prev, w.state.Watermarks[source])
		w.stopped.Store(&why)
		w.log.Error("the partition stands still", "partition", w.id, "why", why)
	}
}

// pardon lets the next effect of every source be applied, whatever is missing
// before it.
func (w *worker) pardon() {
	w.state.Gaps, w.state.Pardoned = nil, map[string]bool{}
	for p := range w.cfg.Partitions {
		w.state.Pardoned[streams.EffectNumber{Topic: kafka.TopicEvents, Partition: p}.Source()] = true
	}
	for source := range w.state.Watermarks { // map order: into a set
		w.state.Pardoned[source] = true
	}
}
