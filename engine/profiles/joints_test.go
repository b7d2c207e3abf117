package profiles

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/rapport-engine/rapport/streams"
)

func of(ids ...string) func(*streams.Event) {
	return func(e *streams.Event) {
		e.Identifiers = nil
		for _, id := range ids {
			e.Identifiers = append(e.Identifiers, parse(id))
		}
	}
}

func jointsOf(p *Profile) string {
	var list []string
	for _, j := range p.Joints {
		list = append(list, fmt.Sprintf("%s=%s@%d", j.A, j.B, (j.At-t0)/second))
	}
	return strings.Join(list, " ")
}

func TestJoints(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []*streams.Event
		want   string
	}{
		{"one identifier", []*streams.Event{event("page", at(1), of("user:42"))}, ""},
		{"two", []*streams.Event{event("page", at(5), of("user:42", "anonymous:x"))}, "user:42=anonymous:x@5"},
		{"the earlier counts", []*streams.Event{event("page", at(5), of("user:42", "anonymous:x")), event("page", at(3), of("user:42", "anonymous:x")),
			event("page", at(7), of("user:42", "anonymous:x"))}, "user:42=anonymous:x@3"},
		{"what follows is left out", []*streams.Event{event("page", at(1), of("user:42", "email:a@b.c")), event("page", at(2), of("user:42", "anonymous:x")),
			event("page", at(3), of("email:a@b.c", "anonymous:x"))}, "user:42=email:a@b.c@1 user:42=anonymous:x@2"},
		{"what is found late replaces it", []*streams.Event{event("page", at(3), of("user:42", "email:a@b.c")), event("page", at(4), of("user:42", "anonymous:x")),
			event("page", at(1), of("email:a@b.c", "anonymous:x"))}, "email:a@b.c=anonymous:x@1 user:42=email:a@b.c@3"},
		{"an alias names another", []*streams.Event{event("page", at(1), of("user:42", "email:a@b.c")), event("page", at(2), of("email:a@b.c", "anonymous:x"))},
			"user:42=email:a@b.c@1 email:a@b.c=anonymous:x@2"},
		{"settled after a week", []*streams.Event{event("page", at(1), of("user:42", "email:a@b.c")), event("page", at(2)+3*dayLen, of("email:a@b.c", "anonymous:x")),
			event("page", at(3)+8*dayLen, of("user:42", "email:a@b.c")), event("page", at(3)+8*dayLen, of("email:a@b.c", "card:7"))},
			"user:42=anonymous:x@259202 user:42=card:7@691203"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProfile("user:42")
			for _, e := range tc.events {
				apply(t, p, e)
				p = again(t, p)
			}
			if got := jointsOf(p); got != tc.want {
				t.Errorf("joints are %q, want %q", got, tc.want)
			}
		})
	}
}

// What an identifier put into the cart before it was the customer's counts for
// its own cart, whenever it is logged, and the larger of the two carts stays.
func TestCartsOfTwoIdentifiers(t *testing.T) {
	both := event("page", at(10), of("user:42", "anonymous:x"))
	for _, tc := range []struct {
		name   string
		events []*streams.Event
		want   string
	}{
		{"the larger quantity", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5), of("user:42")), both,
			event("Product Added", at(2), product1("a", 3, 5), of("anonymous:x"))}, "a*3@2 "},
		{"later additions count on top", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5), of("user:42")), both,
			event("Product Added", at(11), product1("a", 3, 5), of("anonymous:x"))}, "a*5@11 "},
		{"the login is logged last", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5), of("user:42")), event("page", at(20), of("user:42", "anonymous:x")),
			event("Product Added", at(11), product1("a", 3, 5), of("anonymous:x")), both}, "a*5@11 "},
		{"a cart shown before the login is the visitor's", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5), of("user:42")), both,
			event("Cart Viewed", at(5), lines(line("b", 1, 1)), of("anonymous:x"))}, "a*2@1 b*1@5 "},
		{"a cart shown after it is both's", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5), of("user:42")), both,
			event("Cart Viewed", at(15), lines(line("b", 1, 1)), of("anonymous:x"))}, "b*1@15 "},
		{"and so it is where the login is logged late", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5), of("user:42")), event("page", at(20), of("user:42", "anonymous:x")),
			event("Cart Viewed", at(15), lines(line("b", 1, 1)), of("anonymous:x")), both}, "b*1@15 "},
		{"a removal counts for both", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5), of("user:42")), both,
			event("Product Removed", at(5), product1("a", 0, 1), of("anonymous:x"))}, ""},
		{"settled", []*streams.Event{event("Product Added", at(1), product1("a", 2, 5), of("user:42")), both,
			event("Product Added", at(2), product1("a", 3, 5), of("anonymous:x")), event("page", at(0)+8*dayLen),
			event("Product Removed", at(1)+8*dayLen, product1("a", 1, 5), of("anonymous:x"))}, "a*2@2 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProfile("user:42")
			for _, e := range tc.events {
				c := *e
				apply(t, p, &c)
				p = again(t, p)
			}
			if got := cartOf(p); got != tc.want {
				t.Errorf("cart is %q, want %q", got, tc.want)
			}
		})
	}
}

// Two profiles written before joints were kept merge by the time of the link.
func TestMergeWithoutJoints(t *testing.T) {
	settings := DefaultSettings()
	p, x := newProfile("user:42"), newProfile("anonymous:x")
	apply(t, p, event("Product Added", at(1), product1("a", 2, 5)))
	apply(t, x, event("Product Added", at(2), product1("a", 3, 5), of("anonymous:x")), event("Product Added", at(12), product1("a", 1, 5), of("anonymous:x")))
	settings.Merge(p, x, at(10), at(20))
	if got := cartOf(p); got != "a*4@12 " || jointsOf(p) != "user:42=anonymous:x@10" {
		t.Errorf("cart is %q, joints %q", got, jointsOf(p))
	}
}

// At rest a joint names what the profile lists by its place.
func TestJointsAtRest(t *testing.T) {
	p := newProfile("user:42")
	apply(t, p, event("page", at(1), of("user:42", "email:a@b.c", "anonymous:x")))
	p.join("anonymous:x", "anonymous:unlisted", at(0))
	p.Cart = &Cart{Shown: []*CartShown{{Of: "anonymous:x", At: at(0)}}}
	want := proto.Clone(p).(*Profile)
	if got := again(t, p); !proto.Equal(plain(want), plain(got)) {
		t.Error(cmp.Diff(want.String(), got.String()))
	}
}
