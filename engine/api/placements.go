package api

import (
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/recommender"
)

// earnedView is what recommendations did, counted by item; an order counts once.
type earnedView struct {
	Served      uint64  `json:"served"`
	Impressions uint64  `json:"impressions"`
	Clicks      uint64  `json:"clicks"`
	Adds        uint64  `json:"adds"`
	Orders      uint64  `json:"orders"`
	Revenue     float64 `json:"revenue"`
}

type strategyView struct {
	Strategy string `json:"strategy"`
	earnedView
}

type placementView struct {
	Placement string `json:"placement"`
	earnedView
	Strategies []strategyView `json:"strategies"`
}

type placementsAnswer struct {
	Placements []placementView `json:"placements"`
}

// placements lists what the recommendations of each placement earned, by strategy.
func (s *Server) placements(ctx *fasthttp.RequestCtx, _ scope) {
	list, names := s.engine.Earned()
	out := placementsAnswer{Placements: []placementView{}}
	for _, name := range names {
		p := placementView{Placement: name, Strategies: []strategyView{}}
		for k := range list {
			if list[k].Placement == name {
				v := viewEarned(&list[k])
				p.add(&v)
				p.Strategies = append(p.Strategies, strategyView{list[k].Strategy, v})
			}
		}
		out.Placements = append(out.Placements, p)
	}
	s.answer(ctx, out)
}

func viewEarned(e *recommender.Earned) earnedView {
	return earnedView{e.Served, e.Impressions, e.Clicks, e.Adds, e.Orders, e.Revenue}
}

func (v *earnedView) add(o *earnedView) {
	v.Served += o.Served
	v.Impressions += o.Impressions
	v.Clicks += o.Clicks
	v.Adds += o.Adds
	v.Orders += o.Orders
	v.Revenue += o.Revenue
}
