package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// What can happen to an item.
const (
	kindPriceDrop   = "price_drop"
	kindBackInStock = "back_in_stock"
	kindLowStock    = "low_stock"
	kindRunsOut     = "runs_out"
)

var (
	itemKinds     = []string{kindPriceDrop, kindBackInStock, kindLowStock, kindRunsOut}
	interestKinds = []string{"cart", "wishlist", "viewed", "viewed_out", "waiting"}
)

// strength orders interests, the strongest first.
var strength = []string{"cart", "waiting", "wishlist", "viewed_out", "viewed"}

const (
	collecting      = -1 // the step of a run that still collects items
	maxRunItems     = 100
	defaultCollect  = 15 * minute
	defaultWithin   = 90 * day
	defaultLowStock = 3
)

// itemStart is what a start by item asks for.
type itemStart struct {
	kinds     []string
	min       float64 // a share of the old price, or pieces
	hasMin    bool
	minAmount float64
	max       int64 // pieces
	seen      bool  // the old price is the one that the customer saw
	before    int64 // ms
	interest  []string
	within    int64 // ms
	collect   int64 // ms
	perItem   bool
}

func newItemStart() *itemStart {
	return &itemStart{max: defaultLowStock, interest: []string{"cart", "wishlist", "viewed", "waiting"},
		within: defaultWithin, collect: defaultCollect}
}

func (s *itemStart) has(kind string) bool { return slices.Contains(s.kinds, kind) }

// least is the share that a price must drop by.
func (s *itemStart) least() float64 {
	if s.has(kindBackInStock) && s.min >= 1 {
		return 0
	}
	return s.min
}

// pieces are those that must be there for an item to be back.
func (s *itemStart) pieces() float64 {
	if s.min >= 1 {
		return s.min
	}
	return 1
}

// dropped reports whether a price is lower enough than it was.
func (s *itemStart) dropped(old, now float64) bool {
	return old > 0 && now > 0 && now < old && old-now >= s.least()*old-1e-9 && old-now >= s.minAmount-1e-9
}

// stockOf is how many pieces of an item there are; one whose stock is not said
// has none or plenty.
func stockOf(i *streams.Item) float64 {
	switch {
	case !i.IsAvailable():
		return 0
	case i == nil || i.Stock == nil:
		return 1e9
	}
	return float64(*i.Stock)
}

// kind is what a change of an item means for the start, "" for nothing, with
// the value before it. An item's first price and stock mean nothing.
func (s *itemStart) kind(c *streams.CatalogChange) (kind string, old float64) {
	if c.Old == nil || c.New == nil {
		return "", 0
	}
	was, is := stockOf(c.Old), stockOf(c.New)
	stocked := c.Old.Stock != nil || c.Old.Available != nil
	switch {
	case s.has(kindPriceDrop) && is > 0 && c.Old.Price > 0 && c.New.Price > 0 && c.New.Price < c.Old.Price &&
		(s.seen || s.dropped(c.Old.Price, c.New.Price)):
		return kindPriceDrop, c.Old.Price
	case s.has(kindBackInStock) && stocked && was < s.pieces() && is >= s.pieces():
		return kindBackInStock, was
	case s.has(kindLowStock) && c.Old.Stock != nil && is > 0 && is <= float64(s.max) && was > float64(s.max):
		return kindLowStock, was
	}
	return "", 0
}

// Concerns reports whether any trigger starts by such a change.
func (s *Set) Concerns(c *streams.CatalogChange) bool {
	return slices.ContainsFunc(s.items, func(t *Trigger) bool { kind, _ := t.start.item.kind(c); return kind != "" })
}

// HasItemStarts reports whether any trigger starts by a change of an item.
func (s *Set) HasItemStarts() bool { return len(s.items) > 0 }

// OnItem evaluates a change of an item for t.Profile, who may be interested;
// t.Event is nil. The catalogue shows the change already.
func (s *Set) OnItem(t *Turn, c *streams.CatalogChange) {
	t.prepare(s)
	for _, trig := range s.items {
		if kind, old := trig.start.item.kind(c); kind != "" {
			t.matchItem(trig, kind, old, c)
		}
	}
}

// matchItem adds an item to the run of those collected, or begins one.
func (t *Turn) matchItem(trig *Trigger, kind string, old float64, c *streams.CatalogChange) {
	s := trig.start.item
	m, ok := t.interestIn(s, c.ID)
	if !ok {
		return
	}
	if kind == kindPriceDrop && s.seen {
		if m.Old == 0 || !s.dropped(m.Old, c.New.Price) {
			return
		}
		old = m.Old
	}
	m.Kind, m.Old = kind, old
	if trig.start.cond != nil {
		now := any(c.New.Price)
		if kind != kindPriceDrop {
			now = int64(stockOf(c.New))
			t.scope.changed = &change{old: int64(old), now: now, item: c.New}
		} else {
			t.scope.changed = &change{old: old, now: now, item: c.New}
		}
		holds := t.holds(trig, trig.start.cond, &zeroEvent, nil)
		t.scope.changed = nil
		if !holds {
			return
		}
	}
	t.collect(trig, m, strconv.FormatInt(c.Number, 10))
}

