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
	cart, purchased, viewed bool       // exclusions
	perCategory, perBrand   int        // 0: any number
	trends                  bool       // trending is among the strategies
	mix                     []weighted // strategies that are mixed, in their order
	promote                 func(*streams.Item) bool
	share                   float64 // of the places, for what promote matches
	pin                     []string
	rotate                  int     // 0: never
	mmr                     float64 // 0: none
}

func compile(p Placement) *placement {
	c := &placement{
		name:        p.Name,
		strategies:  slices.Clone(p.Strategies),
		filter:      p.Filter,
		cart:        slices.Contains(p.Exclude, "cart"),
		purchased:   slices.Contains(p.Exclude, "purchased"),
		viewed:      slices.Contains(p.Exclude, "viewed"),
		perCategory: p.Diversity["category"],
		perBrand:    p.Diversity["brand"],
		trends:      slices.Contains(p.Strategies, Trending),
		pin:         slices.Clone(p.Pin),
		rotate:      max(0, p.Rotate),
		mmr:         min(max(0, p.MMR), 1),
	}
	if p.Promote != nil && p.PromoteShare > 0 {
		c.promote, c.share = p.Promote, min(p.PromoteShare, 1)
	}
	for _, name := range p.Strategies {
		if w := p.Mix[name]; w > 0 {
			c.mix = append(c.mix, weighted{name, w})
		}
	}
	return c
}

// weights are the strategies with what their best item weighs where they are added
// up: as the mix has it, else each half of the one before.
func (p *placement) weights() []weighted {
	if len(p.mix) > 0 {
		return p.mix
	}
	list, weight := make([]weighted, 0, len(p.strategies)), 1.0
	for _, name := range p.strategies {
		list = append(list, weighted{name, weight})
		weight /= 2
	}
	return list
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
