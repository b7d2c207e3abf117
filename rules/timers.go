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
	known map[string]*timerEntry // the first of each profile's
	count int                    // of those known
	stale int                    // entries of the heap that are no longer known
}

// timerEntry is a timer as queued; due is where it has moved to since.
type timerEntry struct {
	Timer
	due  int64
	next *timerEntry // of the same profile
	dead bool
}

// Push adds a timer, or moves the one of the same profile, trigger and key.
// Strings are copied where they are kept.
func (t *Timers) Push(tm Timer) {
	first := t.known[tm.Profile]
	e := first
	for e != nil && (e.Trigger != tm.Trigger || e.Key != tm.Key) {
		e = e.next
	}
	switch {
	case e != nil && tm.Due >= e.Due:
		e.due = tm.Due
		return
	case e != nil:
		tm.Profile, tm.Trigger, tm.Key = e.Profile, e.Trigger, e.Key
		t.kill(e)
		first = t.known[tm.Profile]
	default:
		if first != nil {
			tm.Profile = first.Profile
		} else {
			tm.Profile = strings.Clone(tm.Profile)
		}
		tm.Trigger, tm.Key = strings.Clone(tm.Trigger), strings.Clone(tm.Key)
	}
	e = &timerEntry{Timer: tm, due: tm.Due, next: first}
	if t.known == nil {
		t.known = make(map[string]*timerEntry)
	}
	t.known[tm.Profile] = e
	t.count++
	heap.Push(&t.heap, e)
	t.compact()
}

// drop takes an entry off its profile's list.
func (t *Timers) drop(e *timerEntry) {
	t.count--
	switch first := t.known[e.Profile]; {
	case first != e:
		for first.next != e {
			first = first.next
		}
		first.next = e.next
	case e.next == nil:
		delete(t.known, e.Profile)
	default:
		t.known[e.Profile] = e.next
	}
}

// kill is drop for an entry that stays in the heap.
func (t *Timers) kill(e *timerEntry) {
	t.drop(e)
	e.dead = true
	t.stale++
}

// PopDue takes out the first timer that is due at or before now. It may be
// stale (its run may have ended); Set.OnTimer checks.
func (t *Timers) PopDue(now int64) (Timer, bool) { return t.PopUntil(now, LastProfile) }

// LastProfile is after the id of every profile.
const LastProfile = "\U0010FFFF"

// PopUntil takes out the first timer, if it is due before a time, or at it and
// of a profile whose id is not after the one given.
func (t *Timers) PopUntil(due int64, profile string) (Timer, bool) {
	first, ok := t.NextDue()
	if !ok || cmp.Or(cmp.Compare(first, due), cmp.Compare(t.heap[0].Profile, profile)) > 0 {
		return Timer{}, false
	}
	e := heap.Pop(&t.heap).(*timerEntry)
	t.drop(e)
	return e.Timer, true
}

// PopProfile takes out the first timer of a profile that is due at or before now.
func (t *Timers) PopProfile(profile string, now int64) (Timer, bool) {
	var first *timerEntry
	var tm Timer
	for e := t.known[profile]; e != nil; e = e.next {
		x := e.Timer
		if x.Due = e.due; x.Due <= now && (first == nil || x.compare(tm) < 0) {
			first, tm = e, x
		}
	}
	if first == nil {
		return Timer{}, false
	}
	t.kill(first)
	t.compact()
	return tm, true
}

// Forget drops the timers of a profile.
func (t *Timers) Forget(profile string) {
	for e := t.known[profile]; e != nil; e = e.next {
		e.dead = true
		t.count--
		t.stale++
	}
	delete(t.known, profile)
	t.compact()
}

// Until tells how far the first n timers go of those that are due at or before
// now: what PopUntil is to be given. It may count timers that have moved or are
// there no more.
func (t *Timers) Until(n int, now int64) (due int64, profile string) {
	walk := heapWalk{heap: t.heap}
	for i := 0; ; i++ {
		e := walk.next()
		switch {
		case e == nil || e.Due > now:
			return now, LastProfile
		case i == n-1:
			return e.Due, e.Profile
		}
	}
}

// heapWalk goes through a heap in order, and leaves it as it is.
type heapWalk struct {
	heap  timerHeap
	ahead []int // indexes whose parents have been visited, a heap themselves
	begun bool
}

func (w *heapWalk) next() *timerEntry {
	if !w.begun {
		w.begun = true
		if len(w.heap) > 0 {
			w.ahead = append(w.ahead, 0)
		}
	}
	if len(w.ahead) == 0 {
		return nil
	}
	i := heap.Pop(w).(int)
	for _, child := range []int{2*i + 1, 2*i + 2} {
		if child < len(w.heap) {
			heap.Push(w, child)
		}
	}
	return w.heap[i]
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (w *heapWalk) Len() int           { return len(w.ahead) }
func (w *heapWalk) Less(i, j int) bool { return w.heap.Less(w.ahead[i], w.ahead[j]) }
func (w *heapWalk) Swap(i, j int)      { w.ahead[i], w.ahead[j] = w.ahead[j], w.ahead[i] }
func (w *heapWalk) Push(x any)         { w.ahead = append(w.ahead, x.(int)) }
func (w *heapWalk) Pop() any {
	i := w.ahead[len(w.ahead)-1]
	w.ahead = w.ahead[:len(w.ahead)-1]
	return i
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
func (t *Timers) Len() int { return t.count }

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
