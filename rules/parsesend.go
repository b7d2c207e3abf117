package rules

import (
	"cmp"
	"math"
	"slices"
)

const maxItems = 100

// send reads a send.
func (f *file) send(e entry) *send {
	s := &send{}
	for _, x := range f.mapping(e, "send", sendKeys, nil) {
		f.sendKey(s, x)
	}
	for _, key := range []string{"template", "channels"} {
		if isMapping(e) && !hasKey(e, key) {
			f.add(e.at, "send needs %s, as in send: {template: welcome, channels: [email]}", key)
		}
	}
	if s.atMost > 0 && s.items == "" && !hasKey(e, "items") {
		f.add(e.at, "send has at_most but no items")
	}
	return s
}

func (f *file) sendKey(s *send, x entry) {
	switch x.key {
	case "template":
		s.template, _ = f.text(x, "the name of a template")
	case "channels":
		s.channels = f.channels(x)
	case "if":
		s.cond = f.condition(x, siteRun)
	case "items":
		s.items, _ = f.oneOf(x, itemSources...)
	case "at_most":
		s.atMost, _ = f.integer(x, 1, maxItems)
	case "recommend":
		s.recommend = f.recommend(x)
	case "data":
		s.data = f.data(x)
	case "expire":
		s.expire, _ = f.duration(x)
	case "transactional":
		s.transactional = f.boolean(x)
	case "coupon":
		s.coupon, _ = f.text(x, "the name of a coupon")
	case "variants":
		s.variants = f.variants(x)
	case "hours":
		s.hours = f.hours(x, "hours", []string{"from", "to", "days"})
	case "when_capped":
		s.whenCapped, _ = f.oneOf(x, "drop", "wait")
	}
}

// variants reads the versions of a message and their shares.
func (f *file) variants(e entry) []variant {
	all, ok := f.entries(e, "variants")
	if !ok {
		return nil
	}
	out := make([]variant, 0, len(all))
	total, good := 0.0, true
	for _, x := range all {
		share, isShare := f.fraction(x)
		good = f.nameOK(x, "variant") && isShare && good
		total += share
		out = append(out, variant{x.key, share})
	}
	if good && math.Abs(total-1) > 1e-6 {
		f.add(e.at, "the shares of variants are %v together: they must be 1, as in variants: {a: 0.5, b: 0.5}", total)
	}
	return out
}

func (f *file) recommend(e entry) *Recommend {
	r := &Recommend{Limit: 10}
	for _, x := range f.mapping(e, "recommend", []string{"placement", "limit"}, nil) {
		switch x.key {
		case "placement":
			r.Placement, _ = f.text(x, "the name of a placement, such as cart")
		case "limit":
			r.Limit, _ = f.integer(x, 1, maxItems)
		}
	}
	if isMapping(e) && !hasKey(e, "placement") {
		f.add(e.at, "recommend needs a placement, as in recommend: {placement: cart, limit: 4}")
	}
	return r
}

func (f *file) data(e entry) []datum {
	all, _ := f.entries(e, "data")
	out := make([]datum, 0, len(all))
	for _, x := range all {
		if f.nameOK(x, "data") {
			out = append(out, datum{x.key, f.expression(x, siteRun, false)})
		}
	}
	slices.SortFunc(out, func(a, b datum) int { return cmp.Compare(a.name, b.name) })
	return out
}
