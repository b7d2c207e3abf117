package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// maxMessages is how many messages a profile remembers.
const maxMessages = 20

// held is what send answers when it holds the message for now.
const held = "held"

// send decides the send at step i of the run, due at a time. It answers "" when
// the message was made, held when it is to be decided again, else the reason
// why not.
func (t *Turn) send(trig *Trigger, run *profiles.Run, i int, due int64) string {
	s := trig.steps[i].send
	o := t.set.policy
	first := or(run.HeldDue, due) // when the send was due before it was ever held
	run.HeldDue = 0
	expires := due + or(s.expire, o.expire)
	if t.Live && expires <= t.Now {
		return ReasonExpired
	}
	if !t.holds(trig, s.cond, nil, run) {
		return ReasonCondition
	}
	channel, to, reason := o.choose(t.Profile, s)
	if reason != "" {
		return reason
	}
	if !s.transactional {
		if reason := t.hold(trig, run, i, first, channel); reason != "" {
			return reason
		}
	}
	if run.Variant == "" {
		run.Variant = trig.variantOf(s.variants, run.Profile)
	}
	switch {
	case !s.transactional && t.set.heldOut(trig, run.Profile):
		t.reach(trig, run, due, true)
		return ReasonHoldout
	case trig.shadow:
		state(t.Profile, run.Trigger).LastMessageAt = due
		return ReasonShadow
	}
	m := t.message(trig, s, run, i)
	m.Channel, m.To = channel, to
	m.UnsubscribeURL = t.Env.unsubscribeURL(&m)
	m.At, m.Expires = time.UnixMilli(due).UTC(), time.UnixMilli(expires).UTC()
	if c := t.set.coupons[s.coupon]; c != nil {
		m.Data.Coupon = c.issue(t.Env.secret(), run, due)
	}
	t.Messages = append(t.Messages, Send{Message: m, Recommend: s.wants(m.Data.Items)})
	t.record(run, &m, due)
	t.reach(trig, run, due, false)
	return ""
}

// hold keeps a message back for quiet hours, or until a cap lets it through.
// It answers held, a reason to drop the message, or "" to send it now.
func (t *Turn) hold(trig *Trigger, run *profiles.Run, i int, first int64, channel string) string {
	s, o := trig.steps[i].send, t.set.policy
	until, why := t.Now, ""
	if o.quiet != nil || s.hours != nil {
		loc := t.set.zoneOf(t.Profile, t.Env)
		at, ok := open(time.UnixMilli(t.Now).In(loc), o.quiet, s.hours)
		if !ok {
			return ReasonQuiet
		}
		if at.UnixMilli() > t.Now {
			until, why = at.UnixMilli(), ReasonQuiet
		}
	}
	if why == "" {
		if free := o.freeAt(t.Profile, trig.Name, channel, t.Now); free > t.Now {
			if or(s.whenCapped, o.whenCapped) != "wait" {
				return ReasonCapped
			}
			until, why = free, ReasonCapped
		}
	}
	switch {
	case why == "":
		return ""
	case until-first >= or(s.expire, o.expire):
		return why
	}
	run.Step, run.StepAt, run.IdleMs, run.DueAt, run.HeldDue, run.HeldFor = int32(i), t.Now, 0, until, first, why
	t.Profile.Decide(&profiles.Decision{At: t.Now, Trigger: run.Trigger, Step: int32(i), Reason: DecisionHeld,
		Channel: channel, Key: run.Key, Until: until})
	return held
}

// message makes the message of a send.
func (t *Turn) message(trig *Trigger, s *send, run *profiles.Run, i int) streams.Message {
	m := streams.Message{
		ID: messageID(trig.Name, run.Profile, i, run.StartedBy), Trigger: trig.Name, Step: i,
		Variant: run.Variant, Profile: t.Profile.Id, Template: s.template, Transactional: s.transactional,
		Locale: t.Profile.Locale, Timezone: t.set.zoneOf(t.Profile, t.Env).String(),
	}
	t.scope.at(nil, run)
	m.Data = t.data(trig, s, run)
	return m
}

