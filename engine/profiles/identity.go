package profiles

import (
	"slices"

	"github.com/rapport-engine/rapport/streams"
)

// IdentityLimits guard identifiers that several customers share.
type IdentityLimits struct {
	// MaxConflicts is how many second profiles may claim an identifier before
	// it is blocked.
	MaxConflicts int
	// Blocked are identifiers ("type:value") that link nothing.
	Blocked map[string]bool
}

// LinkKind says what a link did.
type LinkKind uint8

// The outcomes of a link.
const (
	Linked   LinkKind = iota + 1 // the identifier is an alias now
	Already                      // it was one of that profile, or the link says nothing
	Conflict                     // refused: it is an alias of another profile of the same type
	Blocked                      // refused: the identifier links nothing, now or since before
	PassOn                       // its target is of another type: LinkResult.PassOn links the two
)

// String is the name that a link is counted by.
func (k LinkKind) String() string {
	switch k {
	case Linked:
		return "linked"
	case Already:
		return "already"
	case Conflict:
		return "conflict"
	case Blocked:
		return "blocked"
	case PassOn:
		return "passed_on"
	}
	return "unknown"
}

// LinkResult is what Link did.
type LinkResult struct {
	Kind LinkKind
	// PassOn is the link to send to the home of its From, with Kind PassOn.
	PassOn streams.Link
	// Ended are the runs that ended because the identifier became an alias.
	Ended []*Run
}

// Link applies a link at the home of l.From, whose profile or alias entry p is.
// An identifier is the alias of one profile at most: a second one of the same
// type is refused and remembered, and after MaxConflicts of them the identifier
// is blocked and stands for itself again. Of two targets of different types
// the weaker is linked to the stronger, and p points to the stronger.
func Link(p *Profile, l streams.Link, lim IdentityLimits) LinkResult {
	from, to := parse(p.Id), parse(l.To)
	switch {
	case p.Blocked || lim.Blocked[p.Id] || lim.Blocked[l.To]:
		return LinkResult{Kind: Blocked}
	case to.IsZero() || l.To == p.Id || l.To == p.AliasOf:
		return LinkResult{Kind: Already}
	case !to.Stronger(from):
		return LinkResult{Kind: PassOn, PassOn: streams.Link{From: l.To, To: p.Id, At: l.At}}
	case p.AliasOf == "":
		p.AliasOf = l.To
		ended := p.Runs
		p.Runs = nil
		return LinkResult{Kind: Linked, Ended: ended}
	}
	target := parse(p.AliasOf)
	if target.Type == to.Type {
		return conflict(p, l.To, lim.MaxConflicts)
	}
	if target.Stronger(to) {
		return LinkResult{Kind: PassOn, PassOn: streams.Link{From: l.To, To: p.AliasOf, At: l.At}}
	}
	pass := streams.Link{From: p.AliasOf, To: l.To, At: l.At}
	p.AliasOf = l.To
	return LinkResult{Kind: PassOn, PassOn: pass}
}

func conflict(p *Profile, to string, limit int) LinkResult {
	if i, found := slices.BinarySearch(p.Conflicts, to); !found {
		p.Conflicts = slices.Insert(p.Conflicts, i, to)
	}
	if len(p.Conflicts) < limit {
		return LinkResult{Kind: Conflict}
	}
	p.Blocked, p.AliasOf = true, ""
	return LinkResult{Kind: Blocked}
}
