package profiles

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/streams"
)

// Until two identifiers were seen to be one customer's, they had a cart each. A
// profile remembers when that was for as long as late events count: the fewest
// joints that tell since when which of its identifiers are one. An identifier
// that it lists and of which it knows no joint has been the customer's for
// longer. Joints of both sides add up in a merge, and an earlier one found late
// replaces a later one; so what is known in the end does not depend on the order
// in which it was learned.

// joinAll notes that an event named several identifiers of the customer; added
// are those that it named first.
func (p *Profile) joinAll(e *streams.Event, added []streams.Identifier) {
	if len(e.Identifiers) < 2 || p.Blocked {
		return
	}
	changed := false
	first := e.Identifiers[0]
	if slices.Contains(added, first) {
		changed = p.join(p.Id, first.String(), e.At)
	}
	for _, id := range e.Identifiers[1:] {
		if isNew := slices.Contains(added, id); isNew || len(p.Joints) > 0 && !p.jointly(first, id, e.At) && hasIdentifier(p.Identifiers, id) {
			changed = p.join(p.jointName(first, added), p.jointName(id, added), e.At) || changed
		}
	}
	if changed && p.Cart != nil {
		p.basket().revise()
	}
}

// jointly reports whether a joint says that two identifiers were one by a time.
func (p *Profile) jointly(a, b streams.Identifier, at int64) bool {
	for _, j := range p.Joints {
		if j.At <= at && (isIdentifier(j.A, a) && isIdentifier(j.B, b) || isIdentifier(j.A, b) && isIdentifier(j.B, a)) {
			return true
		}
	}
	return false
}

// jointName is the identifier that joints know id by: the profile's own where id
// has been the customer's for longer.
func (p *Profile) jointName(id streams.Identifier, added []streams.Identifier) string {
	if !slices.Contains(added, id) && !slices.ContainsFunc(p.Joints, func(j *Joint) bool { return isIdentifier(j.A, id) || isIdentifier(j.B, id) }) {
		return p.Id
	}
	return id.String()
}

// join notes that a and b were one customer's at a time, and reports whether that
// says something new.
func (p *Profile) join(a, b string, at int64) bool {
	if connected(p.Joints, a, b, at) {
		return false
	}
	p.Joints = fewest(append(p.Joints, &Joint{A: a, B: b, At: at}))
	return true
}

// joined reports whether an identifier was the customer's own by a time.
func (p *Profile) joined(id string, at int64) bool {
	return id == p.Id || !named(p.Joints, id) || connected(p.Joints, id, p.Id, at)
}

// origin is the identifier whose cart an event is about, "" for the profile's.
func (p *Profile) origin(e *streams.Event) string {
	if len(p.Joints) == 0 || p.Blocked || len(e.Identifiers) == 0 || isIdentifier(p.Id, e.Identifiers[0]) {
		return ""
	}
	if id := e.Identifiers[0].String(); !p.joined(id, e.At) {
		return id
	}
	return ""
}

// mergeJoints adds what x knows of its identifiers, x having been p's customer
// since at, where neither knows better.
func (p *Profile) mergeJoints(x *Profile, at int64) {
	list := slices.Concat(p.Joints, x.Joints)
	for _, id := range x.Identifiers {
		if id != x.Id && !named(x.Joints, id) {
			list = append(list, &Joint{A: x.Id, B: id}) // for longer than it remembers
		}
	}
	if !connected(list, x.Id, p.Id, math.MaxInt64) {
		list = append(list, &Joint{A: p.Id, B: x.Id, At: at})
	}
	x.Joints = nil
	p.Joints = fewest(list)
}

// settle lets go of the joints with the profile's own identifier that no late
// event can precede any more: what they joined has been one all along.
func (p *Profile) settle(now int64) {
	horizon := now - lateness
	if len(p.Joints) == 0 || p.Joints[0].At >= horizon {
		return
	}
	old := reach(p.Joints, p.Id, horizon-1)
	if len(old) == 1 {
		return
	}
	if p.Cart != nil {
		p.basket().settle(old, horizon)
	}
	for _, j := range p.Joints {
		if slices.Contains(old, j.A) {
			j.A = p.Id
		}
		if slices.Contains(old, j.B) {
			j.B = p.Id
		}
	}
	p.Joints = fewest(p.Joints)
}

// unjoin forgets what is known of identifiers that left the profile.
func (p *Profile) unjoin(left func(id string) bool) {
	p.Joints = slices.DeleteFunc(p.Joints, func(j *Joint) bool { return left(j.A) || left(j.B) })
}

// fewest sorts joints and leaves out those that follow from earlier ones.
func fewest(list []*Joint) []*Joint {
	slices.SortFunc(list, func(a, b *Joint) int {
		return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.A, b.A), strings.Compare(a.B, b.B))
	})
	n := 0
	for _, j := range list {
		if !connected(list[:n], j.A, j.B, j.At) {
			list[n] = j
			n++
		}
	}
	clear(list[n:])
	return list[:n]
}

// connected reports whether joints say that a and b were one by a time.
func connected(list []*Joint, a, b string, at int64) bool {
	return a == b || slices.Contains(reach(list, a, at), b)
}

// reach returns the identifiers that were one with id by a time.
func reach(list []*Joint, id string, at int64) []string {
	reached := []string{id}
	for grown := true; grown; {
		grown = false
		for _, j := range list {
			a, b := slices.Contains(reached, j.A), slices.Contains(reached, j.B)
			switch {
			case j.At > at || a == b:
				continue
			case a:
				reached = append(reached, j.B)
			default:
				reached = append(reached, j.A)
			}
			grown = true
		}
	}
	return reached
}

// named reports whether a joint names an identifier.
func named(list []*Joint, id string) bool {
	return slices.ContainsFunc(list, func(j *Joint) bool { return j.A == id || j.B == id })
}

// isIdentifier compares s with id without building its string.
func isIdentifier(s string, id streams.Identifier) bool {
	n := len(id.Type)
	return len(s) == n+1+len(id.Value) && s[:n] == id.Type && s[n] == ':' && s[n+1:] == id.Value
}

// squeezeJoints stores identifiers that the profile lists as their places.
func (p *Profile) squeezeJoints(own string) {
	place := func(id *string) uint32 {
		if *id == own {
			*id = ""
			return 0
		}
		i := slices.Index(p.Identifiers, *id)
		if i >= 0 {
			*id = ""
		}
		return uint32(i + 1)
	}
	for _, j := range p.Joints {
		j.AListed, j.BListed = place(&j.A), place(&j.B)
	}
}

// expandJoints is its inverse.
func (p *Profile) expandJoints() {
	name := func(id string, place uint32) string {
		if id == "" && int(place) < len(p.Identifiers) {
			return p.Identifiers[place]
		}
		return id
	}
	for _, j := range p.Joints {
		j.A, j.B = name(j.A, j.AListed), name(j.B, j.BListed)
		j.AListed, j.BListed = 0, 0
	}
	p.Joints = slices.DeleteFunc(p.Joints, func(j *Joint) bool { return j.A == "" || j.B == "" })
}
