package profiles

import (
	"strings"

	"github.com/goccy/go-json"
)

// Known reports whether p is more than anonymous.
func (p *Profile) Known() bool {
	return len(p.Identifiers) > 0 && !strings.HasPrefix(p.Identifiers[0], "anonymous:")
}

// TraitsMap decodes the traits; never nil.
func (p *Profile) TraitsMap() map[string]any {
	m := map[string]any{}
	if len(p.Traits) > 0 {
		if err := json.Unmarshal(p.Traits, &m); err != nil || m == nil {
			return map[string]any{}
		}
	}
	return m
}

// Address returns where p can be reached in a channel, "" when nowhere: for
// email the strongest e-mail address, for sms and the messengers that go by
// number the phone, for push and app the device's token, for any other channel
// the identifier or the trait of its name.
func (p *Profile) Address(channel string) string {
	switch channel {
	case "push", "app":
		return p.PushToken
	case "sms", "viber", "whatsapp", "call_center":
		channel = "phone"
	}
	for _, id := range p.Identifiers {
		if value, ok := strings.CutPrefix(id, channel+":"); ok {
			return value
		}
	}
	if s, ok := p.TraitsMap()[channel].(string); ok {
		return strings.TrimSpace(s)
	}
	return ""
}
