package profiles

import (
	"bytes"
	"maps"
	"slices"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
)

// maxTraits bounds a profile's traits, in bytes of JSON.
const maxTraits = 32 << 10

// applyTraits merges the traits of an identify call: null removes one, and a
// late call fills gaps only. Consents among them are answers, not traits.
func (p *Profile) applyTraits(e *streams.Event, out *Outcome) {
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
	merged, err := mergeTraits(p.Traits, sent, e.At < p.TraitsAt)
	switch {
	case err != nil:
		out.Issues = append(out.Issues, "bad_traits")
	case len(merged) > maxTraits:
		out.Issues = append(out.Issues, "traits_too_large")
	default:
		p.Traits, p.TraitsAt = merged, max(p.TraitsAt, e.At)
	}
}

// mergeTraits returns old with what was sent, keys sorted.
func mergeTraits(old []byte, sent map[string]json.RawMessage, late bool) ([]byte, error) {
	all := map[string]json.RawMessage{}
	if len(old) > 0 {
		if err := json.Unmarshal(old, &all); err != nil {
			return nil, err
		}
	}
	for key, value := range sent { // map order: keys differ
		_, had := all[key]
		switch {
		case late && had:
		case string(bytes.TrimSpace(value)) == "null":
			delete(all, key)
		default:
			all[key] = value
		}
	}
	return encodeSorted(all)
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

// SetTraits sets traits, values in JSON, as an identify call at that time would;
// false, and nothing changed, where they would be too large.
func (p *Profile) SetTraits(values map[string]json.RawMessage, at int64) bool {
	merged, err := mergeTraits(p.Traits, values, false)
	if err != nil || len(merged) > maxTraits {
		return false
	}
	p.Traits, p.TraitsAt = merged, max(p.TraitsAt, at)
	return true
}
