package profiles

import (
	"slices"

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
	// Issues are reasons to count: unknown_currency, late_order, no_order_id,
	// unknown_order, bad_traits, bad_consents, traits_too_large,
	// too_many_identifiers.
	Issues []string
	// Unsent: a message that was decided turned out not to be sent; it was skipped.
	Unsent bool
	// Unlinked are the weaker identifiers of the event that the profile did
	// not have yet; each needs a link.
	Unlinked []streams.Identifier
}

// Apply folds one event into its customer's profile. now is the partition's
// time (Unix ms); item answers for the catalogue as of this place in the log,
// nil for what it does not know, and may be nil itself. Apply does not keep e,
// but p's strings share memory with it until p is encoded.
func (s *Settings) Apply(p *Profile, e *streams.Event, now int64, item func(id string) *streams.Item) Outcome {
	if now == 0 { // the log has had no tick yet
		now = e.LoggedAt
	}
	if !p.dedupe(e.MessageID, now, s.MaxDedupe) {
		return Outcome{Duplicate: true}
	}
	var out Outcome
	if !e.Behaviour() {
		out.Unsent = p.applyFeedback(e) == "skipped" // it says nothing of who the customer is
		return out
	}
	p.applyIdentifiers(e, &out)
	out.NewProfile = p.Events == 0
	p.Events++
	p.applyContext(e)
	p.applyChannel(e)
	p.applyTraits(e, now, &out)
	p.subscription(e, &out)
	p.applyInterest(e, item)
	p.applyAffinity(e, item)
	out.NewSession = p.applySession(e, s.SessionGap)
	p.viewedInSession()
	p.tally(s.Counted, e, now)

	p.settle(now)
	if p.Cart != nil && p.Cart.outdated(now, s.CartTTL) {
		p.basket().prune(now, s.CartTTL)
	}
	empty := p.Cart == nil || len(p.Cart.Lines) == 0
	p.applyCart(e, now, s.CartTTL, item)
	out.NewCart = empty && p.Cart != nil && len(p.Cart.Lines) > 0
	s.applyOrder(p, e, &out)
	p.remember(e)
	return out
}

const (
	maxIdentifiers = 100
	maxClaimed     = 10
)

// applyIdentifiers adds the event's identifiers that are weaker than the
// profile's own to it, the strongest first.
func (p *Profile) applyIdentifiers(e *streams.Event, out *Outcome) {
	own := parse(p.Id)
	if len(p.Identifiers) == 0 {
		p.Identifiers = append(p.Identifiers, p.Id)
	}
	if p.Blocked {
		return // several customers share it
	}
	for _, id := range e.Identifiers {
		if !own.Stronger(id) || hasIdentifier(p.Identifiers, id) || hasIdentifier(p.Refused, id) {
			continue
		}
		if len(p.Identifiers) >= maxIdentifiers {
			out.Issues = append(out.Issues, "too_many_identifiers")
			break
		}
		p.list(id)
		out.Unlinked = append(out.Unlinked, id)
	}
	p.joinAll(e, out.Unlinked)
	for _, id := range e.Claimed {
		if len(p.Claimed) < maxClaimed && !hasIdentifier(p.Claimed, id) && !hasIdentifier(p.Identifiers, id) {
			p.Claimed = append(p.Claimed, id.String())
		}
	}
}

// list puts an identifier into its place, the stronger first.
func (p *Profile) list(id streams.Identifier) {
	i := slices.IndexFunc(p.Identifiers, func(o string) bool { return id.Stronger(parse(o)) })
	if i < 0 {
		i = len(p.Identifiers)
	}
	p.Identifiers = slices.Insert(p.Identifiers, i, id.String())
}

// hasIdentifier looks for id without building its string.
func hasIdentifier(list []string, id streams.Identifier) bool {
	for _, s := range list {
		if isIdentifier(s, id) {
			return true
		}
	}
	return false
}

// applyContext keeps the first and last time, and of what each context says of
// the customer the latest.
func (p *Profile) applyContext(e *streams.Event) {
	if p.FirstAt == 0 || e.At < p.FirstAt {
		p.FirstAt = e.At
	}
	p.LastAt = max(p.LastAt, e.At)
	keepLatest(&p.Locale, &p.LocaleAt, cut(e.Locale, maxText), e.At)
	keepLatest(&p.Timezone, &p.TimezoneAt, cut(e.Timezone, maxText), e.At)
	if len(e.PushToken) <= maxToken {
		keepLatest(&p.PushToken, &p.PushTokenAt, e.PushToken, e.At)
	}
}

// keepLatest replaces a value by one that was said later, or first.
func keepLatest(to *string, toAt *int64, from string, at int64) {
	if from != "" && (at >= *toAt || *to == "") {
		*to, *toAt = from, at
	}
}

const (
	maxCounted = 1000
	countedFor = 90 * dayMs
)

// tally counts an event whose name a loaded rule counts.
func (p *Profile) tally(counted map[string]bool, e *streams.Event, now int64) {
	if !counted[e.Name] {
		return
	}
	c := p.eventCount(e.Name)
	c.LastAt = max(c.LastAt, e.At)
	at, _ := slices.BinarySearch(c.At, e.At)
	c.At = slices.Insert(c.At, at, e.At)
	c.trim(now)
}
