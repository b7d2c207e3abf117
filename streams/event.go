package streams

// Kind is the Segment call that an event was sent with.
type Kind uint8

// The six calls of Segment's tracking API.
const (
	Track Kind = iota + 1
	Identify
	Page
	Screen
	Alias
	Group
)

// Event is one thing a customer did, in one channel, at one time: a decoded,
// validated and normalised Segment call. It is read-only once decoded. Its
// strings may share memory with the record it was decoded from.
type Event struct {
	Kind Kind
	// Name is the canonical event name: for track the Segment v2 e-commerce
	// name ("Completed Order" becomes "Order Completed"), for calls without a
	// name the call ("identify", "page", "screen", "alias", "group").
	Name      string
	MessageID string
	Channel   string // "web", "app", "pos", ...; never empty
	Store     string // context.store
	// At is when it happened and LoggedAt when the log took it, both in Unix
	// milliseconds. At is corrected by sentAt and never more than MaxAhead
	// after LoggedAt.
	At, LoggedAt int64

	// Identifiers that the event may be believed to carry, normalised,
	// without repeats, strongest first; never empty.
	Identifiers []Identifier
	// Claimed are identifiers sent without proof by a public key: stored with
	// the profile, they link nothing.
	Claimed []Identifier
	// Previous is the other identifier of an alias call, the zero value
	// otherwise. It is one of Identifiers, too.
	Previous Identifier

	// Product is what properties say of the one product the event is about;
	// its ID is "" when there is none.
	Product Line
	// Products are the lines of properties.products; nil when the property is
	// absent and empty but not nil when it is [].
	Products []Line

	OrderID  string
	CartID   string
	CartURL  string
	Currency string
	Coupon   string
	Query    string // properties.query of a search
	// Place is where in the shop the customer is: the path of a page, the category
	// (else the list_id) of a Product List Viewed or Product List Filtered, or what was
	// searched for; "" of other events.
	Place string
	// Total is properties.total, else properties.revenue; HasTotal tells an
	// absent one from 0.
	Total    float64
	HasTotal bool

	// MessageRef is properties.message_id of feedback (Message Sent, Email
	// Opened, ...), RecommendationID properties.recommendation_id, or
	// properties.list_id of a Product List Viewed.
	MessageRef       string
	RecommendationID string
	Position         int // properties.position, from 1; 0 when absent

	Locale, Timezone string // context.locale, context.timezone
	PushToken        string // context.device.token

	// Properties, Traits and Context are the JSON objects as sent, nil when
	// absent. Traits holds traits and context.traits together (the former win).
	Properties, Traits, Context []byte
	// Raw is the whole call as logged.
	Raw []byte
}

// Line is a product in a cart, an order or an event.
type Line struct {
	ID          string // product_id, else sku
	Name        string
	Brand       string
	Variant     string
	Category    []string // path from the root
	URL         string
	ImageURL    string
	Quantity    int // 1 when absent; HasQuantity tells
	Price       float64
	HasQuantity bool

	// Of lines of Products only: what recommended the item, and its place there.
	RecommendationID string
	Position         int // from 1; 0 when absent
}

// Behaviour reports whether the event is something the customer did: neither
// feedback on a message, nor a segment change, nor a call of Rapport's own.
// Only behaviour opens sessions, resets idle waits and moves last_at.
func (e *Event) Behaviour() bool { return !feedback[e.Name] }

var feedback = map[string]bool{
	"Message Sent": true, "Message Delivered": true, "Message Opened": true,
	"Message Clicked": true, "Message Bounced": true, "Message Complained": true,
	"Message Failed": true, "Message Skipped": true,
	"Segment Entered": true, "Segment Exited": true,
}
