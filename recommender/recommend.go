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
	r       *Recommender
	m       *models
	req     *Request
	place   *placement
	answer  *Answer
	barred  hashSet // ids not to be recommended in this list, by hash
	shown   hashSet // ids recommended in this call, by hash
	groups  hashSet // group_ids recommended in this call, by hash
	now     int64   // req.Now within the times that events can have
	skip    int     // accepted items still to pass over
	want    int     // items still to be answered
	unknown streams.Item
	variety variety
	scores  scores
	items   []string // the request's items as a context

	tired      hashSet // ids that were shown too often, by hash
	promised   int     // of the places wanted, how many are for promoted items
	promotions []bool  // which items of the answer are promoted
	mixed      scores
	origins    []origin // of the mix, by place in its scores
	best       []scored
	chosen     []*features // of the list, for MMR
	alikeness  []float64   // of candidates to these
	contenders []contender
	given      []float64

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
	s.r, s.m, s.req, s.place, s.answer, s.unknown, s.items = nil, nil, nil, nil, nil, streams.Item{}, nil
	clear(s.chosen)
	clear(s.contenders)
	r.scratch.Put(s)
}

// start begins an answer.
func (s *scratch) start(req *Request, pl *placement, answer *Answer) {
	s.req, s.place, s.answer, s.items = req, pl, answer, req.Items
	answer.ID, answer.Placement, answer.Strategy = req.ID, pl.name, StrategyNone
	answer.Items = answer.Items[:0]
	s.now = min(max(req.Now, -maxTime), maxTime)
	s.want = req.Limit
	if s.want <= 0 {
		s.want = defaultLimit
	}
	s.want = min(s.want, maxLimit)
	s.skip = min(max(req.Offset, 0), maxOffset)
	s.variety.reset(0, 0)
	s.promotions, s.chosen = s.promotions[:0], s.chosen[:0]
	s.promised = 0
	s.tired.reset(0)
}

func (s *scratch) answerOne(req *Request, pl *placement, answer *Answer) {
	s.start(req, pl, answer)
	s.bar()
	s.rotate()
	passed := 0
	if pl.promote != nil { // what is passed over is arranged, too
		passed, s.want, s.skip = s.skip, s.want+s.skip, 0
		s.promised = pl.promised(s.want)
	}
	s.variety.reset(pl.perCategory, pl.perBrand)
	s.pins()
	s.strategies()
	if s.want > 0 && s.tired.n > 0 { // what was shown often comes after the rest
		s.tired.reset(0)
		s.strategies()
	}
	s.fallBack()
	if s.want > 0 && s.promised > 0 { // not enough is promoted
		s.promised = 0
		s.strategies()
		s.fallBack()
	}
	if pl.promote != nil {
		s.arrange()
		answer.Items = slices.Delete(answer.Items, 0, min(passed, len(answer.Items)))
	}
	if req.Explain {
		s.explainAll()
	}
	if req.Track {
		s.r.noteServed(req, answer, s.time())
	}
}

// time is the request's, or that of the newest event learned.
func (s *scratch) time() int64 {
	if s.now != 0 {
		return s.now
	}
	return s.m.newest.Load()
}

// strategies lets the placement's strategies fill the list.
func (s *scratch) strategies() {
	if len(s.place.mix) > 0 && s.want > 0 {
		s.mix()
	}
	for _, name := range s.place.strategies {
		if s.want == 0 {
			return
		}
		s.run(name)
	}
}

// fallBack fills the list, whatever its diversity, with what is trending and with
// the newest items of the catalogue.
func (s *scratch) fallBack() {
	s.variety.reset(0, 0)
	if pl := s.place; s.want > 0 && (!pl.trends || pl.perCategory > 0 || pl.perBrand > 0) {
		s.trending()
	}
	if s.want > 0 {
		s.newest(StrategyCatalog)
	}
}

// run lets one strategy fill the list.
func (s *scratch) run(name string) {
	switch name {
	case RecentlyViewed:
		s.recentlyViewed()
	case Similar:
		s.similar()
	case Trending:
		s.trending()
	case Newest:
		s.newest(Newest)
	default:
		s.fill(name)
		s.offerScored(name, name == Session && s.req.Repeats)
	}
}

