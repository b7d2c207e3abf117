package reference

// Event is something that a customer did, as the log has it.
type Event struct {
	ID      string // its messageId
	Name    string // "page" and the like for calls without one
	Channel string
	At      int64    // when it happened
	Logged  int64    // when the log took it
	IDs     []string // identifiers, the strongest first

	Product  Line   // that it is about; its ID is "" for none
	Products []Line // nil where it has none, empty for []
	Order    string
	Total    float64
	HasTotal bool
	Message  string // of feedback

	Properties map[string]any
	Traits     map[string]any // of an identify call; nil removes
	Consents   map[string]bool
	Zone       string // context.timezone
}

// Line is a product in an event.
type Line struct {
	ID       string
	Quantity int64
	Given    bool // the quantity was
	Price    float64
	Listed   float64 // what the catalogue said that it costs, when the log took the event
}

// behaviour reports whether the customer did it.
func (e *Event) behaviour() bool {
	return !feedback(e.Name) && e.Name != entered && e.Name != exited
}

func feedback(name string) bool { return len(name) > 8 && name[:8] == "Message " }

const (
	entered = "Segment Entered"
	exited  = "Segment Exited"
)

// lines are the products that the event names, each once.
func (e *Event) lines() []Line {
	var out []Line
	for _, l := range append([]Line{e.Product}, e.Products...) {
		known := l.ID == ""
		for _, o := range out {
			known = known || o.ID == l.ID
		}
		if !known {
			out = append(out, l)
		}
	}
	return out
}

// Item is a product of the catalogue.
type Item struct {
	ID        string
	Price     float64
	Stock     int64
	HasStock  bool
	Available *bool
}

// available reports whether it can be bought: one that nobody knows can.
func (i *Item) available() bool {
	switch {
	case i == nil:
		return true
	case i.Available != nil:
		return *i.Available
	}
	return !i.HasStock || i.Stock > 0
}

// pieces are how many there are; plenty where nobody counts them.
func (i *Item) pieces() float64 {
	switch {
	case !i.available():
		return 0
	case i == nil || !i.HasStock:
		return 1e9
	}
	return float64(i.Stock)
}

// Decision is a message that was sent, or a send that was not made.
type Decision struct {
	Profile string
	Trigger string
	Step    int
	At      int64  // of a message when it was due, else when it was decided
	Reason  string // why not; "" for a message
	// Of a message:
	ID      string
	Channel string
	Variant string
	Expires int64
	Items   []string // "<sku> x<quantity>" (0: only seen), sorted
}
