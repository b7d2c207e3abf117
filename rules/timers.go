package rules

import (
	"cmp"
	"container/heap"
	"strings"
)

// Timer is a moment that a customer waits for: the end of a run's wait, or the
// next start of a date trigger.
type Timer struct {
	Due     int64  // Unix ms
	Profile string // profile id
	Trigger string
	Key     string // the run's key; date starts have a key of their own
	// Priority is the trigger's: of two timers of one customer that are due at
	// once, the higher fires first.
	Priority int
}

// compare orders timers as they fire: by due time, profile, the trigger's
// priority and name, key.
func (a Timer) compare(b Timer) int {
	return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Profile, b.Profile), cmp.Compare(b.Priority, a.Priority),
		cmp.Compare(a.Trigger, b.Trigger), cmp.Compare(a.Key, b.Key))
}

// Timers are the timers of one partition. The zero value is empty and ready.
// It is used by the partition's worker alone.
//
// There is one entry per profile, trigger and key: a Push replaces the due
// time. One that moves to later, as an idle wait does with every event, costs
// a map look-up: the entry stays where it is in the heap and is put back when
// it comes up. So the heap does not grow with the number of events.
type Timers struct {
	heap  timerHeap
	known map[timerKey]*timerEntry
	stale int // entries of the heap that are no longer known
}

type timerKey struct{ profile, trigger, key string }

// timerEntry is a timer as queued; due is where it has moved to since.
type timerEntry struct {
	Timer
	due  int64
	dead bool
}

// Push adds a timer, or moves the one of the same profile, trigger and key.
// Strings are copied where they are kept.
func (t *Timers) Push(tm Timer) {
	e := t.known[timerKey{tm.Profile, tm.Trigger, tm.Key}]
	if e != nil {
		if tm.Due >= e.Due {
			e.due = tm.Due
			return
		}
		e.dead = true
		t.stale++
		tm.Profile, tm.Trigger, tm.Key = e.Profile, e.Trigger, e.Key
	} else {
		tm.Profile, tm.Trigger, tm.Key = strings.Clone(tm.Profile), strings.Clone(tm.Trigger), strings.Clone(tm.Key)
	}
	e = &timerEntry{Timer: tm, due: tm.Due}
	if t.known == nil {
		t.known = make(map[timerKey]*timerEntry)
	}
	t.known[timerKey{tm.Profile, tm.Trigger, tm.Key}] = e
	heap.Push(&t.heap, e)
	t.compact()
}

// PopDue takes out the first timer that is due at or before now. It may be
// stale (its run may have ended); Set.OnTimer checks.
func (t *Timers) PopDue(now int64) (Timer, bool) {
	if due, ok := t.NextDue(); !ok || due > now {
		return Timer{}, false
	}
	e := heap.Pop(&t.heap).(*timerEntry)
	delete(t.known, timerKey{e.Profile, e.Trigger, e.Key})
	return e.Timer, true
}

// NextDue is the due time of the first timer, false when there is none.
func (t *Timers) NextDue() (int64, bool) {
	for len(t.heap) > 0 {
		e := t.heap[0]
		switch {
		case e.dead:
			heap.Pop(&t.heap)
			t.stale--
		case e.due > e.Due: // moved to later: back to its place
			e.Due = e.due
			heap.Fix(&t.heap, 0)
		default:
			return e.Due, true
		}
	}
	return 0, false
}

// Len is the number of timers.
func (t *Timers) Len() int { return len(t.known) }

// compact drops dead entries once they are the greater part of the heap.
func (t *Timers) compact() {
	if t.stale < 64 || t.stale*2 < len(t.heap) {
		return
	}
	live := t.heap[:0]
	for _, e := range t.heap {
		if !e.dead {
			live = append(live, e)
		}
	}
	clear(t.heap[len(live):])
	t.heap, t.stale = live, 0
	heap.Init(&t.heap)
}

type timerHeap []*timerEntry

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].compare(h[j].Timer) < 0 }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(*timerEntry)) }
func (h *timerHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
