package rules

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

var (
	policyKeys = []string{"quiet_hours", "caps", "expire", "holdout", "consent", "when_capped"}
	capKeys    = []string{"channel", "triggers", "times", "per"}
	couponKeys = []string{"prefix", "length", "valid", "code"}
)

// policySection reads the policy; there is one.
func (d *definitions) policySection(f *file, x entry) {
	if at, ok := d.where["policy"]; ok {
		f.add(x.at, "policy is there already, at %s", at)
		return
	}
	line, _ := position(x.at)
	d.where["policy"] = fmt.Sprintf("%s:%d", f.name, line)
	d.policy = &policy{expire: defaultExpire}
	for _, e := range f.mapping(x, "policy", policyKeys, nil) {
		d.policyKey(f, e)
	}
}

func (d *definitions) policyKey(f *file, e entry) {
	p := d.policy
	switch e.key {
	case "quiet_hours":
		p.quiet = f.hours(e, "quiet_hours", []string{"from", "to"})
	case "caps":
		for _, x := range f.list(e, "caps") {
			p.caps = append(p.caps, d.cap(f, x))
		}
	case "expire":
		p.expire, _ = f.duration(e)
	case "holdout":
		p.holdout, _ = f.share(e)
	case "consent":
		p.consent, p.optIn = f.consent(e)
	case "when_capped":
		p.whenCapped, _ = f.oneOf(e, "drop", "wait")
	}
}

func (d *definitions) cap(f *file, e entry) frequency {
	var c frequency
	for _, x := range f.mapping(entry{"cap", e.at, e.val}, "a cap", capKeys, nil) {
		switch x.key {
		case "channel":
			c.channel, _ = f.text(x, `a channel, such as sms, or "*" for all`)
		case "triggers":
			c.triggers = f.texts(x, "the name of a trigger")
			for _, t := range elements(x) {
				if name, ok := scalarText(t.val); ok {
					line, column := position(t.val)
					d.capped = append(d.capped, named{name, f.name, line, column})
				}
			}
		case "times":
			c.times, _ = f.integer(x, 1, 1000)
		case "per":
			c.per, _ = f.duration(x)
		}
	}
	for _, key := range []string{"times", "per"} {
		if isMapping(e) && !hasKey(e, key) {
			f.add(e.at, `a cap needs %s, as in {channel: "*", times: 3, per: 24h}`, key)
		}
	}
	if isMapping(e) && !hasKey(e, "channel") && !hasKey(e, "triggers") {
		f.add(e.at, `a cap needs channel or triggers, as in {channel: "*", times: 3, per: 24h}`)
	}
	return c
}

// share is a number from 0 to 1.
func (f *file) share(e entry) (float64, bool) {
	if n, ok := e.val.(*ast.IntegerNode); ok && n.Token.Value == "0" {
		return 0, true
	}
	return f.fraction(e)
}

func (f *file) consent(e entry) (by map[string]bool, rest *bool) {
	all, _ := f.entries(e, "consent")
	by = make(map[string]bool, len(all))
	for _, x := range all {
		how, _ := f.oneOf(x, "opt_in", "opt_out")
		in := how == "opt_in"
		if x.key == "default" {
			rest = &in
			continue
		}
		f.nameOK(x, "channel")
		by[x.key] = in
	}
	return by, rest
}

// checkPolicy checks what the policy says of triggers, and what their sends say
// beside it.
func (d *definitions) checkPolicy(problems *Problems) {
	known := make([]string, 0, len(d.triggers))
	for _, t := range d.triggers {
		known = append(known, t.Name)
	}
	for _, n := range d.capped {
		if !d.hasTriggers || slices.Contains(known, n.name) {
			continue
		}
		hint := ""
		if near := nearest(n.name, slices.Clone(known)); near != "" {
			hint = fmt.Sprintf(": did you mean %s?", near)
		}
		*problems = append(*problems, Problem{n.file, n.line, n.column, fmt.Sprintf("there is no trigger %q%s", n.name, hint)})
	}
	for _, t := range d.triggers {
		for i := range t.steps {
			if s := t.steps[i].send; s != nil {
				d.checkSend(t, s, problems)
			}
		}
	}
}

func (d *definitions) checkSend(t *Trigger, s *send, problems *Problems) {
	add := func(format string, args ...any) {
		*problems = append(*problems, Problem{t.File, t.Line, t.Column, fmt.Sprintf("trigger %s ", t.Name) + fmt.Sprintf(format, args...)})
	}
	if s.coupon != "" && !slices.ContainsFunc(d.coupons, func(c *coupon) bool { return c.name == s.coupon }) {
		add("sends coupon %q: there is none of that name under coupons", s.coupon)
	}
	if s.hours != nil && s.hours.from != s.hours.to && d.policy != nil && d.policy.quiet != nil &&
		d.policy.quiet.covers(s.hours) && !s.transactional {
		add("sends in hours that are all quiet hours of the policy")
	}
}

// covers reports whether every minute of h is in q.
func (q *hours) covers(h *hours) bool {
	in := func(x *hours, m int) bool {
		if x.from < x.to {
			return m >= x.from && m < x.to
		}
		return m >= x.from || m < x.to
	}
	for m := range 1440 {
		if in(h, m) && !in(q, m) {
			return false
		}
	}
	return true
}

// coupon reads one kind of coupon.
func (f *file) coupon(e entry) *coupon {
	f.nameOK(e, "coupon")
	c := &coupon{name: e.key, length: 8}
	for _, x := range f.mapping(e, "coupon "+e.key, couponKeys, nil) {
		switch x.key {
		case "prefix":
			c.prefix, _ = f.text(x, "the beginning of the codes, such as GIFT-")
		case "length":
			c.length, _ = f.integer(x, 4, 32)
		case "valid":
			c.valid, _ = f.duration(x)
		case "code":
			c.code, _ = f.text(x, "the code, such as WELCOME10")
		}
	}
	if isMapping(e) && hasKey(e, "code") && (hasKey(e, "prefix") || hasKey(e, "length")) {
		f.add(e.at, "coupon %s has a code for everybody, so it has no prefix and no length", e.key)
	}
	return c
}