// collect puts a match into the run that collects, or begins one.
func (t *Turn) collect(trig *Trigger, m *profiles.ItemMatch, startedBy string) {
	p, key := t.Profile, ""
	if trig.start.item.perItem {
		key = m.Id
	}
	i, running := findRun(p, trig.Name, key)
	if running {
		if run := p.Runs[i]; run.Step == collecting && len(run.Matches) < maxRunItems {
			t.Changed = true
			addMatch(run, m)
		}
		return
	}
	if len(p.Runs) >= maxRuns || !t.set.alive(trig, t.Now, t.Env) || trig.wait(p, t.Now) {
		return
	}
	run := t.newRun(trig, startedBy)
	run.Key = key
	addMatch(run, m)
	if !t.holds(trig, trig.while, &zeroEvent, run) {
		return
	}
	p.Runs = slices.Insert(p.Runs, i, run)
	t.spare, t.Changed = nil, true
	state(p, trig.Name).LastStartAt = t.Now
	t.Started = append(t.Started, trig.Name)
	run.Step, run.StepAt, run.DueAt = collecting, t.Now, t.Now+trig.start.item.collect
}

// addMatch keeps the run's items in order: the strongest interest first, then
// the latest, then by id. An item that is there already is as it is now.
func addMatch(run *profiles.Run, m *profiles.ItemMatch) {
	run.Matches = slices.DeleteFunc(run.Matches, func(x *profiles.ItemMatch) bool { return x.Id == m.Id })
	run.Matches = append(run.Matches, m)
	slices.SortFunc(run.Matches, func(a, b *profiles.ItemMatch) int {
		return cmp.Or(cmp.Compare(b.Interest, a.Interest), cmp.Compare(b.At, a.At), strings.Compare(a.Id, b.Id))
	})
	listItems(run)
}

func listItems(run *profiles.Run) {
	run.Items = run.Items[:0]
	for _, m := range run.Matches {
		run.Items = append(run.Items, m.Id)
	}
}

// interestIn is the customer's strongest interest in an item among those that
// count, with the price that the customer saw in Old.
func (t *Turn) interestIn(s *itemStart, id string) (*profiles.ItemMatch, bool) {
	for i, kind := range strength {
		if !slices.Contains(s.interest, kind) {
			continue
		}
		at, price, ok := t.shown(kind, id)
		if ok && at > t.Now-s.within {
			return &profiles.ItemMatch{Id: id, Old: price, At: at, Interest: uint32(len(strength) - i)}, true
		}
	}
	return nil, false
}

// shown is when the customer last showed an interest of a kind, and the price
// seen then.
func (t *Turn) shown(kind, id string) (at int64, price float64, ok bool) {
	p := t.Profile
	list := p.Viewed
	switch kind {
	case "cart":
		for _, l := range t.scope.cart().Lines {
			if l.Id == id {
				return l.AddedAt, l.Price, true
			}
		}
		return 0, 0, false
	case "wishlist":
		list = p.Wishlist
	case "waiting":
		list = p.Waiting
	}
	for _, i := range list {
		if i.Id == id && (kind != "viewed_out" || !i.Available) {
			return i.At, i.Price, true
		}
	}
	return 0, 0, false
}

// requalify drops the items that no longer qualify; false when none is left.
func (t *Turn) requalify(trig *Trigger, run *profiles.Run) bool {
	n := len(run.Matches)
	run.Matches = slices.DeleteFunc(run.Matches, func(m *profiles.ItemMatch) bool { return !t.qualifies(trig, run, m) })
	if len(run.Matches) < n {
		listItems(run)
	}
	return len(run.Matches) > 0
}

func (t *Turn) qualifies(trig *Trigger, run *profiles.Run, m *profiles.ItemMatch) bool {
	for _, o := range orZero(t.Profile.Orders, &zeroOrders).Recent {
		if o.At > run.StartedAt && slices.ContainsFunc(o.Products, func(l *profiles.Line) bool { return l.Id == m.Id }) {
			return false // bought since
		}
	}
	s, item := trig.start.item, t.Env.item(m.Id)
	if s == nil {
		return true // the trigger starts by something else now
	}
	if _, interested := t.interestIn(s, m.Id); !interested && m.Kind != kindRunsOut {
		return false // taken out of the cart, or off the list
	}
	switch m.Kind {
	case kindPriceDrop:
		return item != nil && item.IsAvailable() && s.dropped(m.Old, item.Price)
	case kindBackInStock:
		return stockOf(item) >= s.pieces()
	case kindLowStock:
		return stockOf(item) > 0 && stockOf(item) <= float64(s.max)
	}
	return item.IsAvailable()
}

