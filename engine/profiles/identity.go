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
	Linked    LinkKind = iota + 1 // the identifier is an alias now
	Already                       // it was one of that profile, or the link says nothing
	Conflict                      // refused: it is an alias of another profile of the same type
	Blocked                       // refused: the identifier links nothing, now or since before
	PassOn                        // its target is of another type: LinkResult.PassOn links the two
	Forbidden                     // refused: the two were taken apart before
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
	case Forbidden:
		return "forbidden"
	}
	return "unknown"
}

// LinkResult is what Link did.
type LinkResult struct {
	Kind LinkKind
	// PassOn is the link to send to the home of its From, with Kind PassOn.
	PassOn streams.Link
	// Freed is the profile that the identifier pointed to before it was blocked,
	// "" otherwise.
	Freed string
}

// Link applies a link at the home of l.From, whose profile or alias entry p is.
// An identifier is the alias of one profile at most: a second one of the same
// type is refused and remembered, and after MaxConflicts of them the identifier
// is blocked and stands for itself again. Of two targets of different types the
// weaker is linked to the stronger at its own home; p goes on pointing to the
// one that it points to, which so becomes an alias in its turn: what p forwards
// takes the way that its merge took, and arrives behind it.
func Link(p *Profile, l streams.Link, lim IdentityLimits) LinkResult {
	from, to := parse(p.Id), parse(l.To)
	_, forbidden := slices.BinarySearch(p.Forbidden, l.To)
	switch {
	case p.Blocked || lim.Blocked[p.Id] || lim.Blocked[l.To]:
		return LinkResult{Kind: Blocked}
	case to.IsZero() || l.To == p.Id || l.To == p.AliasOf:
		return LinkResult{Kind: Already}
	case forbidden:
		return LinkResult{Kind: Forbidden}
	case !to.Stronger(from):
		return passOn(l, l.To, p.Id)
	case p.AliasOf == "":
		p.AliasOf, p.LinkedAt = l.To, l.At
		return LinkResult{Kind: Linked}
	}
	target := parse(p.AliasOf)
	switch {
	case target.Type == to.Type:
		return conflict(p, l.To, lim.MaxConflicts)
	case target.Stronger(to):
		return passOn(l, l.To, p.AliasOf)
	}
	return passOn(l, p.AliasOf, l.To)
}

// passOn links from to to because of l: whoever asked for l is told if that is
// refused.
func passOn(l streams.Link, from, to string) LinkResult {
	next := streams.Link{From: from, To: to, At: l.At, Of: l.Of, By: l.By}
	if next.By == "" {
		next.Of, next.By = l.From, l.To
	}
	return LinkResult{Kind: PassOn, PassOn: next}
}

func conflict(p *Profile, to string, limit int) LinkResult {
	if i, found := slices.BinarySearch(p.Conflicts, to); !found {
		p.Conflicts = slices.Insert(p.Conflicts, i, to)
	}
	if len(p.Conflicts) < limit {
		return LinkResult{Kind: Conflict}
	}
	freed := p.AliasOf
	p.Blocked, p.AliasOf, p.Shipped, p.ExpiresAt = true, "", nil, 0
	return LinkResult{Kind: Blocked, Freed: freed}
}

// Empty reports whether p knows nothing of a customer but who it is.
func (p *Profile) Empty() bool {
	return p.Events == 0 && len(p.Identifiers) <= 1 && len(p.Dedupe) == 0 && len(p.Messages) == 0 && len(p.Runs) == 0
}

// Ship takes out of an identifier that became an alias what it had collected,
// and returns the encoding of that, at most limit bytes: what is oldest is left
// out for it, and counted. Until expires (Unix ms) p keeps it for an undo.
func (p *Profile) Ship(limit int, expires int64) (shipped []byte, cut int) {
	kept := entry{p.Id, p.AliasOf, p.Conflicts, p.Forbidden, p.LinkedAt}.clone()
	p.AliasOf, p.Conflicts, p.Forbidden, p.LinkedAt, p.Shipped, p.ExpiresAt = "", nil, nil, 0, nil, 0
	cut = p.shorten(limit)
	shipped = Encode(p)
	recycle(p)
	kept.into(p)
	p.Shipped, p.ExpiresAt = shipped, expires
	return shipped, cut
}

// entry is what an alias keeps of itself.
type entry struct {
	id, aliasOf          string
	conflicts, forbidden []string
	linkedAt             int64
}

func (e entry) clone() entry {
	e.conflicts, e.forbidden = slices.Clone(e.conflicts), slices.Clone(e.forbidden)
	return e
}

func (e entry) into(p *Profile) {
	p.Id, p.AliasOf, p.LinkedAt = e.id, e.aliasOf, e.linkedAt
	p.Conflicts, p.Forbidden = append(p.Conflicts[:0], e.conflicts...), append(p.Forbidden[:0], e.forbidden...)
	p.Identifiers = append(p.Identifiers[:0], e.id)
}

// shorten leaves out of p, the oldest first, what makes its encoding larger than
// limit: runs, then remembered message ids and orders, then traits.
func (p *Profile) shorten(limit int) (cut int) {
	p.PackedCart, p.PackedOrders, p.Scratch = nil, nil, nil
	for p.SizeVT() > limit {
		switch {
		case len(p.Runs) > 0:
			oldest := slices.MinFunc(p.Runs, func(a, b *Run) int { return int(min(max(a.StartedAt-b.StartedAt, -1), 1)) })
			p.Runs = slices.DeleteFunc(p.Runs, func(r *Run) bool { return r == oldest })
		case len(p.Dedupe) > 0:
			p.Dedupe = dropOldestHour(p.Dedupe)
		case p.Orders != nil && len(p.Orders.Recent) > 0:
			p.Orders.Recent = slices.Delete(p.Orders.Recent, len(p.Orders.Recent)-1, len(p.Orders.Recent))
		case p.Cart != nil && len(p.Cart.Lines) > 0:
			p.Cart.Lines = slices.Delete(p.Cart.Lines, 0, 1)
		case len(p.Traits) > 0:
			p.Traits, p.TraitAges = nil, nil
		default:
			return cut
		}
		cut++
	}
	return cut
}

// Unlink makes an alias stand for itself again and forbids the pair: p has what
// it had shipped, if that is not too long ago. The runs that it had then are
// over. It returns the profile that p pointed to, "" where it was no alias, and
// what that has to give back.
func (p *Profile) Unlink(other string) (target string, shipped []byte, err error) {
	for _, id := range []string{p.AliasOf, other} {
		if i, found := slices.BinarySearch(p.Forbidden, id); !found && id != "" && id != p.Id {
			p.Forbidden = slices.Insert(p.Forbidden, i, id)
		}
	}
	if p.AliasOf == "" {
		return "", nil, nil
	}
	target, shipped = p.AliasOf, p.Shipped
	kept := entry{p.Id, "", p.Conflicts, p.Forbidden, 0}.clone()
	if len(shipped) > 0 {
		err = Decode(kept.id, shipped, p)
		p.Runs = nil
	} else {
		recycle(p)
	}
	identifiers := slices.Clone(p.Identifiers)
	kept.into(p)
	if len(identifiers) > 0 {
		p.Identifiers = identifiers
	}
	return target, shipped, err
}

// Permit lets p be linked to other again.
func (p *Profile) Permit(other string) {
	p.Forbidden = slices.DeleteFunc(p.Forbidden, func(id string) bool { return id == other })
}
