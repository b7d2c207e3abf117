package retailer

import (
	"strconv"
	"time"

	gojson "github.com/goccy/go-json"
)

// call is a Segment call.
type call struct {
	Type        string         `json:"type"`
	MessageID   string         `json:"messageId"`
	Timestamp   string         `json:"timestamp"`
	Event       string         `json:"event,omitempty"`
	UserID      string         `json:"userId,omitempty"`
	AnonymousID string         `json:"anonymousId,omitempty"`
	Traits      map[string]any `json:"traits,omitempty"`
	Properties  map[string]any `json:"properties,omitempty"`
	Context     callContext    `json:"context"`
}

type callContext struct {
	Channel     string       `json:"channel"`
	Store       string       `json:"store,omitempty"`
	Page        *callPage    `json:"page,omitempty"`
	Device      *callDevice  `json:"device,omitempty"`
	ExternalIDs []externalID `json:"externalIds,omitempty"`
}

type callPage struct {
	Path string `json:"path"`
}

type callDevice struct {
	Type  string `json:"type"`
	Token string `json:"token,omitempty"`
}

type externalID struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// add appends an event by w in a channel.
func (r *Retailer) add(at time.Time, w who, channel string, c call, text string) {
	n := len(r.events) + 1
	c.MessageID = "demo-" + strconv.Itoa(n)
	c.Timestamp = at.UTC().Format(time.RFC3339Nano)
	c.UserID, c.AnonymousID = w.user, w.anonymous
	c.Context.Channel = channel
	if w.card != "" {
		c.Context.ExternalIDs = append(c.Context.ExternalIDs, externalID{"card", w.card})
	}
	if w.phone != "" {
		c.Context.ExternalIDs = append(c.Context.ExternalIDs, externalID{"phone", w.phone})
	}
	if channel == "app" {
		c.Context.Device = &callDevice{Type: "android", Token: w.token}
	}
	data, err := gojson.Marshal(&c)
	if err != nil {
		panic("BUG: an invented event is no JSON: " + err.Error())
	}
	r.events = append(r.events, Event{At: at.UnixMilli(), Key: w.key(), JSON: data, Text: text, number: n})
}

func track(name string, properties map[string]any) call {
	return call{Type: "track", Event: name, Properties: properties}
}

// line is a product as events carry it.
func (r *Retailer) line(i, quantity int) map[string]any {
	item := r.products[i].item
	return map[string]any{
		"product_id": item.ID, "name": item.Name, "category": categoryPath(item), "brand": item.Brand,
		"price": item.Price, "quantity": quantity, "url": item.URL, "image_url": item.ImageURL,
	}
}

func (r *Retailer) viewed(i int) call {
	c := track("Product Viewed", r.line(i, 1))
	delete(c.Properties, "quantity")
	return c
}

func (r *Retailer) added(i, quantity int) call { return track("Product Added", r.line(i, quantity)) }

// ordered is an order of products, one of each.
func (r *Retailer) ordered(products []int) call {
	total, lines := 0.0, []map[string]any{}
	for _, i := range products {
		total += r.products[i].item.Price
		lines = append(lines, r.line(i, 1))
	}
	return track("Order Completed", map[string]any{
		"order_id": "o" + strconv.Itoa(100000+len(r.events)), "total": total, "currency": Currency, "products": lines,
	})
}

// registers tells who the customer is.
func registers(s *shopper) call {
	return call{Type: "identify", Traits: map[string]any{
		"name": s.name, "email": s.email, "phone": s.phone, "card": s.card, "birthday": s.birthday,
		"consents": map[string]any{"email": s.subscribed},
	}}
}