// runsOutKey is the key of a runs_out start's timer.
const runsOutKey = "\x00runs_out"

// maxItemMarks bounds the items that a runs_out start remembers of one customer.
const maxItemMarks = 100

// runsOutAt is when an item that was last bought at a time will run out less
// what the start asks for before it, 0 when nobody can tell.
func (t *Trigger) runsOutAt(p *profiles.Profile, id string, env *Env) (last, due int64) {
	var bought []int64 // newest first
	for _, o := range orZero(p.Orders, &zeroOrders).Recent {
		if !o.Void && slices.ContainsFunc(o.Products, func(l *profiles.Line) bool { return l.Id == id }) {
			bought = append(bought, o.At)
		}
	}
	if len(bought) == 0 {
		return 0, 0
	}
	slices.Sort(bought)
	last = bought[len(bought)-1]
	gap := int64(0)
	if len(bought) >= 3 {
		gap = medianGap(bought)
	} else if item := env.item(id); item != nil {
		gap = replenishDays(item)
	}
	if gap <= 0 {
		return last, 0
	}
	return last, last + gap - t.start.item.before
}

func medianGap(at []int64) int64 {
	gaps := make([]int64, len(at)-1)
	for i := range gaps {
		gaps[i] = at[i+1] - at[i]
	}
	slices.Sort(gaps)
	if n := len(gaps); n%2 == 1 {
		return gaps[n/2]
	}
	return (gaps[len(gaps)/2-1] + gaps[len(gaps)/2]) / 2
}

// replenishDays is attributes.replenish_days in ms, 0 without it.
func replenishDays(item *streams.Item) int64 {
	days := 0.0
	switch v := item.Attributes["replenish_days"].(type) {
	case float64:
		days = v
	case string:
		days, _ = strconv.ParseFloat(v, 64)
	}
	if days > 0 && days < 3660 {
		return int64(days * float64(day))
	}
	return 0
}

// boughtItems are the ids of what the customer's recent orders hold, each once,
// in order of their first appearance.
func boughtItems(p *profiles.Profile) []string {
	var ids []string
	for _, o := range orZero(p.Orders, &zeroOrders).Recent {
		for _, l := range o.Products {
			if !slices.Contains(ids, l.Id) {
				ids = append(ids, l.Id)
			}
		}
	}
	return ids
}

func marked(p *profiles.Profile, trigger, id string, last int64) bool {
	st, hash := stateOf(p, trigger), xxhash.Sum64String(id)
	return st != nil && slices.ContainsFunc(st.Items, func(m *profiles.ItemMark) bool { return m.Item == hash && m.At >= last })
}

// runsOutTimer adds the timer of the next item to run out.
func (s *Set) runsOutTimer(trig *Trigger, p *profiles.Profile, after int64, env *Env, add func(Timer)) {
	first := int64(0)
	for _, id := range boughtItems(p) {
		last, due := trig.runsOutAt(p, id, env)
		if due > after && (first == 0 || due < first) && !marked(p, trig.Name, id, last) {
			first = due
		}
	}
	if first > 0 && p.AliasOf == "" {
		add(Timer{Due: first, Profile: p.Id, Trigger: trig.Name, Key: runsOutKey, Priority: trig.Priority})
	}
}

// startRunsOut collects the items that run out now.
func (s *Set) startRunsOut(t *Turn, trig *Trigger, due int64) {
	p := t.Profile
	for _, id := range boughtItems(p) {
		last, at := trig.runsOutAt(p, id, t.Env)
		if at == 0 || at > due || at < due-day || marked(p, trig.Name, id, last) {
			continue
		}
		st := state(p, trig.Name)
		st.Items = slices.DeleteFunc(st.Items, func(m *profiles.ItemMark) bool { return m.Item == xxhash.Sum64String(id) })
		st.Items = slices.Delete(st.Items, 0, max(0, len(st.Items)-maxItemMarks+1))
		st.Items = append(st.Items, &profiles.ItemMark{Item: xxhash.Sum64String(id), At: last})
		t.scope.changed = &change{item: or(t.Env.item(id), &streams.Item{ID: id})}
		holds := t.holds(trig, trig.start.cond, &zeroEvent, nil)
		t.scope.changed = nil
		if holds {
			t.collect(trig, &profiles.ItemMatch{Id: id, Kind: kindRunsOut, At: last, Interest: 1}, strconv.FormatInt(last, 10))
		}
	}
}
