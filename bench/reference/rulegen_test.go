package reference_test

import (
	"fmt"
	"strings"
)

// ruleText is a set of rules in parts, so that some can be left out.
type ruleText struct {
	policy   string
	segments []string
	triggers []string
}

func (r *ruleText) String() string {
	text := r.policy
	if len(r.segments) > 0 {
		text += "segments:\n" + strings.Join(r.segments, "")
	}
	return text + "triggers:\n" + strings.Join(r.triggers, "")
}

// rules makes a random set.
func (p *pool) rules() *ruleText {
	r := &ruleText{policy: p.policy()}
	for i := range p.IntN(3) {
		name := fmt.Sprintf("s%d", i)
		p.segments = append(p.segments, name)
		r.segments = append(r.segments, fmt.Sprintf("  %s: {if: %q}\n", name, p.join(p.ofProfile).text))
	}
	for i := range 1 + p.IntN(4) {
		r.triggers = append(r.triggers, p.trigger(fmt.Sprintf("t%d", i)))
	}
	return r
}

func (p *pool) policy() string {
	text := "policy:\n  expire: " + p.pick("24h", "3h", "2d") + "\n"
	if p.IntN(2) == 0 {
		text += fmt.Sprintf("  quiet_hours: {from: %q, to: %q}\n", p.pick("21:00", "22:30", "12:00"), p.pick("09:00", "07:30", "13:00"))
	}
	if p.IntN(2) == 0 {
		text += fmt.Sprintf("  caps:\n    - {channel: %q, times: %d, per: %s}\n", p.pick("*", "webhook", "email"), 1+p.IntN(3), p.pick("24h", "2h", "7d"))
		if p.IntN(2) == 0 {
			text += fmt.Sprintf("    - {triggers: [t0], times: 1, per: %s}\n", p.pick("12h", "3d"))
		}
	}
	if p.IntN(3) == 0 {
		text += "  holdout: 0.2\n"
	}
	if p.IntN(3) == 0 {
		text += fmt.Sprintf("  when_capped: %s\n", p.pick("wait", "drop"))
	}
	if p.IntN(3) == 0 {
		text += fmt.Sprintf("  consent: {email: %s, default: %s}\n", p.pick("opt_in", "opt_out"), p.pick("opt_in", "opt_out"))
	}
	return text
}

func (p *pool) trigger(name string) string {
	var b strings.Builder
	start := p.start()
	fmt.Fprintf(&b, "  %s:\n    start: %s\n", name, start)
	if strings.HasPrefix(start, "{event:") && p.IntN(2) == 0 {
		b.WriteString("    restart: true\n")
	}
	if p.IntN(3) == 0 {
		fmt.Fprintf(&b, "    while: %q\n", p.join(p.ofProfile).text)
	}
	if p.IntN(2) == 0 {
		fmt.Fprintf(&b, "    exit: [{event: %s%s%s}]\n", p.names(2), p.channel(), p.cond("if", p.ofEvent, 20))
	}
	b.WriteString("    steps:\n" + p.steps("      ", 0))
	fmt.Fprintf(&b, "    reentry: %s\n    priority: %d\n", p.pick("1h", "24h", "3d", "never", "1s"), 10*p.IntN(4))
	if p.IntN(6) == 0 {
		b.WriteString("    state: shadow\n")
	}
	if p.IntN(5) == 0 {
		b.WriteString("    holdout: 0.3\n")
	}
	if p.IntN(5) == 0 {
		fmt.Fprintf(&b, "    late: %s\n", p.pick("1m", "12h", "3d"))
	}
	return b.String()
}

func (p *pool) channel() string {
	if p.IntN(5) > 0 {
		return ""
	}
	return ", channel: " + p.pick("web", "[app, pos]")
}

