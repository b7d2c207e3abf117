package reference

import (
	"fmt"
	"slices"
	"strconv"
)

// visitor is one customer of the shop.
type visitor struct {
	profile   string
	lastSeen  int64
	lastOrder int64
	orders    map[string]bool  // by transaction
	cart      map[string]int64 // quantity by sku
	removed   map[string]int64 // when a sku last left the cart for good

	abandoned run // of abandoned_cart
	viewed    run // of viewed_item

	decisions []Decision
}

// run is a customer's walk through a trigger.
type run struct {
	on          bool
	startedBy   string // messageId of the first start event
	startedAt   int64  // of the last start event
	item        string // that the last start event was about
	step        int    // the wait in progress
	stepAt      int64  // when that wait began
	lastMessage int64
}

func newVisitor(name string) *visitor {
	return &visitor{
		profile: "anonymous:" + name, lastOrder: never,
		orders: map[string]bool{}, cart: map[string]int64{}, removed: map[string]int64{},
		abandoned: run{lastMessage: never}, viewed: run{lastMessage: never},
	}
}

// passTime fires what is due at or before now, the earliest first.
func (v *visitor) passTime(now int64) {
	for {
		a, b := v.abandonedDue(), v.viewedDue()
		switch {
		case a <= now && a <= b:
			v.fireAbandoned(a)
		case b <= now:
			v.fireViewed(b)
		default:
			return
		}
	}
}

const notDue = int64(1 << 62)

// abandonedDue: half an hour without activity, then a day after the last
// change of the cart or the first message, whichever is later.
func (v *visitor) abandonedDue() int64 {
	r := &v.abandoned
	switch {
	case !r.on:
		return notDue
	case r.step == 0:
		return max(v.lastSeen, r.stepAt) + 30*minute
	}
	return max(r.startedAt, r.stepAt) + 24*hour
}

func (v *visitor) viewedDue() int64 {
	if !v.viewed.on {
		return notDue
	}
	return max(v.lastSeen, v.viewed.stepAt) + 30*minute
}

func (v *visitor) fireAbandoned(now int64) {
	r := &v.abandoned
	// The cart is not empty: an event that empties it ends the run.
	v.send("abandoned_cart", r.step+1, r, now, v.cartItems())
	if r.step == 0 {
		r.step, r.stepAt = 2, now
		return
	}
	r.on = false
}

func (v *visitor) fireViewed(now int64) {
	r := &v.viewed
	if v.lastOrder == never || now-v.lastOrder > 10*day {
		v.send("viewed_item", 1, r, now, []string{r.item + " x0"})
	} else {
		v.not("viewed_item", 1, now, "condition")
	}
	r.on = false
}

func (v *visitor) send(trigger string, step int, r *run, now int64, items []string) {
	r.lastMessage = now
	v.decisions = append(v.decisions, Decision{
		Profile: v.profile, Trigger: trigger, Step: step, At: now, Items: items,
		ID: messageID(trigger, step, v.profile, r.startedBy),
	})
}

func (v *visitor) not(trigger string, step int, now int64, reason string) {
	v.decisions = append(v.decisions, Decision{Profile: v.profile, Trigger: trigger, Step: step, At: now, Reason: reason})
}

func (v *visitor) cartItems() []string {
	items := []string{}
	for sku, quantity := range v.cart {
		items = append(items, fmt.Sprintf("%s x%d", sku, quantity))
	}
	slices.Sort(items)
	return items
}

// take applies an event: the cart first, then what it ends, then what it
// starts.
func (v *visitor) take(r row) {
	v.lastSeen = r.at
	v.shop(r)
	v.exits(r)
	v.whiles(r.at)
	v.starts(r)
}

// shop changes the cart and the orders.
func (v *visitor) shop(r row) {
	if r.sku == "" || r.sku == "(not set)" {
		return
	}
	quantity := int64(1)
	if q, err := strconv.ParseFloat(r.qty, 64); err == nil {
		quantity = int64(min(q, 1e9)) // absurd ones count as the most that a line holds
	}
	left, everLeft := v.removed[r.sku]
	gone := everLeft && left >= r.at // on a tie removal wins
	switch r.event {
	case "add_to_cart":
		if !gone && quantity > 0 {
			v.cart[r.sku] += quantity
		}
	case "remove_from_cart":
		if r.qty != "" {
			v.cart[r.sku] -= quantity
			if v.cart[r.sku] <= 0 {
				delete(v.cart, r.sku)
			}
			return
		}
		delete(v.cart, r.sku)
		v.removed[r.sku] = r.at
	case "purchase":
		delete(v.cart, r.sku)
		v.removed[r.sku] = r.at
		if !v.orders[r.detail] {
			v.orders[r.detail] = true
			v.lastOrder = r.at
		}
	}
}

// exits ends runs by what the event is.
func (v *visitor) exits(r row) {
	if v.abandoned.on && r.event == "purchase" {
		v.end("abandoned_cart", &v.abandoned, r.at, "exited")
	}
	started := r.event == "checkout" && r.detail == "step1"
	if v.viewed.on && (r.event == "add_to_cart" || r.event == "purchase" || started) {
		v.end("viewed_item", &v.viewed, r.at, "exited")
	}
}

// whiles ends runs whose condition does not hold any more.
func (v *visitor) whiles(now int64) {
	if v.abandoned.on && len(v.cart) == 0 {
		v.end("abandoned_cart", &v.abandoned, now, "condition")
	}
	if v.viewed.on && len(v.cart) > 0 {
		v.end("viewed_item", &v.viewed, now, "condition")
	}
}

// end ends a run; the send that it would have reached next is not made.
func (v *visitor) end(trigger string, r *run, now int64, reason string) {
	r.on = false
	v.not(trigger, r.step+1, now, reason)
}

// starts begins runs, or their current wait again.
func (v *visitor) starts(r row) {
	changed := r.event == "add_to_cart" || r.event == "remove_from_cart"
	if changed && len(v.cart) > 0 {
		v.abandoned.start(r, 72*hour)
	}
	if r.event == "view_item" && len(v.cart) == 0 {
		v.viewed.start(r, 14*day)
	}
}

func (run *run) start(r row, reentry int64) {
	if !run.on {
		if run.lastMessage != never && r.at < run.lastMessage+reentry {
			return
		}
		run.on, run.step = true, 0
		run.startedBy = "ga360:" + strconv.Itoa(r.line)
	}
	run.startedAt, run.stepAt, run.item = r.at, r.at, r.sku
}
