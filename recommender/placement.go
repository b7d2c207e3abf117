package recommender

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/streams"
)

type placements struct {
	byName map[string]*placement
	names  []string // sorted
}

// placement is a Placement made ready.
type placement struct {
	name                    string
	strategies              []string
	filter                  func(*streams.Item) bool
	cart, purchased, viewed bool // exclusions
	perCategory, perBrand   int  // 0: any number
	trends                  bool // trending is among the strategies
}

func compile(p Placement) *placement {
	return &placement{
		name:        p.Name,
		strategies:  slices.Clone(p.Strategies),
		filter:      p.Filter,
		cart:        slices.Contains(p.Exclude, "cart"),
		purchased:   slices.Contains(p.Exclude, "purchased"),
		viewed:      slices.Contains(p.Exclude, "viewed"),
		perCategory: p.Diversity["category"],
		perBrand:    p.Diversity["brand"],
		trends:      slices.Contains(p.Strategies, Trending),
	}
}

func (r *Recommender) placement(name string) (*placement, error) {
	all := r.placements.Load()
	if name == "" {
		name = "home"
	}
	if p := all.byName[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w %q: known are %s", ErrUnknownPlacement, name, strings.Join(all.names, ", "))
}

// Placements returns the names of the placements, sorted.
func (r *Recommender) Placements() []string { return slices.Clone(r.placements.Load().names) }
