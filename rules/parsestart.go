package rules

import (
	"math"
	"slices"
	"strings"
)

// startKinds are the keys that say what begins a run, with those that go with
// each.
var startKinds = []struct {
	kind string
	keys []string
}{
	{"event", []string{"event", "if", "channel", "key"}},
	{"date", []string{"date", "every", "offset", "at"}},
	{"item", []string{"item", "if", "min", "min_amount", "max", "from", "before", "interest", "within", "collect", "key"}},
	{"inactive", []string{"inactive", "for", "if"}},
	{"segment", []string{"segment", "when", "if"}},
	{"trait", []string{"trait", "if"}},
}

// start reads what begins a run.
func (f *file) start(e entry) start {
	all, ok := f.entries(e, "start")
	if !ok {
		return start{}
	}
	var kinds, names, allowed []string
	for _, k := range startKinds {
		names = append(names, k.kind)
		if slices.ContainsFunc(all, func(x entry) bool { return x.key == k.kind }) {
			kinds, allowed = append(kinds, k.kind), append(allowed, k.keys...)
		}
	}
	if len(kinds) != 1 {
		f.add(e.at, "start needs exactly one of %s", strings.Join(names, ", "))
		for _, k := range startKinds {
			allowed = append(allowed, k.keys...)
		}
		slices.Sort(allowed)
		allowed = slices.Compact(allowed)
		kinds = []string{""}
	}
	s := start{at: 10 * 60}
	if kinds[0] == "item" {
		s.item = newItemStart()
	}
	for _, x := range f.mapping(e, "start", allowed, nil) {
		f.startKey(&s, kinds[0], x)
	}
	f.startNeeds(&s, kinds[0], e)
	return s
}

// startNeeds checks what must be there beside the kind.
func (f *file) startNeeds(s *start, kind string, e entry) {
	switch {
	case kind == "inactive" && !hasKey(e, "for"):
		f.add(e.at, "start by inactive needs for, as in start: {inactive: Order Completed, for: 60d}")
	case kind == "segment" && !hasKey(e, "when"):
		f.add(e.at, "start by segment needs when, as in start: {segment: vip, when: enter}")
	case kind == "item":
		f.itemNeeds(s.item, e)
	}
}

func (f *file) startKey(s *start, kind string, x entry) {
	switch x.key {
	case "event":
		s.events = f.texts(x, `an event's name, such as Product Viewed, or "*" for all`)
	case "if":
		site := siteStart
		if kind == "item" || kind == "trait" {
			site = siteChange
		}
		s.cond = f.condition(x, site)
	case "channel":
		s.channels = f.texts(x, "a channel, such as web or pos")
	case "date":
		s.trait, _ = f.text(x, "the name of a trait, such as birthday")
		s.quoted = quotedTrait(s.trait)
	case "every":
		every, _ := f.oneOf(x, "year", "once")
		s.once = every == "once"
	case "offset":
		s.offset, _ = f.days(x)
	case "at":
		s.at, _ = f.clock(x)
	case "segment":
		s.segment, _ = f.text(x, "the name of a segment")
		f.segmentRef(x)
	case "when":
		when, _ := f.oneOf(x, "enter", "exit")
		s.leaves = when == "exit"
	case "trait":
		s.changes, _ = f.text(x, "the name of a trait, such as points")
		s.quoted = quotedTrait(s.changes)
	case "inactive":
		s.inactive, _ = f.text(x, `an event's name, such as Order Completed, or "*" for all`)
	case "for":
		s.after, _ = f.duration(x)
	case "key":
		if kind != "item" {
			s.key = f.texts(x, "the name of a property, such as order_id")
			return
		}
		_, s.item.perItem = f.oneOf(x, "item")
	default:
		if s.item != nil {
			f.itemKey(s.item, x)
		}
	}
}

// quotedTrait is the trait as JSON writes it, nil where it has several ways.
func quotedTrait(name string) []byte {
	if !namePattern.MatchString(name) {
		return nil
	}
	return []byte(`"` + name + `"`)
}

func (f *file) itemKey(s *itemStart, x entry) {
	switch x.key {
	case "item":
		s.kinds = f.several(x, itemKinds)
	case "min":
		s.min, s.hasMin = f.positive(x)
	case "min_amount":
		s.minAmount, _ = f.positive(x)
	case "max":
		n, _ := f.integer(x, 1, 1_000_000)
		s.max = int64(n)
	case "from":
		from, _ := f.oneOf(x, "seen", "catalog")
		s.seen = from == "seen"
	case "before":
		s.before, _ = f.duration(x)
	case "interest":
		s.interest = f.several(x, interestKinds)
	case "within":
		s.within, _ = f.duration(x)
	case "collect":
		s.collect, _ = f.duration(x)
	}
}

// itemNeeds checks that keys go with the kinds of change.
func (f *file) itemNeeds(s *itemStart, e entry) {
	all, _ := f.entries(e, "start")
	goes := map[string][]string{
		"min": {kindPriceDrop, kindBackInStock}, "min_amount": {kindPriceDrop}, "from": {kindPriceDrop},
		"max": {kindLowStock}, "before": {kindRunsOut},
	}
	for _, x := range all {
		kinds, ok := goes[x.key]
		if ok && len(s.kinds) > 0 && !slices.ContainsFunc(kinds, s.has) {
			f.add(x.at, "%s goes with item: %s", x.key, strings.Join(kinds, ", "))
		}
	}
	if s.hasMin && !s.has(kindBackInStock) && s.min > 1 {
		f.add(e.at, "min is a share of the old price, above 0 and at most 1: for an amount write min_amount")
	}
	if s.hasMin && !s.has(kindPriceDrop) && s.min != math.Trunc(s.min) {
		f.add(e.at, "min is a number of pieces: it must be whole")
	}
}

// positive is a number above 0.
func (f *file) positive(e entry) (float64, bool) {
	return f.number(e, "a number above 0", func(v float64) bool { return v > 0 && v < 1e12 })
}
