package streams

import "time"

// Message is one send decided by a trigger: the record on `messages` and the
// webhook's body (DESIGN.md section 7). Its ID depends on nothing but the
// run's start, so a replay writes the same message.
type Message struct {
	ID              string           `json:"id"`
	Trigger         string           `json:"trigger"`
	Step            int              `json:"step"`
	Variant         string           `json:"variant"`
	Profile         string           `json:"profile"`
	Channel         string           `json:"channel"`
	To              string           `json:"to"`
	Template        string           `json:"template"`
	Transactional   bool             `json:"transactional"`
	Locale          string           `json:"locale"`
	Timezone        string           `json:"timezone"`
	At              time.Time        `json:"at"`      // UTC; when the send was due
	Expires         time.Time        `json:"expires"` // UTC
	UnsubscribeURL  string           `json:"unsubscribe_url,omitempty"`
	Data            MessageData      `json:"data"`
	Recommendations *Recommendations `json:"recommendations,omitempty"`
	// Status and Reason are filled in answers of GET /v1/messages only.
	Status string `json:"status,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// MessageData is what a template may show.
type MessageData struct {
	Items  []MessageItem  `json:"items"`
	Cart   MessageCart    `json:"cart"`
	Order  map[string]any `json:"order"`
	Event  map[string]any `json:"event"`
	Traits map[string]any `json:"traits"`
	Coupon *MessageCoupon `json:"coupon,omitempty"`
	Custom map[string]any `json:"custom,omitempty"` // send.data
}

// MessageCoupon is a coupon in a message.
type MessageCoupon struct {
	Code       string     `json:"code"`
	ValidUntil *time.Time `json:"valid_until,omitempty"` // UTC; nil: without end
}

// MessageCart is the customer's cart when the message was decided.
type MessageCart struct {
	ID    string        `json:"id"`
	URL   string        `json:"url"`
	Items []MessageItem `json:"items"`
	Total float64       `json:"total"`
}

// MessageItem is an item as shown in a message.
type MessageItem struct {
	ID        string  `json:"id"`
	Name      string  `json:"name,omitempty"`
	URL       string  `json:"url,omitempty"`
	ImageURL  string  `json:"image_url,omitempty"`
	Price     float64 `json:"price,omitempty"`
	OldPrice  float64 `json:"old_price,omitempty"`
	Stock     *int64  `json:"stock,omitempty"`
	Available bool    `json:"available"`
	Quantity  int     `json:"quantity,omitempty"`
}

// Recommendations are the recommended items in a message: a reading of the
// model, so their content may differ in a replay.
type Recommendations struct {
	ID    string        `json:"id"`
	Items []MessageItem `json:"items"`
}
