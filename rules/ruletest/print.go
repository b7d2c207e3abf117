package ruletest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// format writes a time as scripts print it.
func format(ms int64) string {
	if ms == 0 {
		return "never"
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

func (w *world) print(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.out = append(w.out, strings.Split(strings.TrimRight(line, " \n"), "\n")...)
}

// turn prints what was decided for a customer.
func (w *world) turn(t *rules.Turn) {
	who := format(t.Now) + " " + t.Profile.Id
	for _, f := range t.Flips {
		if !f.Quiet {
			w.print("%s %s segment %s", who, map[bool]string{true: "enter", false: "exit"}[f.Entered], f.Segment)
		}
	}
	for _, name := range t.Started {
		w.print("%s start %s", who, name)
	}
	for i := range t.Messages {
		w.message(who, t.Now, &t.Messages[i])
	}
	for _, s := range t.Skips {
		w.print("%s not sent %s.%d %s", who, s.Trigger, s.Step, s.Reason)
	}
	for _, name := range t.Ended {
		w.print("%s end %s", who, name)
	}
	for _, g := range t.Goals {
		w.print("%s goal %s revenue %v%s", who, g.Trigger, g.Revenue, map[bool]string{true: " of the holdout"}[g.Holdout])
	}
	for _, f := range t.Failures {
		w.print("%s cannot tell %s: %s", who, f.Trigger, f.Kind)
	}
}

// message prints a message: in one line, or as JSON after `full`.
func (w *world) message(who string, now int64, s *rules.Send) {
	m := s.Message
	w.last = m.ID
	if w.full {
		b, err := json.MarshalIndent(m, "  ", " ")
		if err != nil {
			panic("BUG: cannot encode a message: " + err.Error())
		}
		w.print("%s message\n  %s", who, b)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s message %s by %s", who, m.ID, m.Channel)
	part := func(name, value string) {
		if value != "" {
			b.WriteString(" " + name + " " + value)
		}
	}
	part("to", m.To)
	if at := m.At.UnixMilli(); at != now {
		part("at", format(at))
	}
	part("variant", m.Variant)
	if m.Data.Coupon != nil {
		part("coupon", m.Data.Coupon.Code)
	}
	part("items", ids(m.Data.Items))
	if s.Recommend != nil {
		part("recommend", fmt.Sprint(s.Recommend.Placement, " ", s.Recommend.Limit))
	}
	if len(m.Data.Custom) > 0 {
		part("data", text(m.Data.Custom))
	}
	w.print("%s", b.String())
}

func ids(items []streams.MessageItem) string {
	list := make([]string, len(items))
	for i := range items {
		list[i] = items[i].ID
	}
	return strings.Join(list, " ")
}

// text is a value as JSON, with the names of a map in order.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: cannot encode a value: " + err.Error())
	}
	return string(b)
}

// letter prints an event that cannot be applied.
func (w *world) letter(l streams.DeadLetter) {
	w.print("%s dead letter %s: %s", format(l.At), l.Reason, l.Detail)
}

// profile prints what is known of a customer.
func (w *world) profile(id streams.Identifier) {
	p, err := w.fold.Profile(id)
	if errors.Is(err, engine.ErrNotFound) {
		w.print("nothing is known")
		return
	}
	if err != nil {
		panic("BUG: " + err.Error())
	}
	w.print("id %s", strings.Join(slices.Compact(append([]string{p.Id}, p.Identifiers...)), " "))
	if len(p.Traits) > 2 {
		w.print("traits %s", p.Traits)
	}
	for _, c := range p.Consents {
		w.print("consent %s %v", c.Channel, c.Granted)
	}
	for _, s := range p.Suppressed {
		w.print("suppressed %s %s", s.Channel, s.Reason)
	}
	for _, l := range p.LiveCart(w.now, w.cfg.CartTTL) {
		w.print("cart %s %d x %v", l.Id, l.Quantity, l.Price)
	}
	if p.Orders != nil {
		w.print("orders %d revenue %v", p.Orders.Count, p.Orders.Revenue)
	}
	for _, r := range p.Runs {
		w.print("run %s step %d sent %d by %s %s", r.Trigger, r.Step, r.Sent, r.StartedBy, r.Key)
	}
	for _, t := range w.fold.Waiting(p) {
		w.print("waits %s until %s", t.Trigger, format(t.Due))
	}
	w.states(p)
}

// decisions prints what was decided for a customer, newest first.
func (w *world) decisions(id streams.Identifier) {
	p, err := w.fold.Profile(id)
	if err != nil {
		w.print("nothing is known")
		return
	}
	for _, d := range p.DecisionList() {
		line := fmt.Sprintf("%s %s.%d %s", format(d.At), d.Trigger, d.Step, d.Reason)
		for _, part := range []string{d.Channel, d.Key, d.Variant} {
			if part != "" {
				line += " " + part
			}
		}
		if d.Until != 0 {
			line += " until " + format(d.Until)
		}
		w.print("%s", line)
	}
}

func (w *world) states(p *profiles.Profile) {
	for _, s := range p.Triggers {
		w.print("trigger %s started %s ended %s sent %s date %s", s.Trigger,
			format(s.LastStartAt), format(s.LastEndAt), format(s.LastMessageAt), format(s.LastDateAt))
	}
	for _, m := range p.Inbox {
		if m.Expires > w.now {
			w.print("waits in %s %s until %s", m.Channel, m.Id, format(m.Expires))
		}
	}
	for _, m := range p.Messages {
		w.print("message %s by %s at %s %s", m.Id, m.Channel, format(m.At), m.Status)
	}
}
