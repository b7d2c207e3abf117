package rules

import (
	"maps"
	"slices"

	"github.com/rapport-engine/rapport/streams"
)

// Placement is a named spot that asks for recommendations, as RULES.md writes it.
type Placement struct {
	Name       string
	Strategies []string
	Exclude    []string                 // cart, purchased, viewed
	Filter     string                   // CEL over item; "" lets everything pass
	Match      func(*streams.Item) bool // Filter compiled; nil without one
	Diversity  map[string]int           // category, brand: at most so many of one in an answer
	Promote    *Promote                 // nil: none
	Pin        []string                 // ids of the items that come first
	Rotate     int                      // shown so often without a click: steps back; 0 is off
	Mix        map[string]float64       // strategies that are added up, and their weights; empty: one after the other
	MMR        float64                  // what likeness to the list weighs against the score; 0 is off
}

// Promote gives a share of the places to the items that match.
type Promote struct {
	If    string
	Match func(*streams.Item) bool
	Share float64 // above 0, at most 1
}

var (
	placementKeys = []string{"strategies", "exclude", "filter", "diversity", "promote", "pin", "rotate", "mix", "mmr"}
	strategies    = []string{"session", "viewed_together", "bought_together", "similar", "for_you",
		"buy_again", "recently_viewed", "trending", "new"}
	exclusions = []string{"cart", "purchased", "viewed"}
)

// placement reads one placement.
func (f *file) placement(e entry) Placement {
	f.nameOK(e, "placement")
	p := Placement{Name: e.key}
	for _, x := range f.mapping(e, "placement "+e.key, placementKeys, nil) {
		f.placementKey(&p, x)
	}
	if isMapping(e) && !hasKey(e, "strategies") {
		f.add(e.at, "placement %s has no strategies", e.key)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Mix)) {
		if len(p.Strategies) > 0 && !slices.Contains(p.Strategies, name) {
			f.add(e.at, "placement %s mixes %s, which is not among its strategies", e.key, name)
		}
	}
	return p
}

func (f *file) placementKey(p *Placement, x entry) {
	switch x.key {
	case "strategies":
		p.Strategies = f.several(x, strategies)
	case "exclude":
		if isEmptyList(x) {
			return
		}
		p.Exclude = f.several(x, exclusions)
	case "filter":
		p.Filter, p.Match = f.filter(x)
	case "diversity":
		p.Diversity = f.diversity(x)
	case "promote":
		p.Promote = f.promote(x)
	case "pin":
		p.Pin = f.texts(x, "an item's id, in quotes")
	case "rotate":
		p.Rotate, _ = f.integer(x, 1, 1000)
	case "mix":
		p.Mix = f.mix(x)
	case "mmr":
		p.MMR, _ = f.fraction(x)
	}
}

func isEmptyList(e entry) bool { return isList(e) && len(elements(e)) == 0 }

// several is one or more out of a few, without repeats.
func (f *file) several(e entry, allowed []string) []string {
	var out []string
	if isEmptyList(e) {
		f.add(e.val, "%s is an empty list", e.key)
	}
	for _, x := range elements(e) {
		s, ok := f.oneOf(x, allowed...)
		switch {
		case !ok:
		case slices.Contains(out, s):
			f.add(x.val, "%s has %q twice", e.key, s)
		default:
			out = append(out, s)
		}
	}
	return out
}

func (f *file) filter(e entry) (string, func(*streams.Item) bool) {
	c := f.condition(e, siteFilter)
	if c == nil {
		return "", nil
	}
	return c.src, c.filter()
}

func (f *file) diversity(e entry) map[string]int {
	out := map[string]int{}
	for _, x := range f.mapping(e, "diversity", []string{"category", "brand"}, nil) {
		if n, ok := f.integer(x, 1, maxItems); ok {
			out[x.key] = n
		}
	}
	return out
}

// mix is strategies and their weights, each above 0 and at most 1.
func (f *file) mix(e entry) map[string]float64 {
	out := map[string]float64{}
	for _, x := range f.mapping(e, "mix", strategies, nil) {
		if w, ok := f.fraction(x); ok {
			out[x.key] = w
		}
	}
	return out
}

func (f *file) promote(e entry) *Promote {
	p := &Promote{}
	for _, x := range f.mapping(e, "promote", []string{"if", "share"}, nil) {
		switch x.key {
		case "if":
			p.If, p.Match = f.filter(x)
		case "share":
			p.Share, _ = f.fraction(x)
		}
	}
	for _, key := range []string{"if", "share"} {
		if isMapping(e) && !hasKey(e, key) {
			f.add(e.at, `promote needs %s, as in promote: {if: "item.brand == 'Acme'", share: 0.2}`, key)
		}
	}
	return p
}
