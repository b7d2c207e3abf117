package profiles

import (
	"cmp"
	"math"
	"slices"
)

// basket is a cart and the profile that knows whose its changes are.
type basket struct {
	*Cart
	p *Profile
}

// basket returns the customer's cart, to be changed, a new one if there is none.
func (p *Profile) basket() basket {
	p.PackedCart = nil
	if p.Cart == nil {
		p.Cart = &Cart{}
	}
	return basket{p.Cart, p}
}

// share is what the changes of some identifiers that were one come to.
type share struct {
	ids               []string
	quantity, addedAt int64
}

// fold returns the quantity that changes, in order of time, leave in the
// customer's cart, and when the last addition was. Identifiers that were not one
// yet have a quantity each; where two become one, the larger of the two stays.
func (b basket) fold(ops []*CartOp) (quantity, addedAt int64) {
	if !slices.ContainsFunc(ops, foreign) {
		return fold(ops)
	}
	shares := map[string]*share{}
	of := func(id string) *share {
		if shares[id] == nil {
			shares[id] = &share{ids: []string{id}}
		}
		return shares[id]
	}
	next := b.p.Joints
	join := func(until int64) {
		for ; len(next) > 0 && next[0].At <= until; next = next[1:] {
			x, y := of(next[0].A), of(next[0].B)
			if cmp.Or(cmp.Compare(x.quantity, y.quantity), cmp.Compare(x.addedAt, y.addedAt)) < 0 {
				x, y = y, x
			}
			x.ids = append(x.ids, y.ids...)
			for _, id := range y.ids {
				shares[id] = x
			}
		}
	}
	for _, o := range ops {
		join(o.At)
		s := of(cmp.Or(o.Of, b.p.Id))
		if s.quantity = max(s.quantity+o.Quantity, 0); o.Quantity > 0 {
			s.addedAt = o.At
		}
	}
	join(math.MaxInt64)
	s := of(b.p.Id)
	return min(s.quantity, maxQuantity), s.addedAt
}

func foreign(o *CartOp) bool { return o.Of != "" }

// covers reports whether a cart that was shown whole at a time and is of an
// identifier, "" for the profile's own, has in it what another did.
func (b basket) covers(shownOf string, at int64, of string) bool {
	return shownOf == of || connected(b.p.Joints, cmp.Or(shownOf, b.p.Id), cmp.Or(of, b.p.Id), at)
}

// past reports whether the whole cart that a change is about was seen later, or
// at its time.
func (b basket) past(of string, at int64) bool {
	if at <= b.ReplacedAt && b.covers("", b.ReplacedAt, of) {
		return true
	}
	return slices.ContainsFunc(b.Shown, func(s *CartShown) bool { return at <= s.At && b.covers(s.Of, s.At, of) })
}

// show notes that the whole cart of an identifier was seen at a time; false
// where it was seen later.
func (b basket) show(of string, at int64) bool {
	if of == "" {
		if at < b.ReplacedAt {
			return false
		}
		b.ReplacedAt = at
		return true
	}
	i := slices.IndexFunc(b.Shown, func(s *CartShown) bool { return s.Of == of })
	if i < 0 {
		b.Shown = append(b.Shown, &CartShown{Of: of, At: at})
		return true
	}
	if at < b.Shown[i].At {
		return false
	}
	b.Shown[i].At = at
	return true
}

// revise makes the cart what it is now that more is known of the customer's
// identifiers.
func (b basket) revise() {
	b.ownShown()
	for _, id := range b.all() {
		h := b.load(id)
		if len(h.ops) > 0 {
			b.review(&h)
			b.store(h, nil, nil, nil)
		}
	}
}

// ownShown makes what was shown of identifiers that were the customer's by then
// its own.
func (b basket) ownShown() {
	b.Shown = slices.DeleteFunc(b.Shown, func(s *CartShown) bool {
		own := b.p.joined(s.Of, s.At)
		if own {
			b.ReplacedAt = max(b.ReplacedAt, s.At)
		}
		return own
	})
}

