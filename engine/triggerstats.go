package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// triggerCounts is what a partition has counted of one trigger since its log
// began; part of its state.
type triggerCounts struct {
	Started int64                       `json:"started"`
	Ended   int64                       `json:"ended"`
	Sent    map[string]int64            `json:"sent,omitempty"`    // by step
	Skipped map[string]map[string]int64 `json:"skipped,omitempty"` // by step, then reason
	Groups  map[string]*groupCounts     `json:"groups,omitempty"`  // by variant, holdout before a slash
}

// groupCounts is what came of the runs that were treated alike.
type groupCounts struct {
	Runs    int64   `json:"runs"`
	Reached int64   `json:"reached"`
	Revenue float64 `json:"revenue"`
}

// holdoutGroup begins the names of groups whose messages were held out.
const holdoutGroup = "holdout/"

func (s *state) trigger(name string) *triggerCounts {
	if s.Triggers == nil {
		s.Triggers = map[string]*triggerCounts{}
	}
	c := s.Triggers[name]
	if c == nil {
		c = &triggerCounts{Sent: map[string]int64{}, Skipped: map[string]map[string]int64{}, Groups: map[string]*groupCounts{}}
		s.Triggers[name] = c
	}
	return c
}

func (c *triggerCounts) skip(step int, reason string) {
	if c.Skipped == nil {
		c.Skipped = map[string]map[string]int64{}
	}
	bump2(c.Skipped, strconv.Itoa(step), reason, 1)
}

func (c *triggerCounts) group(r rules.Reach) *groupCounts {
	name := r.Variant
	if r.Holdout {
		name = holdoutGroup + name
	}
	if c.Groups == nil {
		c.Groups = map[string]*groupCounts{}
	}
	if c.Groups[name] == nil {
		c.Groups[name] = &groupCounts{}
	}
	return c.Groups[name]
}

// tally counts what a turn decided, by trigger.
func (s *state) tally(t *rules.Turn) {
	for _, name := range t.Started {
		s.trigger(name).Started++
	}
	for _, name := range t.Ended {
		s.trigger(name).Ended++
	}
	for i := range t.Messages {
		m := &t.Messages[i].Message
		c := s.trigger(m.Trigger)
		if c.Sent == nil {
			c.Sent = map[string]int64{}
		}
		c.Sent[strconv.Itoa(m.Step)]++
	}
	for _, x := range t.Skips {
		s.trigger(x.Trigger).skip(x.Step, x.Reason)
	}
	for _, r := range t.Reached {
		s.trigger(r.Trigger).group(r).Runs++
	}
	for _, r := range t.Goals {
		g := s.trigger(r.Trigger).group(r)
		g.Reached++
		g.Revenue += r.Revenue
	}
}

// unsend counts a message that was decided, and that delivery then did not send,
// as a send not made, by the reason that it gives.
func (w *worker) unsend(e *streams.Event) {
	trigger, step, ok := messageOrigin(e.MessageRef)
	if !ok {
		return
	}
	reason := fastjson.GetString(e.Properties, "reason")
	if !slices.Contains(rules.Reasons, reason) {
		reason = rules.ReasonUnavailable
	}
	c, i := w.state.trigger(trigger), strconv.Itoa(step)
	if c.Sent[i] == 0 {
		return // it was decided elsewhere, before this customer was one with another
	}
	c.Sent[i]--
	c.skip(step, reason)
	w.counts.skip(trigger, step, reason)
}

// messageOrigin is the trigger and the step of a message's id, "<trigger>.<step>.<16
// hex digits>".
func messageOrigin(id string) (trigger string, step int, ok bool) {
	rest, _, ok := cutLast(id)
	trigger, number, named := cutLast(rest)
	step, err := strconv.Atoi(number)
	return trigger, step, ok && named && err == nil && step >= 0
}

// cutLast cuts s at its last dot.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// TriggerStats is what a trigger did and earned, in the partitions of this
// process, since their logs began.
type TriggerStats struct {
	Trigger    string           `json:"trigger"`
	Partitions int              `json:"partitions"` // that are counted
	Runs       RunStats         `json:"runs"`
	Sent       int64            `json:"sent"`
	NotSent    map[string]int64 `json:"not_sent"` // by reason
	Steps      []StepStats      `json:"steps"`    // sends, in order
	// Goals are the runs that were sent to and that reached the trigger's goal,
	// Holdout those held out, Variants those sent to by variant.
	Goals    Rate            `json:"goals"`
	Holdout  Rate            `json:"holdout"`
	Variants map[string]Rate `json:"variants"`
	Lift     *Lift           `json:"lift"` // nil without a holdout
}