// bar notes what this list must not have.
func (s *scratch) bar() {
	s.barred.reset(len(s.req.Items) + len(s.req.Exclude))
	s.barAll(s.req.Items)
	s.barAll(s.req.Exclude)
	s.barPlacement()
}

// barPlacement notes what the placement excludes.
func (s *scratch) barPlacement() {
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
			s.barred.add(hashOfID(c.Recent[i].ID))
		}
	}
}

func (s *scratch) barAll(ids []string) {
	for _, id := range ids {
		s.barred.add(hashOfID(id))
	}
}

// hashOfID is entry.hash of an id.
func hashOfID(id string) uint64 { return xxhash.Sum64String(id) }

// offer adds an item to the list if it may be there. It reports whether it did,
// or passed over it because of the offset.
func (s *scratch) offer(i uint32, score float64, reason string) bool {
	e := s.m.ids.at(i)
	if s.barred.has(e.hash) || s.shown.has(e.hash) || s.tired.n > 0 && reason != StrategyPinned && s.tired.has(e.hash) {
		return false
	}
	now := e.now.Load()
	if now != nil && !s.sellable(now) || !s.passes(e, now) {
		return false
	}
	promoted := s.promotes(e, now)
	if !promoted && s.promised > 0 && s.want <= s.promised && reason != StrategyPinned {
		return false
	}
	if promoted && s.promised > 0 {
		s.promised--
	}
	s.shown.add(e.hash)
	if now != nil {
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
	s.append(e, now, i, Ranked{ID: e.id, Score: score, Reason: reason})
	if s.place.promote != nil {
		s.promotions = append(s.promotions, promoted)
	}
	return true
}

// append puts an item at the end of the answer.
func (s *scratch) append(e *entry, now *current, i uint32, ranked Ranked) {
	if len(s.answer.Items) == 0 {
		s.answer.Strategy = ranked.Reason
	}
	if now != nil {
		ranked.Item = now.item
	}
	if s.req.Explain {
		s.explain(&ranked, i)
		s.explainRules(e, &ranked)
	}
	s.answer.Items = append(s.answer.Items, ranked)
}

// mayShow reports whether an item may be shown here, whatever else is in the list.
func (s *scratch) mayShow(i uint32) bool {
	e := s.m.ids.at(i)
	now := e.now.Load()
	return !s.barred.has(e.hash) && (now == nil || s.sellable(now)) && s.passes(e, now)
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
	return s.place.filter == nil && s.req.Filter == nil || s.filtered(s.seen(e, now))
}

// passesUnknown is passes for an id that nobody knows.
func (s *scratch) passesUnknown(id string) bool {
	s.unknown = streams.Item{ID: id}
	return s.filtered(&s.unknown)
}

func (s *scratch) filtered(item *streams.Item) bool {
	return (s.place.filter == nil || s.place.filter(item)) && (s.req.Filter == nil || s.req.Filter(item))
}

// seen is an item as filters see it.
func (s *scratch) seen(e *entry, now *current) *streams.Item {
	if now != nil {
		return now.item
	}
	s.unknown = streams.Item{ID: e.id}
	return &s.unknown
}

// newest fills the list with the newest items of the catalogue, scored by their place
// where they are a strategy's answer and 0 where they only fill up. Where only
// promoted ones are wanted it does not search all for them.
func (s *scratch) newest(reason string) {
	looked := 0
	s.eachNewest(s.r.cfg.Scan, func(i uint32, score float64) bool {
		if reason != Newest {
			score = 0
		}
		if looked++; s.want > s.promised || looked <= promoteScan {
			s.offer(i, score, reason)
		}
		return s.want > 0
	})
}

// eachNewest calls fn with the newest items, at most so many, until it returns false.
func (s *scratch) eachNewest(most int, fn func(i uint32, score float64) bool) {
	order := *s.r.catalogue.order.Load()
	stop := max(0, len(order)-most)
	for i := len(order) - 1; i >= stop; i-- {
		if !fn(order[i], 1/float64(len(order)-i)) {
			return
		}
	}
}