// review makes changes of identifiers that were the customer's by then its own,
// and drops those that a cart shown later covers.
func (b basket) review(h *product) {
	for _, o := range h.ops {
		if o.Of != "" && b.p.joined(o.Of, o.At) {
			o.Of = ""
		}
	}
	h.ops = slices.DeleteFunc(slices.Clone(h.ops), func(o *CartOp) bool { return b.past(o.Of, o.At+1) })
}

// settle makes one change of what happened before a horizon under identifiers
// that are all one by then.
func (b basket) settle(old []string, horizon int64) {
	b.Shown = slices.DeleteFunc(b.Shown, func(s *CartShown) bool { return s.At < horizon && slices.Contains(old, s.Of) })
	if b.ReplacedAt < horizon {
		b.ReplacedAt = 0 // what was not in the cart that was shown then may be its own from here on
	}
	for _, id := range b.all() {
		h := b.load(id)
		if !slices.ContainsFunc(h.ops, foreign) {
			continue
		}
		done := func(o *CartOp) bool { return o.At < horizon && (o.Of == "" || slices.Contains(old, o.Of)) }
		var before, rest []*CartOp
		for _, o := range h.ops {
			if done(o) {
				before = append(before, o)
			} else {
				rest = append(rest, o)
			}
		}
		h.ops = rest
		if quantity, at := b.fold(before); quantity > 0 {
			h.insert(at, quantity, "")
		}
		b.store(h, nil, nil, nil)
	}
}

// merge takes over what another cart knows.
func (b basket) merge(x *Cart, of string) {
	if x.UpdatedAt > b.UpdatedAt {
		b.Id, b.Url = cmp.Or(x.Id, b.Id), cmp.Or(x.Url, b.Url)
	} else {
		b.Id, b.Url = cmp.Or(b.Id, x.Id), cmp.Or(b.Url, x.Url)
	}
	b.UpdatedAt = max(b.UpdatedAt, x.UpdatedAt)
	ids := append(b.all(), x.all()...)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	theirs := make([]product, len(ids))
	for i, id := range ids {
		theirs[i] = x.load(id)
		h := &theirs[i]
		h.ops = slices.Clone(h.ops)
		for j, o := range h.ops {
			h.ops[j] = &CartOp{At: o.At, Quantity: o.Quantity, Of: cmp.Or(o.Of, of)}
		}
		h.ops = slices.DeleteFunc(h.ops, func(o *CartOp) bool { return b.past(o.Of, o.At) })
	}
	for _, s := range x.Shown {
		b.show(s.Of, s.At)
	}
	if x.ReplacedAt > 0 {
		b.show(of, x.ReplacedAt)
	}
	b.ownShown()
	for i, id := range ids {
		b.mergeProduct(b.load(id), theirs[i])
	}
}

// mergeProduct merges the histories of one product, h being the cart's own.
func (b basket) mergeProduct(h, o product) {
	h.removed = max(h.removed, o.removed)
	h.ops = slices.Clone(h.ops)
	for _, op := range o.ops {
		h.insert(op.At, op.Quantity, op.Of)
	}
	h.forget(h.removed)
	b.review(&h)
	if h.line == nil {
		h.line = o.line
		if h.line != nil && len(b.Lines) < maxLines {
			b.Lines = append(b.Lines, h.line)
		} else {
			h.line = nil
		}
	} else if o.line != nil {
		h.line.describeAs(o.line)
	}
	b.store(h, nil, nil, nil)
}

// all are the products of which anything is known.
func (c *Cart) all() []string {
	ids := make([]string, 0, len(c.Lines)+len(c.Removals))
	for _, l := range c.Lines {
		ids = append(ids, l.Id)
	}
	for _, r := range c.Removals {
		ids = append(ids, r.Id)
	}
	return ids
}
