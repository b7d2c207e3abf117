package reference

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Read reads the YAML of rules, which must be valid. conditions has what each
// condition in it means.
func Read(text []byte, conditions Conditions) (*Rules, error) {
	var file yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("cannot read rules: %w", err)
	}
	r := &reader{conditions: conditions}
	rules := &Rules{policy: r.policy(field(file, "policy"))}
	for _, e := range entries(field(file, "segments")) {
		rules.segments = append(rules.segments, &segment{e.name, *r.cond(field(e.value, "if")), strings.Contains(fmt.Sprint(field(e.value, "if")), "profile.traits")})
	}
	slices.SortFunc(rules.segments, func(a, b *segment) int { return cmp.Compare(a.name, b.name) })
	for _, e := range entries(field(file, "triggers")) {
		if t := r.trigger(e.name, e.value); words(field(e.value, "state"))[0] != "off" {
			rules.triggers = append(rules.triggers, t)
		}
	}
	slices.SortFunc(rules.triggers, func(a, b *trigger) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.name, b.name))
	})
	return rules, errors.Join(r.problems...)
}

type reader struct {
	conditions Conditions
	problems   []error
}

type named struct {
	name  string
	value any
}

func entries(v any) []named {
	var list []named
	m, _ := v.(yaml.MapSlice)
	for _, item := range m {
		list = append(list, named{fmt.Sprint(item.Key), item.Value})
	}
	return list
}

func field(v any, key string) any {
	for _, e := range entries(v) {
		if e.name == key {
			return e.value
		}
	}
	return nil
}