// messageID is `<trigger>.<step>.<16 hex digits>`: the start of SHA-256 over the
// profile at the run's start, the step and what started the run, joined by a
// zero byte.
func messageID(trigger, profile string, step int, startedBy string) string {
	number := strconv.Itoa(step)
	sum := sha256.Sum256([]byte(profile + "\x00" + number + "\x00" + startedBy))
	return trigger + "." + number + "." + hex.EncodeToString(sum[:8])
}

// record keeps in the profile that the message was decided.
func (t *Turn) record(run *profiles.Run, m *streams.Message, due int64) {
	p := t.Profile
	run.Sent++
	run.LastChannel, run.LastStatus, run.LastAt = m.Channel, "queued", due
	run.LastMessage = xxhash.Sum64String(m.ID)
	if !m.Transactional {
		t.set.policy.touch(p, &profiles.Touch{Message: run.LastMessage, Trigger: run.Trigger, Channel: m.Channel, At: due})
	}
	if placeChannels[m.Channel] {
		p.Wait(&profiles.Pending{Id: m.ID, Channel: m.Channel, At: due, Expires: m.Expires.UnixMilli(), Body: pendingBody(m)}, t.Now)
	}
	p.Decide(&profiles.Decision{At: t.Now, Trigger: run.Trigger, Step: int32(m.Step), Reason: DecisionSent, Channel: m.Channel,
		Message: m.ID[strings.LastIndexByte(m.ID, '.')+1:], Key: run.Key, Variant: run.Variant})
	state(p, run.Trigger).LastMessageAt = due
	if len(p.Messages) >= maxMessages {
		p.Messages = slices.Delete(p.Messages, maxMessages-1, len(p.Messages))
	}
	p.Messages = slices.Insert(p.Messages, 0, &profiles.SentMessage{
		Id: m.ID, Trigger: m.Trigger, Channel: m.Channel, At: due, Status: "queued"})
}

// pendingBody is what a channel shows of a message that waits for the customer.
func pendingBody(m *streams.Message) []byte {
	data := m.Data
	data.Traits = map[string]any{} // a browser may read it
	b, err := json.Marshal(struct {
		ID       string              `json:"id"`
		Trigger  string              `json:"trigger"`
		Step     int                 `json:"step"`
		Variant  string              `json:"variant"`
		Channel  string              `json:"channel"`
		Template string              `json:"template"`
		At       time.Time           `json:"at"`
		Expires  time.Time           `json:"expires"`
		Data     streams.MessageData `json:"data"`
	}{m.ID, m.Trigger, m.Step, m.Variant, m.Channel, m.Template, m.At, m.Expires, data})
	if err != nil {
		panic("BUG: cannot encode a message: " + err.Error())
	}
	return b
}

// wants is what the send asks the recommender for.
func (s *send) wants(items []streams.MessageItem) *Recommend {
	if s.recommend == nil {
		return nil
	}
	r := *s.recommend
	for _, it := range items {
		r.Items = append(r.Items, it.ID)
	}
	return &r
}

// data is what the message's template may show.
func (t *Turn) data(trig *Trigger, s *send, run *profiles.Run) streams.MessageData {
	e := t.scope.ev()
	cart := t.scope.cart()
	d := streams.MessageData{
		Items:  t.items(s, e),
		Cart:   streams.MessageCart{ID: cart.Id, URL: cart.Url, Items: t.lines(cart.Lines), Total: profiles.CartTotal(cart.Lines)},
		Order:  t.order(findOrder(t.Profile, e.OrderID)),
		Event:  jsonNumbers(e.Properties),
		Traits: jsonNumbers(t.Profile.Traits),
	}
	for _, x := range s.data {
		if v, ok := t.datum(trig, x.expr, run); ok {
			if d.Custom == nil {
				d.Custom = make(map[string]any, len(s.data))
			}
			d.Custom[x.name] = v
		}
	}
	return d
}

