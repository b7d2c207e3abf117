package profiles

import (
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

func TestLink(t *testing.T) {
	lim := IdentityLimits{MaxConflicts: 2, Blocked: map[string]bool{"email:shop@x.y": true, "card:0": true}}
	for _, tc := range []struct {
		name      string
		p         *Profile
		to        string
		kind      LinkKind
		alias     string
		passOn    string
		conflicts int
		blocked   bool
		freed     string
	}{
		{name: "first", p: &Profile{Id: "email:a@b.c"}, to: "user:1", kind: Linked, alias: "user:1"},
		{name: "again", p: &Profile{Id: "email:a@b.c", AliasOf: "user:1"}, to: "user:1", kind: Already, alias: "user:1"},
		{name: "to itself", p: &Profile{Id: "user:1"}, to: "user:1", kind: Already},
		{name: "to nobody", p: &Profile{Id: "user:1"}, to: "hello", kind: Already},
		{name: "the wrong way", p: &Profile{Id: "user:1"}, to: "email:a@b.c", kind: PassOn, passOn: "email:a@b.c>user:1"},
		{name: "a second user", p: &Profile{Id: "card:7", AliasOf: "user:1"}, to: "user:2", kind: Conflict, alias: "user:1", conflicts: 1},
		{name: "the same second user", p: &Profile{Id: "card:7", AliasOf: "user:1", Conflicts: []string{"user:2"}}, to: "user:2", kind: Conflict, alias: "user:1", conflicts: 1},
		{name: "a third user", p: &Profile{Id: "card:7", AliasOf: "user:1", Conflicts: []string{"user:2"}}, to: "user:3", kind: Blocked, conflicts: 2, blocked: true, freed: "user:1"},
		{name: "blocked before", p: &Profile{Id: "card:7", Blocked: true}, to: "user:3", kind: Blocked, blocked: true},
		{name: "listed as blocked", p: &Profile{Id: "card:0"}, to: "user:3", kind: Blocked},
		{name: "to one listed as blocked", p: &Profile{Id: "anonymous:1"}, to: "email:shop@x.y", kind: Blocked},
		{name: "a stronger target", p: &Profile{Id: "email:a@b.c", AliasOf: "card:7"}, to: "user:1", kind: PassOn, alias: "card:7", passOn: "card:7>user:1"},
		{name: "taken apart", p: &Profile{Id: "email:a@b.c", Forbidden: []string{"user:1"}}, to: "user:1", kind: Forbidden},
		{name: "a weaker target", p: &Profile{Id: "email:a@b.c", AliasOf: "user:1"}, to: "card:7", kind: PassOn, alias: "user:1", passOn: "card:7>user:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := Link(tc.p, streams.Link{From: tc.p.Id, To: tc.to, At: 5}, lim)
			if r.Kind != tc.kind || tc.p.AliasOf != tc.alias {
				t.Errorf("%v, alias of %q; want %v, %q", r.Kind, tc.p.AliasOf, tc.kind, tc.alias)
			}
			pass := ""
			if r.Kind == PassOn {
				pass = r.PassOn.From + ">" + r.PassOn.To
				if r.PassOn.At != 5 || r.PassOn.Of != tc.p.Id || r.PassOn.By != tc.to {
					t.Errorf("passed on as %+v", r.PassOn)
				}
			}
			if pass != tc.passOn {
				t.Errorf("passed on %q, want %q", pass, tc.passOn)
			}
			if len(tc.p.Conflicts) != tc.conflicts || tc.p.Blocked != tc.blocked {
				t.Errorf("conflicts %v, blocked %v", tc.p.Conflicts, tc.p.Blocked)
			}
			if r.Freed != tc.freed {
				t.Errorf("freed from %q, want %q", r.Freed, tc.freed)
			}
		})
	}
}

func TestLinkKindString(t *testing.T) {
	for kind, want := range map[LinkKind]string{Linked: "linked", Already: "already", Conflict: "conflict", Blocked: "blocked", PassOn: "passed_on", Forbidden: "forbidden", 0: "unknown"} {
		if kind.String() != want {
			t.Errorf("%d is %q, want %q", kind, kind, want)
		}
	}
}
