package profiles

import "time"

// Settings are what the fold of a profile depends on. They must be equal in
// every process that folds the same log.
type Settings struct {
	// Currency is the one that orders are counted in.
	Currency string
	// Rates has the factor to Currency for each other currency that is counted.
	Rates map[string]float64
	// CartTTL is how long a line stays in a cart after it was last added,
	// SessionGap the longest pause within a session.
	CartTTL, SessionGap time.Duration
	// MaxDedupe bounds the message ids that a profile remembers for a day.
	MaxDedupe int
	// Counted are the event names that Profile.Counts keeps; nil: none.
	Counted map[string]bool
}

// DefaultSettings returns the settings of a shop that configures nothing.
func DefaultSettings() Settings {
	return Settings{Currency: "UAH", CartTTL: 30 * 24 * time.Hour, SessionGap: 30 * time.Minute, MaxDedupe: 8192}
}
