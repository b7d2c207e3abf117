package engine

import (
	"strconv"
	"strings"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// Counts is what the fold has done since the process started, by partition or
// summed.
type Counts struct {
	Events      map[string]int64            // applied, by event name
	Channels    map[string]int64            // applied, by channel
	Runs        map[string]int64            // started, by trigger
	Messages    map[string]int64            // decided, by trigger
	Skipped     map[string]map[string]int64 // sends not made, by trigger and reason
	Steps       map[string]map[string]int64 // the same by trigger, and "step reason"
	Failures    map[string]map[string]int64 // conditions that could not be told, by trigger and kind
	DeadLetters map[string]int64            // by reason
	Issues      map[string]int64            // what was odd in events applied, by reason
	Late        map[string]int64            // events applied late, by how much: hour, day or week, or more

	Applied    int64 // events applied
	Duplicates int64 // events dropped by messageId
	Repeated   int64 // effects dropped by watermark
	Gaps       int64 // effects not applied because one before them was missing
	Forwarded  int64 // events sent on to another partition
	Links      int64 // links sent
	Aliases    int64 // identifiers that became aliases
	Merges     int64 // what an identifier had collected, merged into a profile
	Cut        int64 // things left out of a merge that was too large
	Undone     int64 // links undone
	Conflicts  int64 // links refused
	Looped     int64 // forwards that came back
	Profiles   int64 // profiles created
	Sessions   int64 // sessions begun
	Carts      int64 // carts begun
	Orders     int64 // orders counted
}

func newCounts() Counts {
	return Counts{
		Events: map[string]int64{}, Channels: map[string]int64{}, Runs: map[string]int64{},
		Messages: map[string]int64{}, Skipped: map[string]map[string]int64{}, Failures: map[string]map[string]int64{},
		Steps: map[string]map[string]int64{}, DeadLetters: map[string]int64{}, Issues: map[string]int64{}, Late: map[string]int64{},
	}
}

func (c *Counts) applied(e *streams.Event, o *profiles.Outcome) {
	if o.Duplicate {
		c.Duplicates++
		return
	}
	c.Applied++
	c.Profiles += count(o.NewProfile)
	bump(c.Events, e.Name)
	bump(c.Channels, e.Channel)
	c.Sessions += count(o.NewSession)
	c.Carts += count(o.NewCart)
	c.Orders += count(o.NewOrder)
	for _, reason := range o.Issues {
		c.Issues[reason]++
	}
	if by := lateBy(e.LoggedAt - e.At); by != "" {
		c.Late[by]++
	}
}

// lateBy names how late an event was logged, in ms; "" for less than an hour.
// One older than a week may no longer be counted in its right place.
func lateBy(ms int64) string {
	const hour = 60 * 60 * 1000
	switch {
	case ms < hour:
		return ""
	case ms < 24*hour:
		return "hour"
	case ms <= 7*24*hour:
		return "day"
	}
	return "week"
}

// maxNames bounds how many names that come from outside are told apart.
const maxNames = 200

// bump counts name, or "(other)" once there are too many names.
func bump(m map[string]int64, name string) {
	if _, ok := m[name]; !ok {
		if len(m) >= maxNames {
			name = "(other)"
		} else {
			name = strings.Clone(name) // it may share a record's memory
		}
	}
	m[name]++
}

func (c *Counts) skip(trigger string, step int, reason string) {
	bump2(c.Skipped, trigger, reason, 1)
	bump2(c.Steps, trigger, strconv.Itoa(step)+" "+reason, 1)
}

func (c *Counts) failure(trigger, kind string) { bump2(c.Failures, trigger, kind, 1) }

// bump2 adds n to m[a][b].
func bump2(m map[string]map[string]int64, a, b string, n int64) {
	if m[a] == nil {
		m[a] = map[string]int64{}
	}
	m[a][b] += n
}

func (c *Counts) run(trigger string)       { c.Runs[trigger]++ }
func (c *Counts) message(trigger string)   { c.Messages[trigger]++ }
func (c *Counts) deadLetter(reason string) { c.DeadLetters[reason]++ }

// clone returns a copy that shares nothing with c.
func (c *Counts) clone() Counts {
	copied := newCounts()
	copied.add(c)
	return copied
}

// add adds o to c.
func (c *Counts) add(o *Counts) {
	addAll(c.Events, o.Events)
	addAll(c.Channels, o.Channels)
	addAll(c.Runs, o.Runs)
	addAll(c.Messages, o.Messages)
	addAll(c.DeadLetters, o.DeadLetters)
	addAll(c.Issues, o.Issues)
	addAll(c.Late, o.Late)
	addAll2(c.Skipped, o.Skipped)
	addAll2(c.Steps, o.Steps)
	addAll2(c.Failures, o.Failures)
	c.Applied += o.Applied
	c.Duplicates += o.Duplicates
	c.Repeated += o.Repeated
	c.Gaps += o.Gaps
	c.Forwarded += o.Forwarded
	c.Links += o.Links
	c.Aliases += o.Aliases
	c.Merges += o.Merges
	c.Cut += o.Cut
	c.Undone += o.Undone
	c.Conflicts += o.Conflicts
	c.Looped += o.Looped
	c.Profiles += o.Profiles
	c.Sessions += o.Sessions
	c.Carts += o.Carts
	c.Orders += o.Orders
}

func addAll2(to, from map[string]map[string]int64) {
	for a, inner := range from {
		for b, n := range inner {
			bump2(to, a, b, n)
		}
	}
}

func addAll(to, from map[string]int64) {
	for k, n := range from {
		to[k] += n
	}
}

func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
