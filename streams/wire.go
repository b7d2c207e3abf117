package streams

import (
	"strings"

	"github.com/goccy/go-json"
)

// The wire types are generic over how text and numbers are read, so that the
// common case is decoded without a copy: first with string and json.Number,
// then, only if a value had another type, with text and number, which take
// anything and remember what was wrong.

// wireCall is a call of Segment's tracking API.
type wireCall[S ~string] struct {
	Type              S               `json:"type"`
	Event             S               `json:"event"`
	MessageID         S               `json:"messageId"`
	UserID            S               `json:"userId"`
	AnonymousID       S               `json:"anonymousId"`
	PreviousID        S               `json:"previousId"`
	Timestamp         S               `json:"timestamp"`
	OriginalTimestamp S               `json:"originalTimestamp"`
	SentAt            S               `json:"sentAt"`
	Properties        json.RawMessage `json:"properties"`
	Traits            json.RawMessage `json:"traits"`
	Context           json.RawMessage `json:"context"`
}

type wireContext[S ~string] struct {
	Channel  S `json:"channel"`
	Store    S `json:"store"`
	Locale   S `json:"locale"`
	Timezone S `json:"timezone"`
	Device   struct {
		Type  S `json:"type"`
		Token S `json:"token"`
	} `json:"device"`
	OS struct {
		Name S `json:"name"`
	} `json:"os"`
	Library struct {
		Name S `json:"name"`
	} `json:"library"`
	Page        *wirePage[S]    `json:"page"`
	ExternalIDs []wireID[S]     `json:"externalIds"`
	Traits      json.RawMessage `json:"traits"`
}

type wirePage[S ~string] struct {
	Path S `json:"path"`
}

type wireID[S ~string] struct {
	Type S `json:"type"`
	ID   S `json:"id"`
}

type wireTraits[S ~string] struct {
	Email S `json:"email"`
	Phone S `json:"phone"`
	Card  S `json:"card"`
}

type wireProperties[S, N ~string] struct {
	wireLine[S, N]
	Products         []wireLine[S, N] `json:"products"`
	Items            []wireItem[S, N] `json:"items"` // Google Analytics 4
	OrderID          S                `json:"order_id"`
	TransactionID    S                `json:"transaction_id"` // Google Analytics 4
	CartID           S                `json:"cart_id"`
	CartURL          S                `json:"cart_url"`
	Currency         S                `json:"currency"`
	Coupon           S                `json:"coupon"`
	Query            S                `json:"query"`
	SearchTerm       S                `json:"search_term"` // Google Analytics 4
	Total            N                `json:"total"`
	Revenue          N                `json:"revenue"`
	Value            N                `json:"value"` // Google Analytics 4
	Position         N                `json:"position"`
	MessageID        S                `json:"message_id"`
	RecommendationID S                `json:"recommendation_id"`
	ListID           S                `json:"list_id"`
}

type wireLine[S, N ~string] struct {
	ProductID S `json:"product_id"`
	SKU       S `json:"sku"`
	Name      S `json:"name"`
	Brand     S `json:"brand"`
	Variant   S `json:"variant"`
	Category  S `json:"category"`
	URL       S `json:"url"`
	ImageURL  S `json:"image_url"`
	Quantity  N `json:"quantity"`
	Price     N `json:"price"`

	RecommendationID S `json:"recommendation_id"`
	Position         N `json:"position"`
}

type wireItem[S, N ~string] struct {
	ID        S `json:"item_id"`
	Name      S `json:"item_name"`
	Brand     S `json:"item_brand"`
	Variant   S `json:"item_variant"`
	Category  S `json:"item_category"`
	Category2 S `json:"item_category2"`
	Category3 S `json:"item_category3"`
	Category4 S `json:"item_category4"`
	Category5 S `json:"item_category5"`
	Quantity  N `json:"quantity"`
	Price     N `json:"price"`
}

// wrong marks a value of another type than the field's; what follows it is the
// value as sent. No valid UTF-8 text starts with it.
const wrong = "\xff"

// text reads a JSON string or number as text; null is "".
type text string

// UnmarshalJSON never fails: anything else is kept behind wrong.
func (t *text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case 'n':
	case '{', '[', 't', 'f':
		*t = text(wrong + string(b))
	default:
		*t = text(b)
	}
	return nil
}

// number reads a JSON number, or a string that holds one; null is
// absent.
type number string

// UnmarshalJSON never fails on valid JSON: what is no number stays as it is
// and fails when it is read.
func (n *number) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*n = number(strings.TrimSpace(s))
		if *n == "" {
			*n = wrong
		}
	case 'n':
	default:
		*n = number(b)
	}
	return nil
}