// RunStats counts runs.
type RunStats struct {
	Started    int64 `json:"started"`
	InProgress int64 `json:"in_progress"`
}

// StepStats is what became of one send of a trigger.
type StepStats struct {
	Step    int              `json:"step"`
	Sent    int64            `json:"sent"`
	NotSent map[string]int64 `json:"not_sent"`
}

// TriggerStats answers what a trigger did; ErrNotFound where no rule has it and
// nothing was counted.
func (e *Engine) TriggerStats(name string) (*TriggerStats, error) {
	var all []*triggerCounts
	owned := e.ownedPartitions()
	for _, p := range owned {
		p.mu.Lock()
		if c := p.state.Triggers[name]; c != nil {
			all = append(all, c.clone())
		}
		p.mu.Unlock()
	}
	known := slices.ContainsFunc(e.Rules().Triggers(), func(t *rules.Trigger) bool { return t.Name == name })
	if len(all) == 0 && !known {
		return nil, ErrNotFound
	}
	s := newTriggerStats(name, all)
	s.Partitions = len(owned)
	return s, nil
}

// newTriggerStats sums what partitions counted.
func newTriggerStats(name string, all []*triggerCounts) *TriggerStats {
	s := &TriggerStats{Trigger: name, NotSent: map[string]int64{}, Steps: []StepStats{}, Variants: map[string]Rate{}}
	steps, groups := map[string]*StepStats{}, map[string]*groupCounts{}
	step := func(i string) *StepStats {
		if steps[i] == nil {
			n, _ := strconv.Atoi(i)
			steps[i] = &StepStats{Step: n, NotSent: map[string]int64{}}
		}
		return steps[i]
	}
	for _, c := range all {
		s.Runs.Started += c.Started
		s.Runs.InProgress += c.Started - c.Ended
		for i, n := range c.Sent {
			s.Sent += n
			step(i).Sent += n
		}
		for i, reasons := range c.Skipped {
			for reason, n := range reasons {
				s.NotSent[reason] += n
				step(i).NotSent[reason] += n
			}
		}
		for group, g := range c.Groups {
			sumGroup(groups, group, g)
		}
	}
	for _, x := range steps {
		s.Steps = append(s.Steps, *x)
	}
	slices.SortFunc(s.Steps, func(a, b StepStats) int { return a.Step - b.Step })
	s.rates(groups)
	return s
}

func sumGroup(groups map[string]*groupCounts, name string, g *groupCounts) {
	if groups[name] == nil {
		groups[name] = &groupCounts{}
	}
	groups[name].Runs += g.Runs
	groups[name].Reached += g.Reached
	groups[name].Revenue += g.Revenue
}

// rates compares the groups.
func (s *TriggerStats) rates(groups map[string]*groupCounts) {
	var sent, out groupCounts
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		g, to := groups[name], &sent
		if len(name) >= len(holdoutGroup) && name[:len(holdoutGroup)] == holdoutGroup {
			to = &out
		} else if name != "" {
			s.Variants[name] = newRate(g.Runs, g.Reached, g.Revenue)
		}
		to.Runs += g.Runs
		to.Reached += g.Reached
		to.Revenue += g.Revenue
	}
	s.Goals = newRate(sent.Runs, sent.Reached, sent.Revenue)
	s.Holdout = newRate(out.Runs, out.Reached, out.Revenue)
	s.Lift = lift(s.Goals, s.Holdout)
}

// clone is a copy for readers.
func (c *triggerCounts) clone() *triggerCounts {
	o := &triggerCounts{Started: c.Started, Ended: c.Ended, Sent: maps.Clone(c.Sent),
		Skipped: map[string]map[string]int64{}, Groups: map[string]*groupCounts{}}
	for step, reasons := range c.Skipped {
		o.Skipped[step] = maps.Clone(reasons)
	}
	for name, g := range c.Groups {
		copied := *g
		o.Groups[name] = &copied
	}
	return o
}

// SegmentSizes is how many customers of the partitions of this process are in
// each segment of the rules in force.
func (e *Engine) SegmentSizes() map[string]int64 {
	sizes := map[string]int64{}
	for _, s := range e.Rules().Segments() {
		sizes[s.Name] = 0
	}
	for _, p := range e.ownedPartitions() {
		p.mu.Lock()
		for name := range sizes {
			sizes[name] += p.state.Rules.Members[name]
		}
		p.mu.Unlock()
	}
	return sizes
}
