package reference_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/bench/reference"
)

// pool makes random conditions, and keeps what they mean.
type pool struct {
	*rand.Rand
	meaning  reference.Conditions
	segments []string // that may be asked for
}

// said is a condition and what it means.
type said struct {
	text string
	reference.Cond
}

func (p *pool) pick(list ...string) string { return list[p.IntN(len(list))] }

func (p *pool) product() string { return fmt.Sprintf("p%d", p.IntN(4)) }

// ofProfile is a condition on the customer alone, as segments may have.
func (p *pool) ofProfile() said {
	n := p.IntN(3)
	product, days := p.product(), int64(1+p.IntN(6))
	text := fmt.Sprintf
	switch p.IntN(12) {
	case 0:
		return said{text("size(profile.cart.items) > %d", n), reference.Cond{Holds: func(v *reference.View) bool { return v.CartSize() > n },
			Moments: (*reference.View).CartLeaves}}
	case 1:
		return said{text("profile.cart.total >= %d.0", 30*n), reference.Cond{Holds: func(v *reference.View) bool { return v.CartTotal() >= float64(30*n) },
			Moments: (*reference.View).CartLeaves}}
	case 2:
		return said{text("profile.orders.count > %d", n), reference.Cond{Holds: func(v *reference.View) bool { return v.Orders() > n }}}
	case 3:
		return said{text("profile.orders.revenue >= %d.0", 50*n), reference.Cond{Holds: func(v *reference.View) bool { return v.Revenue() >= float64(50*n) }}}
	case 4:
		return said{text("profile.events >= %d", 2+2*n), reference.Cond{Holds: func(v *reference.View) bool { return v.Deeds() >= 2+2*n }}}
	case 5:
		plan := p.pick("gold", "silver")
		return said{text("has(profile.traits.plan) && profile.traits.plan == '%s'", plan),
			reference.Cond{Holds: func(v *reference.View) bool { return v.Trait("plan") == plan }}}
	case 6:
		return said{text("profile.viewed.exists(x, x.id == '%s')", product), reference.Cond{Holds: func(v *reference.View) bool { return v.Saw(product) }}}
	case 7:
		return said{text("profile.cart.items.exists(x, x.id == '%s')", product), reference.Cond{Holds: func(v *reference.View) bool { return v.InCart(product) },
			Moments: (*reference.View).CartLeaves}}
	case 8:
		return said{text("now - profile.orders.last_at > days(%d)", days), reference.Cond{
			Holds:   func(v *reference.View) bool { return v.Now-v.LastOrder() > days*dayMs },
			Moments: func(v *reference.View) []int64 { return []int64{v.LastOrder() + days*dayMs} }}}
	case 9:
		return said{text("now - profile.last_at >= days(%d)", days), reference.Cond{
			Holds:   func(v *reference.View) bool { return v.Now-v.LastAt() >= days*dayMs },
			Moments: func(v *reference.View) []int64 { return []int64{v.LastAt() + days*dayMs} }}}
	case 10:
		name := p.pick("Product Viewed", "Product Added", "page")
		return said{text("profile.count('%s', days(%d)) > %d", name, days, n), reference.Cond{
			Holds:   func(v *reference.View) bool { return v.Count(name, days*dayMs) > n },
			Moments: func(v *reference.View) []int64 { return shifted(v.Times(name), days*dayMs) }}}
	}
	return said{text("profile.bought('%s', days(%d))", product, days), reference.Cond{
		Holds:   func(v *reference.View) bool { return v.Bought(product, days*dayMs) },
		Moments: func(v *reference.View) []int64 { return shifted(v.OrderTimes(), days*dayMs) }}}
}

func shifted(list []int64, by int64) []int64 {
	out := make([]int64, len(list))
	for i, at := range list {
		out[i] = at + by
	}
	return out
}

// ofEvent is a condition on an event.
func (p *pool) ofEvent() said {
	n := float64(p.IntN(5))
	channel := p.pick("web", "app", "pos")
	switch p.IntN(5) {
	case 0:
		return said{fmt.Sprintf("event.channel == '%s'", channel), reference.Cond{Holds: func(v *reference.View) bool { return v.Event.Channel == channel }}}
	case 1:
		return said{fmt.Sprintf("has(event.properties.n) && event.properties.n > %g", n), reference.Cond{Holds: func(v *reference.View) bool {
			x, ok := v.Event.Properties["n"].(float64)
			return ok && x > n
		}}}
	case 2:
		return said{"item.available", reference.Cond{Holds: (*reference.View).Available}}
	case 3:
		return said{fmt.Sprintf("item.price > %d.0", int(n)*8), reference.Cond{Holds: func(v *reference.View) bool { return v.Price() > n*8 }}}
	}
	return p.ofProfile()
}

// ofRun is a condition in a run.
func (p *pool) ofRun() said {
	switch n := p.IntN(2); p.IntN(6) {
	case 0:
		return said{fmt.Sprintf("run.sent > %d", n), reference.Cond{Holds: func(v *reference.View) bool { return v.Sent() > n }}}
	case 1:
		if len(p.segments) > 0 {
			name := p.pick(p.segments...)
			return said{fmt.Sprintf("'%s' in profile.segments", name), reference.Cond{Holds: func(v *reference.View) bool { return v.In(name) }}}
		}
	}
	return p.ofEvent()
}

// join makes one condition of several, now and then.
func (p *pool) join(one func() said) said {
	a := one()
	switch p.IntN(6) {
	case 0:
		b := one()
		a = said{"(" + a.text + ") && (" + b.text + ")", reference.Cond{Holds: both(a.Holds, b.Holds), Moments: either(a.Moments, b.Moments)}}
	case 1:
		b := one()
		a = said{"(" + a.text + ") || (" + b.text + ")", reference.Cond{Holds: oneOf(a.Holds, b.Holds), Moments: either(a.Moments, b.Moments)}}
	case 2:
		holds := a.Holds
		a = said{"!(" + a.text + ")", reference.Cond{Holds: func(v *reference.View) bool { return !holds(v) }, Moments: a.Moments}}
	}
	p.meaning[a.text] = a.Cond
	return a
}

func both(a, b func(*reference.View) bool) func(*reference.View) bool {
	return func(v *reference.View) bool { return a(v) && b(v) }
}

func oneOf(a, b func(*reference.View) bool) func(*reference.View) bool {
	return func(v *reference.View) bool { return a(v) || b(v) }
}

func either(a, b func(*reference.View) []int64) func(*reference.View) []int64 {
	return func(v *reference.View) (list []int64) {
		for _, f := range []func(*reference.View) []int64{a, b} {
			if f != nil {
				list = append(list, f(v)...)
			}
		}
		return list
	}
}

// cond is `name: "condition"` for YAML, or nothing.
func (p *pool) cond(name string, one func() said, chance int) string {
	if p.IntN(100) >= chance {
		return ""
	}
	return fmt.Sprintf(", %s: %q", name, p.join(one).text)
}

var behaviours = []string{"Product Viewed", "Product Added", "Product Removed", "Order Completed", "page", "Cart Updated", "Checkout Started",
	"Product Added to Wishlist", "Product Added to Waiting List"}

func (p *pool) names(n int) string {
	var list []string
	for range 1 + p.IntN(n) {
		if name := p.pick(behaviours...); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return "[" + strings.Join(list, ", ") + "]"
}