// list is a list, or the one thing that stands for it.
func list(v any) []any {
	if v == nil {
		return nil
	}
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func texts(v any) []string {
	var out []string
	for _, x := range list(v) {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

// words is texts, with one that is empty where there is none.
func words(v any) []string {
	if t := texts(v); t != nil {
		return t
	}
	return []string{""}
}

func number(v any, otherwise float64) float64 {
	if f, err := strconv.ParseFloat(fmt.Sprint(v), 64); err == nil {
		return f
	}
	return otherwise
}

func truth(v any) bool { return v == true }

// long reads a duration such as 30m, 1h30m or 14d.
func (r *reader) long(v any, otherwise int64) int64 {
	if v == nil {
		return otherwise
	}
	units := map[rune]int64{'s': second, 'm': minute, 'h': hour, 'd': day, 'w': 7 * day}
	total, n := int64(0), int64(0)
	for _, c := range fmt.Sprint(v) {
		if c >= '0' && c <= '9' {
			n = n*10 + int64(c-'0')
			continue
		}
		if units[c] == 0 {
			r.problems = append(r.problems, fmt.Errorf("no duration: %v", v))
		}
		total, n = total+n*units[c], 0
	}
	return total
}

func clock(v any) int {
	h, m, _ := strings.Cut(fmt.Sprint(v), ":")
	return int(number(h, 0))*60 + int(number(m, 0))
}

func (r *reader) cond(v any) *Cond {
	if v == nil {
		return nil
	}
	c, ok := r.conditions[strings.TrimSpace(fmt.Sprint(v))]
	if !ok {
		r.problems = append(r.problems, fmt.Errorf("nobody says what this means: %v", v))
		c.Holds = func(*View) bool { return false }
	}
	return &c
}

func readHours(v any) *hours {
	if v == nil {
		return nil
	}
	return &hours{clock(field(v, "from")), clock(field(v, "to")), texts(field(v, "days"))}
}

func (r *reader) policy(v any) policy {
	p := policy{
		quiet: readHours(field(v, "quiet_hours")), expire: r.long(field(v, "expire"), day), holdout: number(field(v, "holdout"), 0),
		consent: map[string]bool{"email": true, "sms": true}, wait: words(field(v, "when_capped"))[0] == "wait",
	}
	for _, c := range list(field(v, "caps")) {
		p.caps = append(p.caps, limit{channel: words(field(c, "channel"))[0], triggers: texts(field(c, "triggers")),
			times: int(number(field(c, "times"), 0)), per: r.long(field(c, "per"), 0)})
	}
	for _, e := range entries(field(v, "consent")) {
		p.consent[e.name] = e.value == "opt_in"
	}
	return p
}

func (r *reader) trigger(name string, v any) *trigger {
	t := &trigger{
		name: name, priority: int(number(field(v, "priority"), 50)), start: r.start(field(v, "start")),
		restart: truth(field(v, "restart")), while: r.cond(field(v, "while")), reentry: day,
		late: r.long(field(v, "late"), hour), holdout: number(field(v, "holdout"), 0), shadow: field(v, "state") == "shadow",
	}
	if again := field(v, "reentry"); again == "never" {
		t.reentry = -1
	} else {
		t.reentry = r.long(again, day)
	}
	for _, x := range list(field(v, "exit")) {
		t.exits = append(t.exits, r.match(x))
	}
	t.first = r.steps(t, nil, field(v, "steps"))[0]
	return t
}

func (r *reader) start(v any) start {
	s := start{
		channels: texts(field(v, "channel")), cond: r.cond(field(v, "if")), long: r.long(field(v, "for"), 0), leaves: field(v, "when") == "exit",
		min: number(field(v, "min"), 0), seen: field(v, "from") == "seen", most: int64(number(field(v, "max"), 3)),
		interests: []string{"cart", "wishlist", "viewed", "waiting"}, within: r.long(field(v, "within"), 90*day),
		collect: r.long(field(v, "collect"), 15*minute), clock: 10 * 60,
	}
	if at := field(v, "at"); at != nil {
		s.clock = clock(at)
	}
	s.offset = int(number(strings.TrimSuffix(words(field(v, "offset"))[0], "d"), 0))
	for _, kind := range []string{"event", "segment", "trait", "inactive", "date", "item"} {
		if names := texts(field(v, kind)); names != nil {
			s.kind, s.names = kind, names
		}
	}
	if list := texts(field(v, "interest")); list != nil {
		s.interests = list
	}
	switch s.kind {
	case "item":
		s.kinds, s.perItem = s.names, field(v, "key") == "item"
	case "":
		r.problems = append(r.problems, fmt.Errorf("a start of another kind: %v", v))
	default:
		s.key = texts(field(v, "key"))
	}
	return s
}

func (r *reader) match(v any) match {
	return match{names: texts(field(v, "event")), segment: words(field(v, "segment"))[0], leaves: field(v, "when") == "exit",
		channels: texts(field(v, "channel")), key: texts(field(v, "key")), cond: r.cond(field(v, "if"))}
}

// steps reads a list of steps.
func (r *reader) steps(t *trigger, parent *step, v any) []*step {
	var out []*step
	for _, x := range list(v) {
		s := r.step(x)
		s.index, s.parent = len(t.steps), parent
		t.steps = append(t.steps, s)
		s.then, s.other = r.steps(t, s, field(x, "then")), r.steps(t, s, field(x, "else"))
		if len(out) > 0 {
			out[len(out)-1].after = s
		}
		out = append(out, s)
	}
	return out
}

func (r *reader) step(x any) *step {
	switch e := entries(x)[0]; e.name {
	case "wait":
		switch {
		case field(e.value, "idle") != nil:
			return &step{kind: "idle", long: r.long(field(e.value, "idle"), 0)}
		case field(e.value, "until") != nil:
			return &step{kind: "clock", clock: clock(field(e.value, "until")), days: texts(field(e.value, "days"))}
		}
		return &step{kind: "wait", long: r.long(e.value, 0)}
	case "until":
		return &step{kind: "until", until: r.match(e.value), long: r.long(field(e.value, "within"), 0)}
	case "if":
		return &step{kind: "if", cond: r.cond(e.value)}
	case "suppress":
		return &step{kind: "suppress", stop: texts(field(e.value, "channels"))}
	case "set":
		s := &step{kind: "set", traits: map[string]any{}}
		for _, trait := range entries(e.value) {
			s.traits[trait.name] = trait.value
		}
		return s
	default:
		return &step{kind: "send", send: r.send(e.value)}
	}
}

func (r *reader) send(v any) send {
	s := send{
		channels: texts(field(v, "channels")), cond: r.cond(field(v, "if")), items: words(field(v, "items"))[0],
		expire: r.long(field(v, "expire"), 0), transactional: truth(field(v, "transactional")), hours: readHours(field(v, "hours")),
		wait: field(v, "when_capped") == "wait", drop: field(v, "when_capped") == "drop",
	}
	for _, e := range entries(field(v, "variants")) {
		s.variants = append(s.variants, variant{e.name, number(e.value, 0)})
	}
	return s
}
