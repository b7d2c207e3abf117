package streams

import gojson "github.com/goccy/go-json"

// Link is the value of a KindLink record, sent to the home partition of From.
type Link struct {
	From string `json:"from"` // the weaker identifier, "type:value"
	To   string `json:"to"`   // the stronger one
	At   int64  `json:"at"`   // Unix ms, of the event that said so

	// Of and By are set where a link was passed on: that By's profile lists the
	// identifier Of is what asked for it, and By is told when it is refused.
	Of string `json:"of,omitempty"`
	By string `json:"by,omitempty"`
	// Permit, of a KindUnlink record, lets the pair be linked again; without it
	// the two are taken apart.
	Permit bool `json:"permit,omitempty"`
}

// Merge is the value of a KindMerge record, sent to the home partition of To:
// what From had collected before it became an alias. Of a KindUnmerge record it
// is what To gives back.
type Merge struct {
	From string `json:"from"` // "type:value"
	To   string `json:"to"`   // the stronger one, of whose customer From is an identifier
	At   int64  `json:"at"`   // Unix ms, of the event that said so
	// Profile is the encoding of From's profile (engine/profiles); empty where
	// nothing was known of it but that it exists.
	Profile []byte `json:"profile,omitempty"`
	// Hops counts the aliases that have passed it on.
	Hops int `json:"hops,omitempty"`
}

// Unlink says whether an event asks to take the two identifiers of an alias
// call apart ("context":{"unlink":true}), or to permit that they are linked again
// ("unlink":false).
func (e *Event) Unlink() (undo, permit bool) {
	if e.Kind != Alias || len(e.Identifiers) < 2 || len(e.Context) == 0 {
		return false, false
	}
	var context struct {
		Unlink *bool `json:"unlink"`
	}
	if gojson.Unmarshal(e.Context, &context) != nil || context.Unlink == nil {
		return false, false
	}
	return *context.Unlink, !*context.Unlink
}
