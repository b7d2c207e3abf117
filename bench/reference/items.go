package reference

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
)

// PutItem changes a product of the catalogue for everybody.
func (m *Model) PutItem(item *Item) {
	old := m.catalogue[item.ID]
	if old != nil && *old == *item {
		return
	}
	interested := slices.Sorted(maps.Keys(m.touched[item.ID]))
	for _, id := range interested {
		m.pass(m.customer(id))
	}
	m.changes++
	m.catalogue[item.ID] = item
	if old == nil {
		return
	}
	for _, id := range interested {
		c := m.customer(id)
		if c.id != id && m.touched[item.ID][c.id] {
			continue // it is another's turn
		}
		m.touched[item.ID][c.id] = true
		w := &walk{m: m, c: c, now: m.now}
		for _, t := range m.rules.triggers {
			if t.start.kind == "item" {
				w.changed(t, old, item)
			}
		}
	}
}

// kindOf is what a change of a product is for a start.
func (s *start) kindOf(old, item *Item) string {
	counted := old.HasStock || old.Available != nil
	pieces := max(s.min, 1)
	switch {
	case slices.Contains(s.kinds, "price_drop") && item.available() && old.Price > 0 && item.Price > 0 && item.Price < old.Price &&
		(s.seen || s.cheaper(old.Price, item.Price)):
		return "price_drop"
	case slices.Contains(s.kinds, "back_in_stock") && counted && old.pieces() < pieces && item.pieces() >= pieces:
		return "back_in_stock"
	case slices.Contains(s.kinds, "low_stock") && old.HasStock && item.pieces() > 0 && item.pieces() <= float64(s.most) &&
		old.pieces() > float64(s.most):
		return "low_stock"
	}
	return ""
}

func (s *start) cheaper(old, now float64) bool {
	share := s.min
	if share >= 1 {
		share = 0
	}
	return old > 0 && now > 0 && now < old && old-now >= share*old-1e-9
}

// changed collects a product that changed for a customer who is interested.
func (w *walk) changed(t *trigger, old, item *Item) {
	s := &t.start
	kind := s.kindOf(old, item)
	found, ok := w.interest(s, item.ID)
	if kind == "" || !ok {
		return
	}
	seen := found.old
	found.kind, found.old = kind, old.Price
	if kind == "price_drop" && s.seen {
		if found.old = seen; !s.cheaper(seen, item.Price) {
			return
		}
	}
	key := ""
	if s.perItem {
		key = item.ID
	}
	r := w.c.running(t, key)
	if r != nil && r.step != nil || r == nil && w.waits(t) {
		return
	}
	if r == nil {
		r = w.newRun(t, key, strconv.FormatInt(w.m.changes, 10), nil)
		r.stepAt, r.due = w.now, w.now+s.collect
		r.matches = []matched{found}
		if w.holds(t.while, nil, r) {
			w.c.runs = append(w.c.runs, r)
		}
		return
	}
	r.matches = slices.DeleteFunc(r.matches, func(m matched) bool { return m.id == found.id })
	r.matches = append(r.matches, found)
	slices.SortFunc(r.matches, func(a, b matched) int {
		return cmp.Or(cmp.Compare(b.strength, a.strength), cmp.Compare(b.at, a.at), cmp.Compare(a.id, b.id))
	})
}

// interest is the customer's strongest interest in a product, with the price
// that he saw.
func (w *walk) interest(s *start, id string) (matched, bool) {
	for i, kind := range []string{"cart", "waiting", "wishlist", "viewed_out", "viewed"} {
		if !slices.Contains(s.interests, kind) {
			continue
		}
		name := kind
		if kind == "viewed_out" {
			name = "viewed"
		}
		var list []interest
		for _, in := range w.c.lists[name] {
			if kind != "viewed_out" || !in.available {
				list = append(list, in)
			}
		}
		if kind == "cart" {
			for _, l := range w.c.lines(w.now) {
				list = append(list, interest{id: l.id, at: l.added, price: l.price})
			}
		}
		for _, in := range list {
			if in.id == id && in.at > w.now-s.within {
				return matched{id: id, old: in.price, at: in.at, strength: -i}, true
			}
		}
	}
	return matched{}, false
}

// requalify drops the products of a run that it is not about any more; false if
// none is left.
func (w *walk) requalify(r *run) bool {
	r.matches = slices.DeleteFunc(r.matches, func(m matched) bool { return !w.qualifies(r, m) })
	return len(r.matches) > 0
}

func (w *walk) qualifies(r *run, m matched) bool {
	for _, o := range w.c.orders {
		if o.at > r.startedAt && slices.ContainsFunc(o.lines, func(l Line) bool { return l.ID == m.id }) {
			return false
		}
	}
	s, item := &r.trigger.start, w.m.item(m.id)
	if _, ok := w.interest(s, m.id); !ok {
		return false
	}
	switch m.kind {
	case "price_drop":
		return item.available() && item != nil && s.cheaper(m.old, item.Price)
	case "back_in_stock":
		return item.pieces() >= max(s.min, 1)
	}
	return item.pieces() > 0 && item.pieces() <= float64(s.most)
}
