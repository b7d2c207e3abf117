package streams

// Item is a product in the catalogue, as API.md's PUT /v1/items takes it and
// GET answers it. An Item is immutable once it is in a catalogue.
type Item struct {
	ID         string               `json:"id"`
	GroupID    string               `json:"group_id,omitempty"`
	Name       string               `json:"name,omitempty"`
	URL        string               `json:"url,omitempty"`
	ImageURL   string               `json:"image_url,omitempty"`
	Category   []string             `json:"category,omitempty"`
	Brand      string               `json:"brand,omitempty"`
	Price      float64              `json:"price,omitempty"`
	OldPrice   float64              `json:"old_price,omitempty"`
	Currency   string               `json:"currency,omitempty"`
	Stock      *int64               `json:"stock,omitempty"`
	Available  *bool                `json:"available,omitempty"`
	Channels   []string             `json:"channels,omitempty"`
	Stores     map[string]StoreItem `json:"stores,omitempty"`
	Attributes map[string]any       `json:"attributes,omitempty"`
	CreatedAt  string               `json:"created_at,omitempty"`
	UpdatedAt  string               `json:"updated_at,omitempty"`
}

// StoreItem is an item's stock and price in one store.
type StoreItem struct {
	Stock *int64  `json:"stock,omitempty"`
	Price float64 `json:"price,omitempty"`
}

// IsAvailable reports whether the catalogue lets the item be sold: as
// `available` says, else when stock is absent or above 0. A nil item, one that
// the catalogue does not know, is available: nothing says that it is not.
func (i *Item) IsAvailable() bool {
	switch {
	case i == nil:
		return true
	case i.Available != nil:
		return *i.Available
	}
	return i.Stock == nil || *i.Stock > 0
}
