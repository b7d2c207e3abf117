package recommender

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/streams"
)

const (
	defaultLimit = 10
	maxLimit     = 1000
	maxOffset    = 10_000
)

// scratch is what one call works with; it is pooled.
type scratch struct {
	r                  *Recommender
	m                  *models
	req                *Request
	place              *placement
	answer             *Answer
	barred             hashSet // ids not to be recommended in this list, by hash
	shown              hashSet // ids recommended in this call, by hash
	groups             hashSet // group_ids recommended in this call, by hash
	now                int64   // req.Now within the times that events can have
	skip               int     // accepted items still to pass over
	want               int     // items still to be answered
	unknown            streams.Item
	variety            variety
	scores             scores
	context            []uint32
	seeds              [contextItems]float64 // weights of the context in for_you
	categories, brands []preference          // of the customer
	own                uint32                // number of the customer's own session
}

func newScratch() *scratch { return &scratch{} }

// Recommend answers one request. It allocates nothing once answer.Items has
// room, unless Explain is set. An unknown customer, unknown ids and an empty
// model are no errors: the list falls back to what is trending and then to the
// newest items of the catalogue. The only error wraps ErrUnknownPlacement.
//
// Ranking is by score, then by id, and depends on nothing but the request, the
// models and the catalogue, so that Offset continues the list of the same
// request. A filter that matches nothing gives an empty list.
func (r *Recommender) Recommend(req *Request, answer *Answer) error {
	pl, err := r.placement(req.Placement)
	if err != nil {
		return err
	}
	s := r.begin()
	s.answerOne(req, pl, answer)
	s.end()
	return nil
}

// RecommendMany answers several requests, answers[i] for reqs[i]. With dedupe an
// item or group_id that one answer has is in none after it. On error, of any
// request, no answer counts.
func (r *Recommender) RecommendMany(reqs []*Request, dedupe bool, answers []Answer) error {
	for _, req := range reqs {
		if _, err := r.placement(req.Placement); err != nil {
			return err
		}
	}
	s := r.begin()
	defer s.end()
	for i, req := range reqs {
		pl, err := r.placement(req.Placement)
		if err != nil { // a reload in between
			return err
		}
		if i > 0 && !dedupe {
			s.forget()
		}
		s.answerOne(req, pl, &answers[i])
	}
	return nil
}

func (r *Recommender) begin() *scratch {
	s := r.scratch.Get().(*scratch)
	s.r, s.m = r, r.models.Load()
	s.forget()
	return s
}

func (s *scratch) forget() {
	s.shown.reset(0)
	s.groups.reset(0)
}

func (s *scratch) end() {
	r := s.r
	s.r, s.m, s.req, s.place, s.answer, s.unknown = nil, nil, nil, nil, nil, streams.Item{}
	r.scratch.Put(s)
}

func (s *scratch) answerOne(req *Request, pl *placement, answer *Answer) {
	s.req, s.place, s.answer = req, pl, answer
	answer.ID, answer.Placement, answer.Strategy = req.ID, pl.name, StrategyNone
	answer.Items = answer.Items[:0]
	s.now = min(max(req.Now, -maxTime), maxTime)
	s.want = req.Limit
	if s.want <= 0 {
		s.want = defaultLimit
	}
	s.want = min(s.want, maxLimit)
	s.skip = min(max(req.Offset, 0), maxOffset)
	s.bar()
	s.variety.reset(pl.perCategory, pl.perBrand)
	for _, name := range pl.strategies {
		if s.want == 0 {
			return
		}
		s.run(name)
	}
	s.variety.reset(0, 0)
	if s.want > 0 && (!pl.trends || pl.perCategory > 0 || pl.perBrand > 0) {
		s.trending()
	}
	if s.want > 0 {
		s.newest(StrategyCatalog)
	}
}

// run lets one strategy fill the list.
func (s *scratch) run(name string) {
	switch name {
	case Session:
		s.session()
	case ViewedTogether:
		s.viewedTogether()
	case BoughtTogether:
		s.boughtTogether()
	case RecentlyViewed:
		s.recentlyViewed()
	case Similar:
		s.similar()
	case ForYou:
		s.fillForYou()
		s.offerScored(ForYou, false)
	case BuyAgain:
		s.fillBuyAgain()
		s.offerScored(BuyAgain, false)
	case Trending:
		s.trending()
	case Newest:
		s.newest(Newest)
	}
}

// bar notes what this list must not have.
func (s *scratch) bar() {
	s.barred.reset(len(s.req.Items) + len(s.req.Exclude))
	s.barAll(s.req.Items)
	s.barAll(s.req.Exclude)
	c := &s.req.Customer
	if s.place.cart {
		s.barAll(c.Cart)
	}
	if s.place.purchased {
		s.barAll(c.Purchased)
	}
	if s.place.viewed {
		s.barAll(c.Session)
		for i := range c.Recent {
			s.barred.add(xxhash.Sum64String(c.Recent[i].ID))
		}
	}
}

func (s *scratch) barAll(ids []string) {
	for _, id := range ids {
		s.barred.add(xxhash.Sum64String(id))
	}
}

// offer adds an item to the list if it may be there. It reports whether it did,
// or passed over it because of the offset.
func (s *scratch) offer(i uint32, score float64, reason string) bool {
	e := s.m.ids.at(i)
	if s.barred.has(e.hash) || s.shown.has(e.hash) {
		return false
	}
	now := e.now.Load()
	if now != nil && !s.sellable(now) || !s.passes(e, now) {
		return false
	}
	s.shown.add(e.hash)
	var item *streams.Item
	if now != nil {
		item = now.item
		s.variety.add(now)
		if now.group != 0 {
			s.groups.add(now.group)
		}
	}
	if s.skip > 0 {
		s.skip--
		return true
	}
	s.want--
	if len(s.answer.Items) == 0 {
		s.answer.Strategy = reason
	}
	s.answer.Items = append(s.answer.Items, Ranked{ID: e.id, Score: score, Reason: reason, Item: item})
	if s.req.Explain {
		s.explain(&s.answer.Items[len(s.answer.Items)-1], i)
	}
	return true
}

// sellable reports whether the catalogue lets an item be shown here.
func (s *scratch) sellable(now *current) bool {
	if !now.available || now.group != 0 && s.groups.has(now.group) || !s.variety.allows(now) {
		return false
	}
	if !now.limited {
		return true
	}
	item := now.item
	if s.req.Channel != "" && len(item.Channels) > 0 && !slices.Contains(item.Channels, s.req.Channel) {
		return false
	}
	at, ok := item.Stores[s.req.Store]
	return !ok || s.req.Store == "" || at.Stock == nil || *at.Stock > 0
}

// passes reports whether the filters hold for an item.
func (s *scratch) passes(e *entry, now *current) bool {
	if s.place.filter == nil && s.req.Filter == nil {
		return true
	}
	item := &s.unknown
	if now != nil {
		item = now.item
	} else {
		s.unknown = streams.Item{ID: e.id}
	}
	return (s.place.filter == nil || s.place.filter(item)) && (s.req.Filter == nil || s.req.Filter(item))
}

// newest fills the list with the newest items of the catalogue, scored by their place
// where they are a strategy's answer and 0 where they only fill up.
func (s *scratch) newest(reason string) {
	order := *s.r.catalogue.order.Load()
	stop := max(0, len(order)-s.r.cfg.Scan)
	for i := len(order) - 1; i >= stop && s.want > 0; i-- {
		score := 0.0
		if reason == Newest {
			score = 1 / float64(len(order)-i)
		}
		s.offer(order[i], score, reason)
	}
}
