package profiles

import (
	"math"

	"github.com/rapport-engine/rapport/streams"
)

// Outcome says what one event did to a profile.
type Outcome struct {
	// Duplicate: the event's message id was applied within a day before;
	// nothing changed.
	Duplicate bool
	// NewProfile: it is the profile's first event.
	NewProfile bool
	// NewSession: a session began with it.
	NewSession bool
	// NewCart: the cart was empty before and is not any more.
	NewCart bool
	// NewOrder: it counted an order.
	NewOrder bool
	// Issues are reasons to count: unknown_currency, late_order, ...
	Issues []string
	// Unlinked are the weaker identifiers of the event that the profile did
	// not have yet; each needs a link.
	Unlinked []streams.Identifier
}

// Apply folds one event into its customer's profile. now is the partition's
// time (Unix ms); item answers for the catalogue, nil for what it does not
// know, as of this place in the log. Apply does not keep e, but p's strings may
// share memory with it until they are encoded.
func (s *Settings) Apply(p *Profile, e *streams.Event, now int64, item func(id string) *streams.Item) Outcome {
	var out Outcome
	p.remember(e)
	return out
}

// round rounds money to 1/10000, so that sums do not depend on their order.
func round(x float64) float64 { return math.Round(x*1e4) / 1e4 }