// datum evaluates one value of a send's data; one that cannot be told is left
// out, and noted.
func (t *Turn) datum(trig *Trigger, c *condition, run *profiles.Run) (any, bool) {
	t.scope.at(nil, run)
	v, failure := c.value(&t.scope)
	if failure == "" {
		if plain, ok := plainValue(v, 0); ok {
			return plain, true
		}
		failure = FailureMissing
	}
	t.Failures = append(t.Failures, Failure{Trigger: trig.Name, Kind: failure})
	return nil, false
}

// items are the items that the send is about.
func (t *Turn) items(s *send, e *streams.Event) []streams.MessageItem {
	var out []streams.MessageItem
	switch s.items {
	case "cart":
		out = t.lines(t.scope.cart().Lines)
	case "event":
		for _, l := range eventLines(e) {
			out = append(out, t.item(lineOf(l), l.HasQuantity))
		}
	case "run":
		for _, id := range t.scope.runItems() {
			out = append(out, t.item(&profiles.Line{Id: id}, false))
		}
		t.oldPrices(out)
	case "order":
		if o := findOrder(t.Profile, e.OrderID); o != nil {
			out = t.lines(o.Products)
		}
	case "viewed":
		for _, v := range t.Profile.Viewed {
			out = append(out, t.item(&profiles.Line{Id: v.Id, Price: v.Price}, false))
		}
	}
	if s.atMost > 0 && len(out) > s.atMost {
		out = out[:s.atMost]
	}
	if out == nil {
		out = []streams.MessageItem{}
	}
	return out
}

// oldPrices shows what items cost before they became cheaper.
func (t *Turn) oldPrices(items []streams.MessageItem) {
	for _, m := range t.scope.run.Matches {
		for i := range items {
			if items[i].ID == m.Id && m.Kind == kindPriceDrop {
				items[i].OldPrice = m.Old
			}
		}
	}
}

// eventLines are the products that an event names, each once.
func eventLines(e *streams.Event) []*streams.Line {
	var out []*streams.Line
	if e.Product.ID != "" {
		out = append(out, &e.Product)
	}
	for i := range e.Products {
		l := &e.Products[i]
		if l.ID != "" && !slices.ContainsFunc(out, func(x *streams.Line) bool { return x.ID == l.ID }) {
			out = append(out, l)
		}
	}
	return out
}

// runItems are the items that the run is about: those of its last start event.
func (s *scope) runItems() []string {
	if len(s.run.Items) > 0 {
		return s.run.Items
	}
	var ids []string
	for _, l := range eventLines(s.eventOf(s.run)) {
		ids = append(ids, l.ID)
	}
	return ids
}

func (t *Turn) lines(lines []*profiles.Line) []streams.MessageItem {
	out := make([]streams.MessageItem, len(lines))
	for i, l := range lines {
		out[i] = t.item(l, true)
	}
	return out
}

// item is a line as a message shows it: the catalogue's values, else the line's.
func (t *Turn) item(l *profiles.Line, quantity bool) streams.MessageItem {
	known := t.Env.item(l.Id)
	c := orZero(known, &zeroItem)
	out := streams.MessageItem{
		ID: l.Id, Name: or(c.Name, l.Name), URL: or(c.URL, l.Url), ImageURL: or(c.ImageURL, l.ImageUrl),
		Price: or(c.Price, l.Price), OldPrice: c.OldPrice, Stock: c.Stock, Available: known.IsAvailable(),
	}
	if quantity {
		out.Quantity = int(l.Quantity)
	}
	return out
}

// order is an order as a message shows it; empty without one.
func (t *Turn) order(o *profiles.Order) map[string]any {
	if o == nil {
		return map[string]any{}
	}
	return map[string]any{
		"id": o.Id, "status": o.Status, "channel": o.Channel, "coupon": o.Coupon, "total": o.Total,
		"at": time.UnixMilli(o.At).UTC(), "products": t.lines(o.Products),
	}
}

// jsonNumbers decodes a JSON object and keeps numbers as they were written;
// never nil.
func jsonNumbers(b []byte) map[string]any {
	m := map[string]any{}
	if len(b) == 0 {
		return m
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&m); err != nil || m == nil {
		return map[string]any{}
	}
	return m
}