func (p *pool) start() string {
	switch n := p.IntN(12); {
	case n == 0 && len(p.segments) > 0, n == 1 && len(p.segments) > 0:
		return fmt.Sprintf("{segment: %s, when: %s%s}", p.pick(p.segments...), p.pick("enter", "exit"), p.cond("if", p.ofProfile, 20))
	case n == 2:
		return fmt.Sprintf("{trait: plan%s}", p.cond("if", p.ofProfile, 20))
	case n == 3:
		return fmt.Sprintf("{inactive: %s, for: %s%s}", p.pick("Order Completed", "Product Viewed", `"*"`), p.pick("1d", "5h", "4d"), p.cond("if", p.ofProfile, 20))
	case n == 4:
		return fmt.Sprintf("{item: price_drop, min: 0.1, from: %s, interest: [cart, viewed, wishlist], within: %s, collect: %s}",
			p.pick("seen", "catalog"), p.pick("2d", "30d"), p.pick("15m", "3h"))
	case n == 5:
		return fmt.Sprintf("{item: [back_in_stock, low_stock], max: 2, interest: [waiting, viewed_out, cart], collect: %s}", p.pick("15m", "3h"))
	case n == 6:
		return fmt.Sprintf("{date: birthday, offset: %s, at: %q}", p.pick("-7d", "0d", "-1d", "2d"), p.pick("10:00", "18:30"))
	case n == 7:
		return fmt.Sprintf("{event: %s, key: cart_id%s}", p.names(2), p.cond("if", p.ofEvent, 30))
	case n == 8:
		return fmt.Sprintf(`{event: "*"%s%s}`, p.channel(), p.cond("if", p.ofEvent, 50))
	}
	return fmt.Sprintf("{event: %s%s%s}", p.names(3), p.channel(), p.cond("if", p.ofEvent, 40))
}

// steps are one to four steps; the last one sends.
func (p *pool) steps(indent string, depth int) string {
	var b strings.Builder
	for range p.IntN(4) {
		b.WriteString(indent + "- " + p.step(indent, depth))
	}
	b.WriteString(indent + "- " + p.send())
	return b.String()
}

func (p *pool) step(indent string, depth int) string {
	branches := func() string {
		text := ""
		if p.IntN(3) > 0 {
			text += indent + "  then:\n" + p.steps(indent+"    ", depth+1)
		}
		if p.IntN(2) == 0 {
			text += indent + "  else:\n" + p.steps(indent+"    ", depth+1)
		}
		return text
	}
	switch n := p.IntN(10); {
	case n < 2:
		return fmt.Sprintf("wait: %s\n", p.pick("10m", "2h", "1d", "3d"))
	case n < 4:
		return fmt.Sprintf("wait: {idle: %s}\n", p.pick("30m", "5h"))
	case n == 4:
		return fmt.Sprintf("wait: {until: %q%s}\n", p.pick("10:00", "17:45"), p.pick("", ", days: [mon, thu, fri]"))
	case n == 5:
		return p.pick("suppress: {channels: [sms]}\n", "set: {plan: gold}\n", "set: {seen: true}\n")
	case n == 6 && depth < 2:
		return fmt.Sprintf("until: {event: %s, within: %s%s}\n", p.names(2), p.pick("1h", "2d"), p.cond("if", p.ofEvent, 20)) + branches()
	case n == 7 && depth < 2:
		return fmt.Sprintf("until: {event: [%s], within: %s}\n", p.pick("Message Opened", "Message Delivered", "Message Clicked"), p.pick("3h", "1d")) + branches()
	case n == 8 && depth < 2 && len(p.segments) > 0:
		return fmt.Sprintf("until: {segment: %s, when: %s, within: %s}\n", p.pick(p.segments...), p.pick("enter", "exit"), p.pick("3h", "1d")) + branches()
	case n == 9 && depth < 2:
		return fmt.Sprintf("if: %q\n", p.join(p.ofRun).text) + branches()
	}
	return p.send()
}

func (p *pool) send() string {
	text := fmt.Sprintf("send: {template: x, channels: [%s]", p.pick("webhook", "email, webhook", "email", "sms, web", "sms, email"))
	text += p.cond("if", p.ofRun, 25)
	for _, extra := range []string{", items: cart", ", items: event", ", items: run", ", expire: 2h", ", transactional: true",
		", when_capped: wait", `, hours: {from: "10:00", to: "18:00"}`, ", variants: {a: 0.5, b: 0.5}"} {
		name, _, _ := strings.Cut(extra, ":")
		if p.IntN(8) == 0 && !strings.Contains(text, name+":") {
			text += extra
		}
	}
	return text + "}\n"
}
