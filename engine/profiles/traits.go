package profiles

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
)

// maxTraits bounds a profile's traits, in bytes of JSON.
const maxTraits = 32 << 10

// applyTraits merges the traits of an identify call: of each trait the latest
// value counts, whatever arrives first, and null removes it. Consents among them
// are answers, not traits.
func (p *Profile) applyTraits(e *streams.Event, now int64, out *Outcome) {
	if e.Kind != streams.Identify || len(e.Traits) == 0 {
		return
	}
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(e.Traits, &sent); err != nil {
		out.Issues = append(out.Issues, "bad_traits")
		return
	}
	if raw, ok := sent["consents"]; ok {
		p.consentTraits(raw, e, out)
		delete(sent, "consents")
	}
	if len(sent) == 0 {
		return
	}
	if issue := p.setTraits(sent, e.At, now); issue != "" {
		out.Issues = append(out.Issues, issue)
	}
}

// setTraits sets what was not said of later already; null removes. It returns an
// issue where it cannot.
func (p *Profile) setTraits(sent map[string]json.RawMessage, at, now int64) (issue string) {
	all, err := p.loadTraits()
	if err != nil {
		return "bad_traits"
	}
	for name, value := range sent { // map order: names differ
		if t, had := all[name]; had && at < t.at {
			continue
		}
		if string(bytes.TrimSpace(value)) == "null" {
			value = nil
		}
		all[name] = trait{value, at}
	}
	return p.storeTraits(all, now)
}

// trait is what is known of one trait: its value, nil where it was removed, and
// when that was said.
type trait struct {
	value json.RawMessage
	at    int64
}

// maxTraitRemovals bounds the removed traits that are remembered.
const maxTraitRemovals = 32

// loadTraits returns all traits by name, removed ones included.
func (p *Profile) loadTraits() (map[string]trait, error) {
	values := map[string]json.RawMessage{}
	if len(p.Traits) > 0 {
		if err := json.Unmarshal(p.Traits, &values); err != nil {
			return nil, err
		}
	}
	all := make(map[string]trait, len(values)+len(p.TraitRemovals))
	for i, name := range slices.Sorted(maps.Keys(values)) {
		t := trait{values[name], p.TraitsAt}
		if i < len(p.TraitAges) {
			t.at -= p.TraitAges[i]
		}
		all[name] = t
	}
	for _, r := range p.TraitRemovals {
		if _, known := all[r.Id]; !known {
			all[r.Id] = trait{at: r.At}
		}
	}
	return all, nil
}

// storeTraits puts traits back, names sorted; removals that no late event can
// meet any more are forgotten. It returns an issue, and changes nothing, where
// they are too large.
func (p *Profile) storeTraits(all map[string]trait, now int64) (issue string) {
	values, latest := map[string]json.RawMessage{}, p.TraitsAt
	for name, t := range all { // map order: names differ
		latest = max(latest, t.at)
		if t.value != nil {
			values[name] = t.value
		}
	}
	encoded, err := encodeSorted(values)
	switch {
	case err != nil:
		return "bad_traits"
	case len(encoded) > maxTraits:
		return "traits_too_large"
	}
	p.Traits, p.TraitsAt = encoded, latest
	p.TraitAges, p.TraitRemovals = p.TraitAges[:0], nil
	same := true
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t := all[name]
		if t.value == nil {
			if t.at >= now-lateness {
				p.TraitRemovals = append(p.TraitRemovals, &Removal{Id: name, At: t.at})
			}
			continue
		}
		p.TraitAges = append(p.TraitAges, latest-t.at)
		same = same && t.at == latest
	}
	if same {
		p.TraitAges = p.TraitAges[:0]
	}
	for len(p.TraitRemovals) > maxTraitRemovals {
		oldest := slices.MinFunc(p.TraitRemovals, func(a, b *Removal) int { return cmp.Compare(a.At, b.At) })
		p.TraitRemovals = slices.DeleteFunc(p.TraitRemovals, func(r *Removal) bool { return r == oldest })
	}
	return ""
}

func encodeSorted(all map[string]json.RawMessage) ([]byte, error) {
	if len(all) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	for i, key := range slices.Sorted(maps.Keys(all)) {
		if i == 0 {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		if err := json.Compact(&b, all[key]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// consentTraits folds traits.consents: {"email": true, "sms": false}.
func (p *Profile) consentTraits(raw []byte, e *streams.Event, out *Outcome) {
	var answers map[string]any
	if err := json.Unmarshal(raw, &answers); err != nil {
		out.Issues = append(out.Issues, "bad_consents")
		return
	}
	for _, channel := range slices.Sorted(maps.Keys(answers)) {
		switch answer := answers[channel].(type) {
		case bool:
			p.consent(channel, answer, e.At, e.Channel)
		default:
			out.Issues = append(out.Issues, "bad_consents")
		}
	}
}

// subscription folds Subscribed and Unsubscribed {channel, reason}.
func (p *Profile) subscription(e *streams.Event, out *Outcome) {
	if e.Name != "Subscribed" && e.Name != "Unsubscribed" {
		return
	}
	props := properties(e)
	channel := text(props, "channel")
	if channel == "" {
		out.Issues = append(out.Issues, "bad_consents")
		return
	}
	source := text(props, "reason")
	if source == "" {
		source = e.Channel
	}
	p.consent(channel, e.Name == "Subscribed", e.At, source)
}

// maxConsents bounds the channels with an answer.
const maxConsents = 32

// consent keeps the newest answer for a channel; of two at the same time, the
// refusal.
func (p *Profile) consent(channel string, granted bool, at int64, source string) {
	if channel == "" || len(channel) > maxText {
		return
	}
	source = cut(source, maxText)
	i := slices.IndexFunc(p.Consents, func(c *Consent) bool { return c.Channel >= channel })
	if i < 0 {
		i = len(p.Consents)
	}
	if i == len(p.Consents) || p.Consents[i].Channel != channel {
		if len(p.Consents) < maxConsents {
			p.Consents = slices.Insert(p.Consents, i, &Consent{Channel: channel, Granted: granted, At: at, Source: source})
		}
		return
	}
	if c := p.Consents[i]; at > c.At || at == c.At && c.Granted && !granted {
		c.Granted, c.At, c.Source = granted, at, source
	}
}

// properties decodes an event's properties; nil when there are none.
func properties(e *streams.Event) map[string]any {
	var m map[string]any
	if len(e.Properties) == 0 || json.Unmarshal(e.Properties, &m) != nil {
		return nil
	}
	return m
}

func text(props map[string]any, key string) string {
	s, _ := props[key].(string)
	return s
}

// SetTraits sets traits, values in JSON, as an identify call at that time would
// whose word is the last: the log's clock may be behind the time of an event.
// It returns false, and changes nothing, where they would be too large.
func (p *Profile) SetTraits(values map[string]json.RawMessage, now int64) bool {
	all, err := p.loadTraits()
	if err != nil {
		return false
	}
	at := now
	for name := range values { // map order: the greatest
		at = max(at, all[name].at)
	}
	return p.setTraits(values, at, now) == ""
}
