package torture

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Event is one thing that a shopper does. The zero value of a field says nothing
// of it.
type Event struct {
	ID          string // messageId
	At          int64  // Unix ms
	Ahead       bool   // sent with a time in the future: counts as the time at which it is logged
	Identifiers []string
	Name        string
	Item        string
	Quantity    int
	Order       string
	Total       float64
	Products    []string
	Channel     string
	Locale      string
	Traits      map[string]any // a nil value removes the trait
	Consents    map[string]bool
}

// JSON is the event as a Segment call.
func (e *Event) JSON() []byte {
	external := []map[string]string{}
	for _, id := range e.Identifiers {
		typ, value, _ := strings.Cut(id, ":")
		external = append(external, map[string]string{"type": typ, "id": value})
	}
	context := map[string]any{"channel": e.Channel, "externalIds": external}
	if e.Locale != "" {
		context["locale"] = e.Locale
	}
	call := map[string]any{"messageId": e.ID, "timestamp": e.At, "context": context}
	switch e.Name {
	case "identify":
		traits := map[string]any{}
		for name, value := range e.Traits {
			traits[name] = value
		}
		if e.Consents != nil {
			traits["consents"] = e.Consents
		}
		call["type"], call["traits"] = "identify", traits
	case "page":
		call["type"] = "page"
	default:
		call["type"], call["event"], call["properties"] = "track", e.Name, e.properties()
	}
	encoded, err := json.Marshal(call)
	if err != nil {
		panic(fmt.Sprintf("BUG: cannot encode an event: %v", err))
	}
	return encoded
}

func (e *Event) properties() map[string]any {
	p := map[string]any{}
	if e.Item != "" {
		p["product_id"] = e.Item
	}
	if e.Quantity > 0 {
		p["quantity"] = e.Quantity
	}
	if e.Order != "" {
		p["order_id"] = e.Order
	}
	if e.Total > 0 {
		p["total"] = e.Total
	}
	if e.Products != nil {
		lines := []any{}
		for _, id := range e.Products {
			lines = append(lines, map[string]any{"product_id": id, "price": 2})
		}
		p["products"] = lines
	}
	if e.Name == "Subscribed" || e.Name == "Unsubscribed" {
		for channel := range e.Consents {
			p["channel"] = channel
		}
	}
	return p
}
