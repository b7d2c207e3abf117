package rules

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed builtin/*.yaml
var builtin embed.FS

// Set is a compiled set of rules. It is immutable and safe for concurrent use.
type Set struct {
	triggers   []*Trigger // by priority (highest first), then name
	placements []Placement
	source     map[string][]byte
	segments   []*Segment // in order of name
	policy     *policy
	coupons    map[string]*coupon

	byName     map[string]*Trigger   // those with state on or shadow
	starts     map[string][]*Trigger // by event name, in order of rank
	all        []*Trigger            // that start on any event
	dates      []*Trigger            // that start on a date
	traits     []*Trigger            // that start on a change of a trait
	items      []*Trigger            // that start on a change of an item
	inactives  []*Trigger
	runsOut    []*Trigger
	bySegment  map[string]*Segment
	timed      []*Segment // that read the time
	timedReads facts
	counted    []string
	zones      *zones
}

// Load reads dir/*.yaml. A missing directory, or one without .yaml files, gives
// BuiltIn; so does a section (triggers, placements) that no file has for that
// section. An error is Problems, or says which file cannot be read.
func Load(dir string) (*Set, error) {
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read rules in %q: %w", dir, err)
	}
	files := map[string][]byte{}
	for _, e := range names {
		if e.IsDir() || filepath.Ext(e.Name()) != ".yaml" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := filepath.Join(dir, e.Name())
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read rules in %q: %w", name, err)
		}
		files[name] = b
	}
	return Parse(files)
}

// Parse compiles files, name to content. Where no file has triggers, those
// built in run, under the policy that is built in unless a file has one; placements are added to those built in, or replace the one of
// the same name. An error is Problems.
func Parse(files map[string][]byte) (*Set, error) {
	var problems Problems
	d := parseAll(files, &problems)
	if len(problems) > 0 {
		return nil, problems.sorted()
	}
	own := parseAll(builtinFiles(), &problems)
	if len(problems) > 0 {
		panic("BUG: built-in rules: " + problems.Error())
	}
	if !d.hasTriggers {
		d.triggers = own.triggers
		if d.policy == nil {
			d.policy = own.policy
		}
	}
	for _, p := range own.placements {
		if !slices.ContainsFunc(d.placements, func(o Placement) bool { return o.Name == p.Name }) {
			d.placements = append(d.placements, p)
		}
	}
	s := newSet(d)
	s.source = files
	return s, nil
}

// builtInPlacements are always there, under these names, unless a file says
// something else of one.
var builtInPlacements = []string{"cart", "home", "product", "trending"}

// BuiltIn is what runs where there are no rules.
func BuiltIn() *Set {
	s, err := Parse(nil)
	if err != nil {
		panic("BUG: built-in rules: " + err.Error())
	}
	return s
}

func builtinFiles() map[string][]byte {
	files := map[string][]byte{}
	names, err := fs.Glob(builtin, "builtin/*.yaml")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for _, name := range names {
		b, err := builtin.ReadFile(name)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		files[name] = b
	}
	return files
}

// definitions are what a number of files define.
type definitions struct {
	triggers    []*Trigger
	placements  []Placement
	segments    []*Segment
	policy      *policy
	capped      []named // triggers that caps name
	inSegments  []named // segments that triggers name
	coupons     []*coupon
	hasTriggers bool
	where       map[string]string // "trigger x" to where it is
}

func parseAll(files map[string][]byte, problems *Problems) *definitions {
	d := &definitions{where: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, root := parseFile(name, files[name], problems)
		if root == nil {
			continue
		}
		f.defs = d
		for _, x := range f.mapping(entry{"the file", root, root}, "the file", sections, nil) {
			d.section(f, x)
		}
	}
	d.checkPlacements(problems)
	d.checkPolicy(problems)
	d.checkSegments(problems)
	return d
}

// named is a name that a rule refers to, and where.
type named struct {
	name         string
	file         string
	line, column int
}

func (d *definitions) section(f *file, x entry) {
	if x.key == "policy" {
		d.policySection(f, x)
		return
	}
	all, ok := f.entries(x, x.key)
	if !ok {
		return
	}
	for _, e := range all {
		kind := strings.TrimSuffix(x.key, "s") + " " + e.key
		if at, ok := d.where[kind]; ok {
			f.add(e.at, "%s is there already, at %s", kind, at)
			continue
		}
		line, _ := position(e.at)
		d.where[kind] = fmt.Sprintf("%s:%d", f.name, line)
		switch x.key {
		case "triggers":
			d.triggers = append(d.triggers, f.trigger(e))
		case "segments":
			d.segments = append(d.segments, f.segment(e))
		case "coupons":
			d.coupons = append(d.coupons, f.coupon(e))
		default:
			d.placements = append(d.placements, f.placement(e))
		}
	}
	d.hasTriggers = d.hasTriggers || x.key == "triggers"
	if len(d.triggers) > maxTriggers {
		f.add(x.at, "there are more than %d triggers", maxTriggers)
	}
}

// checkPlacements checks the names that triggers recommend by. Without a
// placements section those built in are meant.
func (d *definitions) checkPlacements(problems *Problems) {
	names := slices.Clone(builtInPlacements)
	for _, p := range d.placements {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, t := range d.triggers {
		for i := range t.steps {
			s := &t.steps[i]
			if s.send == nil || s.send.recommend == nil || s.send.recommend.Placement == "" ||
				slices.Contains(names, s.send.recommend.Placement) {
				continue
			}
			*problems = append(*problems, Problem{t.File, t.Line, t.Column, fmt.Sprintf(
				"trigger %s recommends by placement %q: there are %s", t.Name, s.send.recommend.Placement, strings.Join(names, ", "))})
		}
	}
}

// newSet indexes what was parsed.
func newSet(d *definitions) *Set {
	s := &Set{triggers: d.triggers, placements: d.placements, policy: d.policy, coupons: map[string]*coupon{},
		byName: map[string]*Trigger{}, starts: map[string][]*Trigger{}, zones: newZones()}
	if s.policy == nil {
		s.policy = &policy{expire: defaultExpire}
	}
	s.addSegments(d.segments)
	for _, c := range d.coupons {
		s.coupons[c.name] = c
	}
	slices.SortFunc(s.triggers, func(a, b *Trigger) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(s.placements, func(a, b Placement) int { return cmp.Compare(a.Name, b.Name) })
	for i, t := range s.triggers {
		t.rank = i
		if t.State != "off" {
			s.index(t)
		}
	}
	// A name's list holds the triggers of any event, too, in order of rank.
	for _, name := range slices.Sorted(maps.Keys(s.starts)) {
		list := slices.Concat(s.starts[name], s.all)
		slices.SortFunc(list, func(a, b *Trigger) int { return cmp.Compare(a.rank, b.rank) })
		s.starts[name] = slices.Compact(list)
	}
	slices.Sort(s.counted)
	s.counted = slices.Compact(s.counted)
	return s
}

// addSegments indexes the segments.
func (s *Set) addSegments(list []*Segment) {
	s.segments, s.bySegment = list, map[string]*Segment{}
	slices.SortFunc(s.segments, func(a, b *Segment) int { return cmp.Compare(a.Name, b.Name) })
	for _, x := range s.segments {
		s.bySegment[x.Name] = x
		s.counted = append(s.counted, x.cond.counts...)
		if x.flips != nil {
			s.timed = append(s.timed, x)
			s.timedReads |= x.reads
		}
	}
}

// checkSegments checks the segments that triggers name.
func (d *definitions) checkSegments(problems *Problems) {
	known := make([]string, 0, len(d.segments))
	for _, s := range d.segments {
		known = append(known, s.Name)
	}
	for _, n := range d.inSegments {
		if slices.Contains(known, n.name) {
			continue
		}
		hint := ": segments has none"
		if near := nearest(n.name, slices.Clone(known)); near != "" {
			hint = fmt.Sprintf(": did you mean %s?", near)
		} else if len(known) > 0 {
			slices.Sort(known)
			hint = ": there are " + strings.Join(known[:min(len(known), 20)], ", ")
		}
		*problems = append(*problems, Problem{n.file, n.line, n.column, fmt.Sprintf("there is no segment %q%s", n.name, hint)})
	}
}

func (s *Set) index(t *Trigger) {
	s.byName[t.Name] = t
	for _, c := range t.conditions() {
		s.counted = append(s.counted, c.counts...)
	}
	switch {
	case t.isDate():
		s.dates = append(s.dates, t)
	case t.start.changes != "":
		s.traits = append(s.traits, t)
	case t.start.inactive != "":
		s.inactives = append(s.inactives, t)
		if t.start.inactive != "*" {
			s.counted = append(s.counted, t.start.inactive)
		}
	case t.start.item != nil:
		s.items = append(s.items, t)
		if t.start.item.has(kindRunsOut) {
			s.runsOut = append(s.runsOut, t)
		}
	case t.start.segment != "":
		name := segmentEntered
		if t.start.leaves {
			name = segmentExited
		}
		s.starts[name] = append(s.starts[name], t)
	case slices.Contains(t.start.events, "*"):
		s.all = append(s.all, t)
	default:
		for _, name := range t.start.events {
			s.starts[name] = append(s.starts[name], t)
		}
	}
}

// Source is the text that the set was made from, by file; empty where it is
// built in.
func (s *Set) Source() map[string][]byte { return s.source }

// SourceNames are the files of Source, sorted.
func (s *Set) SourceNames() []string { return slices.Sorted(maps.Keys(s.source)) }

// Triggers are all triggers, those with state off too, in the order of
// priority (highest first), then name.
func (s *Set) Triggers() []*Trigger { return s.triggers }

// Placements are all placements, by name.
func (s *Set) Placements() []Placement { return s.placements }

// CountedEvents are the event names that conditions count, sorted.
func (s *Set) CountedEvents() []string { return s.counted }
