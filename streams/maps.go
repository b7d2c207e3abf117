package streams

import (
	"fmt"

	"github.com/goccy/go-json"
)

// PropertiesMap decodes Properties: nil without any. Numbers are float64.
func (e *Event) PropertiesMap() (map[string]any, error) { return decodeMap(e.Properties, "properties") }

// TraitsMap decodes Traits: nil without any. Numbers are float64.
func (e *Event) TraitsMap() (map[string]any, error) { return decodeMap(e.Traits, "traits") }

// ContextMap decodes Context: nil without any. Numbers are float64.
func (e *Event) ContextMap() (map[string]any, error) { return decodeMap(e.Context, "context") }

func decodeMap(raw []byte, field string) (map[string]any, error) {
	if raw == nil {
		return nil, nil
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("cannot decode %s: %w", field, err)
	}
	return m, nil
}
