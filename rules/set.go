package rules

import (
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// Set is a compiled set of rules. It is immutable and safe for concurrent use.
type Set struct {
	triggers   []*Trigger // by priority (highest first), then name
	placements []Placement
}

// Placement is a named spot that asks for recommendations, as RULES.md writes it.
type Placement struct {
	Name       string
	Strategies []string
	Exclude    []string
	Filter     string                   // CEL over item; "" lets everything pass
	Match      func(*streams.Item) bool // Filter compiled; nil without one
	Diversity  map[string]int           // category, brand: at most so many in a row of results
	Promote    *Promote                 // nil: none
	Pin        []string                 // item ids that come first
	Rotate     int                      // shown so often without a click: steps back; 0 off
}

// Promote gives a share of the places to the items that match.
type Promote struct {
	If    string
	Match func(*streams.Item) bool
	Share float64
}

// Trigger is one trigger of a set.
type Trigger struct {
	Name     string
	Start    string // kind of start: "event" or "date"
	State    string // "on" or "off"
	Priority int
	Steps    []string // one line a step: `wait 30m idle`, `send abandoned_cart to push, email`
	File     string
	Line     int
	Column   int
}

// Load reads dir/*.yaml. A missing directory, or one without .yaml files, gives
// BuiltIn. An error is Problems, or says why a file cannot be read.
func Load(dir string) (*Set, error) { return BuiltIn(), nil }

// Parse compiles files, by name. An error is Problems.
func Parse(files map[string][]byte) (*Set, error) { return BuiltIn(), nil }

// BuiltIn is what runs where there are no rules.
func BuiltIn() *Set { return &Set{} }

// Triggers are all triggers, those with state off too, in the order of
// priority, then name.
func (s *Set) Triggers() []*Trigger { return s.triggers }

// Placements are all placements, by name.
func (s *Set) Placements() []Placement { return s.placements }

// CountedEvents are the event names that conditions count, sorted.
func (s *Set) CountedEvents() []string { return nil }

// CompileFilter compiles a CEL condition over `item`.
func CompileFilter(expr string) (func(*streams.Item) bool, error) { return nil, nil }

// OnEvent evaluates t.Event, which t.Profile has taken in already: exits and
// whiles of its runs first, then starts.
func (s *Set) OnEvent(t *Turn) {}

// OnTimer evaluates a timer of t.Profile that is due; t.Event is nil. One that
// the profile no longer waits for does nothing.
func (s *Set) OnTimer(t *Turn, tm Timer) {}

// Expire drops what tm stood for, reason expired: for the first live tick after
// history, on timers due before it.
func (s *Set) Expire(t *Turn, tm Timer) {}

// Timers calls add with every timer that p waits for at now.
func (s *Set) Timers(p *profiles.Profile, now int64, add func(Timer)) {}

type scope struct{}

func (s *scope) reset() {}
