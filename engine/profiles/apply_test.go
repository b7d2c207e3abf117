package profiles

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/streams"
)

func TestDedupe(t *testing.T) {
	p, s := newProfile("user:42"), DefaultSettings()
	e := event("Product Viewed", at(0), product1("a", 1, 5))
	first := e.LoggedAt
	for _, tc := range []struct {
		after int64
		dup   bool
	}{{0, false}, {second, true}, {24*hour - 1, true}, {26 * hour, false}, {27 * hour, true}} {
		e.LoggedAt = first + tc.after
		if got := s.Apply(p, e, at(0)+tc.after, nil).Duplicate; got != tc.dup {
			t.Errorf("after %d h: duplicate is %v, want %v", tc.after/hour, got, tc.dup)
		}
	}
	if p.Events != 2 || p.Viewed[0].Times != 2 {
		t.Errorf("%d events applied, want 2", p.Events)
	}
}

func TestDedupeIsBounded(t *testing.T) {
	p, s := newProfile("user:42"), DefaultSettings()
	s.MaxDedupe = 5
	first := event("page", at(0))
	s.Apply(p, first, at(0), nil)
	for i := range 20 {
		s.Apply(p, event("page", at(int64(i)*1800)), at(int64(i)*1800), nil)
	}
	if n := countIDs(p.Dedupe); n != 5 {
		t.Errorf("%d message ids kept, want 5", n)
	}
	if s.Apply(p, first, at(20*1800), nil).Duplicate {
		t.Error("the oldest id must be the one that is forgotten")
	}
}

func TestIdentifiers(t *testing.T) {
	p := newProfile("card:7")
	outs := apply(t, p,
		event("page", at(1), who("card:7", "email:a@b.c", "anonymous:9")),
		event("page", at(2), who("card:7", "phone:+380501234567", "anonymous:9")),
		event("page", at(3), who("user:1", "card:7", "email:a@b.c")), // a stronger one is not ours
		event("page", at(4), func(e *streams.Event) { e.Claimed = []streams.Identifier{parse("email:x@y.z"), parse("email:a@b.c")} }))
	want := []string{"card:7", "phone:+380501234567", "email:a@b.c", "anonymous:9"}
	if !slices.Equal(p.Identifiers, want) {
		t.Errorf("identifiers are %v, want %v", p.Identifiers, want)
	}
	if !slices.Equal(p.Claimed, []string{"email:x@y.z"}) {
		t.Errorf("claimed are %v", p.Claimed)
	}
	got := ids(outs, func(o Outcome) string {
		return strings.Join(ids(o.Unlinked, streams.Identifier.String), " ")
	})
	if diff := cmp.Diff([]string{"email:a@b.c anonymous:9", "phone:+380501234567", "", ""}, got); diff != "" {
		t.Error("links:", diff)
	}
	if !p.Known() || newProfile("anonymous:9").Known() {
		t.Error("known means more than anonymous")
	}
}

func TestIdentifiersAreBounded(t *testing.T) {
	p := newProfile("user:1")
	var last Outcome
	for i := range 150 {
		last = apply(t, p, event("page", at(int64(i)), who("user:1", fmt.Sprint("anonymous:", i))))[0]
	}
	if len(p.Identifiers) != 100 || len(last.Unlinked) != 0 || !slices.Equal(last.Issues, []string{"too_many_identifiers"}) {
		t.Errorf("%d identifiers, %v", len(p.Identifiers), last)
	}
}

func TestTraits(t *testing.T) {
	for _, tc := range []struct {
		name string
		sent []string // each a second later, those with "late:" a minute before the first
		want string
	}{
		{"merged, keys sorted", []string{`{"b":1,"a":{"y": [1, 2]}}`, `{"c":"x"}`}, `{"a":{"y":[1,2]},"b":1,"c":"x"}`},
		{"replaced and removed", []string{`{"b":1,"a":2}`, `{"b":null,"a":3}`}, `{"a":3}`},
		{"all removed", []string{`{"b":1}`, `{"b":null}`}, ``},
		{"late fills gaps", []string{`{"a":1}`, `late:{"a":2,"b":3}`}, `{"a":1,"b":3}`},
		{"consents are none", []string{`{"a":1,"consents":{"sms":true}}`}, `{"a":1}`},
		{"no object", []string{`{"a":1}`, `[1]`, `{`}, `{"a":1}`},
		{"too large", []string{`{"a":1}`, `{"b":"` + strings.Repeat("x", 40000) + `"}`}, `{"a":1}`},
		{"escaped", []string{`{"a\"b":"\u043e"}`}, `{"a\"b":"\u043e"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProfile("user:42")
			for i, traits := range tc.sent {
				when := at(int64(i))
				if rest, late := strings.CutPrefix(traits, "late:"); late {
					traits, when = rest, at(-60)
				}
				apply(t, p, identify(when, traits))
			}
			if got := string(p.Traits); got != tc.want {
				t.Errorf("traits are %s, want %s", got, tc.want)
			}
		})
	}
	p := newProfile("user:42")
	apply(t, p, event("page", at(0), func(e *streams.Event) { e.Traits = []byte(`{"email":"a@b.c"}`) }))
	if len(p.Traits) != 0 {
		t.Error("context.traits are identifiers, not traits")
	}
	if m := (&Profile{Traits: []byte(`null`)}).TraitsMap(); m == nil {
		t.Error("the map must not be nil")
	}
}

func TestConsents(t *testing.T) {
	yes, no := `{"channel":"sms","reason":"form"}`, `{"channel":"sms","reason":"STOP"}`
	for _, tc := range []struct {
		name   string
		events []*streams.Event
		want   string
	}{
		{"identify", []*streams.Event{identify(at(1), `{"consents":{"sms":false,"email":true}}`)}, "email=true(web) sms=false(web) "},
		{"subscribed", []*streams.Event{event("Subscribed", at(1), props(yes))}, "sms=true(form) "},
		{"the newest wins", []*streams.Event{event("Subscribed", at(1), props(yes)), event("Unsubscribed", at(2), props(no))}, "sms=false(STOP) "},
		{"whatever arrives first", []*streams.Event{event("Subscribed", at(3), props(yes)), event("Unsubscribed", at(2), props(no))}, "sms=true(form) "},
		{"a tie is a refusal", []*streams.Event{event("Unsubscribed", at(2), props(no)), event("Subscribed", at(2), props(yes))}, "sms=false(STOP) "},
		{"a tie is a refusal, the other way", []*streams.Event{event("Subscribed", at(2), props(yes)), event("Unsubscribed", at(2), props(no))}, "sms=false(STOP) "},
		{"no channel", []*streams.Event{event("Subscribed", at(2), props(`{"channel":5}`)), event("Subscribed", at(2))}, ""},
		{"no answer", []*streams.Event{identify(at(1), `{"consents":{"sms":"maybe"}}`), identify(at(2), `{"consents":[1]}`)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProfile("user:42")
			apply(t, p, tc.events...)
			got := ""
			for _, c := range p.Consents {
				got += fmt.Sprintf("%s=%v(%s) ", c.Channel, c.Granted, c.Source)
			}
			if got != tc.want {
				t.Errorf("consents are %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSessions(t *testing.T) {
	view := func(s int64, id, ch string) *streams.Event {
		return event("Product Viewed", at(s), product1(id, 1, 5), channel(ch))
	}
	p := newProfile("user:42")
	outs := apply(t, p, view(0, "a", "web"), view(1800, "b", "app"), view(3601, "c", "pos"), view(3602, "a", "pos"),
		event("Products Searched", at(3603), func(e *streams.Event) { e.Query = "shoes" }),
		view(5, "d", "web"), // late: it opens no session
		event("Product Added", at(3604), product1("a", 1, 5)))
	got := ids(outs, func(o Outcome) string { return fmt.Sprint(o.NewSession) })
	if want := "true false true false false false false"; strings.Join(got, " ") != want {
		t.Errorf("new sessions: %v, want %s", got, want)
	}
	s := again(t, p).Session
	if p.Sessions != 2 || s.Channel != "pos" || s.Events != 4 || s.StartedAt != at(3601) || s.LastAt != at(3604) {
		t.Errorf("session: %v of %d", s, p.Sessions)
	}
	if diff := cmp.Diff([][]string{{"c", "a"}, {"a"}, {"shoes"}}, [][]string{s.Viewed, s.Added, s.Searched}); diff != "" {
		t.Error(diff)
	}
	if !outs[0].NewProfile || outs[1].NewProfile {
		t.Error("only the first event makes a new profile")
	}
}

func TestViewed(t *testing.T) {
	out := false
	item := func(id string) *streams.Item {
		return &streams.Item{ID: id, Price: 99, Available: &out, Category: []string{"Shoes", "Running"}, Brand: "Acme"}
	}
	p, s := newProfile("user:42"), DefaultSettings()
	for i := range 25 {
		s.Apply(p, event("Product Viewed", at(int64(i)), product1(fmt.Sprint("i", i), 1, 0)), at(int64(i)), item)
	}
	again1 := event("Product Viewed", at(0)+dayLen, product1("i10", 1, 50))
	late := event("Product Viewed", at(0)-2*dayLen, product1("i10", 1, 70))
	s.Apply(p, again1, again1.At, nil)
	s.Apply(p, late, again1.At, nil)
	p = again(t, p)
	if len(p.Viewed) != 20 || p.Viewed[1].Id != "i24" {
		t.Fatalf("viewed: %v", p.Viewed)
	}
	v := p.Viewed[0]
	if v.Id != "i10" || v.Times != 3 || v.Days != 3 || v.FirstAt != late.At || v.At != again1.At || v.Price != 50 || !v.Available || v.Channel != "web" {
		t.Errorf("viewed last: %v", v)
	}
	if w := p.Viewed[1]; w.Price != 99 || w.Available {
		t.Errorf("as the catalogue said: %v", w)
	}
	if got := AffinityShares(p.Categories, again1.At); len(got) != 1 || got[0] != (Share{"Shoes/Running", 1}) {
		t.Errorf("categories: %v", got)
	}
}

func TestLists(t *testing.T) {
	p := newProfile("user:42")
	name := func(i *Interest) string { return i.Id }
	apply(t, p,
		event("Product Added to Wishlist", at(1), product1("a", 1, 5)), event("Product Added to Wishlist", at(2), product1("b", 1, 5)),
		event("Product Added to Wishlist", at(3), product1("c", 1, 5)), event("Product Removed from Wishlist", at(4), product1("b", 1, 5)),
		event("Wishlist Product Added to Cart", at(5), product1("c", 1, 5)), event("Product Removed from Wishlist", at(0), product1("a", 1, 5)),
		event("Product Added to Waiting List", at(1), product1("x", 1, 5)), event("Product Added to Waiting List", at(2), product1("y", 1, 5)),
		event("Product Removed from Waiting List", at(3), product1("x", 1, 5)))
	if got := ids(p.Wishlist, name); !slices.Equal(got, []string{"a"}) {
		t.Errorf("wishlist: %v", got)
	}
	if got := ids(p.Waiting, name); !slices.Equal(got, []string{"y"}) {
		t.Errorf("waiting: %v", got)
	}
	if got := cartOf(p); got != "c*1@5 " {
		t.Errorf("cart: %q", got)
	}
}

func TestContextAndChannels(t *testing.T) {
	in := func(locale, zone, token string) func(*streams.Event) {
		return func(e *streams.Event) { e.Locale, e.Timezone, e.PushToken = locale, zone, token }
	}
	p := newProfile("user:42")
	apply(t, p, event("page", at(5), in("uk", "", "t1"), channel("app")), event("page", at(6), in("en", "Europe/Kyiv", "")),
		event("page", at(1), in("de", "Europe/Berlin", "t0")))
	if p.Locale != "en" || p.Timezone != "Europe/Kyiv" || p.PushToken != "t1" || p.FirstAt != at(1) || p.LastAt != at(6) {
		t.Errorf("context: %v", p)
	}
	got := ids(p.Channels, func(c *Channel) string { return fmt.Sprint(c.Name, c.Events, c.FirstAt-t0, c.LastAt-t0) })
	if !slices.Equal(got, []string{"web2 1000 6000", "app1 5000 5000"}) {
		t.Errorf("channels: %v", got)
	}
}

func TestAddress(t *testing.T) {
	p := &Profile{
		Id: "user:1", Identifiers: []string{"user:1", "phone:+380", "email:a@b.c"}, PushToken: "tok",
		Traits: []byte(`{"email":"other@b.c","telegram":" 77 ","viber":5}`),
	}
	for channel, want := range map[string]string{"email": "a@b.c", "sms": "+380", "viber": "+380", "push": "tok", "telegram": "77", "messenger": ""} {
		if got := p.Address(channel); got != want {
			t.Errorf("%s: %q, want %q", channel, got, want)
		}
	}
	q := &Profile{Id: "user:1", Identifiers: []string{"user:1"}, Traits: []byte(`{"email":"other@b.c"}`)}
	if got := q.Address("email"); got != "other@b.c" {
		t.Errorf("the trait: %q", got)
	}
}

func TestCounts(t *testing.T) {
	p := newProfile("user:42")
	apply(t, p, event("Product Viewed", at(5), product1("a", 1, 1)), event("Product Viewed", at(1), product1("a", 1, 1)), event("page", at(2)))
	if len(p.Counts) != 1 || p.Counts[0].LastAt != at(5) || !slices.Equal(p.Counts[0].At, []int64{at(1), at(5)}) {
		t.Errorf("counts: %v", p.Counts)
	}
	apply(t, p, event("Product Viewed", at(2)+90*dayLen, product1("a", 1, 1)))
	if !slices.Equal(p.Counts[0].At, []int64{at(5), at(2) + 90*dayLen}) {
		t.Errorf("counts after 90 days: %v", p.Counts)
	}
}

func TestAffinities(t *testing.T) {
	in := func(category, brand string) func(*streams.Event) {
		return func(e *streams.Event) {
			e.Product = streams.Line{ID: "x", Quantity: 1, Category: []string{category}, Brand: brand}
		}
	}
	p := newProfile("user:42")
	apply(t, p, event("Product Viewed", at(0), in("a", "")), event("Product Added", at(0), in("b", "")))
	if got := AffinityShares(p.Categories, at(0)); !slices.Equal(got, []Share{{"b", 0.75}, {"a", 0.25}}) {
		t.Errorf("shares: %v", got)
	}
	half := at(0) + 30*dayLen // what is there counts half now: 0.5 + 2 against 1.5
	apply(t, p, event("Product Viewed", half, in("a", "")), event("Product Viewed", half, in("a", "")))
	if got := AffinityShares(p.Categories, half); !slices.Equal(got, []Share{{"a", 0.625}, {"b", 0.375}}) {
		t.Errorf("shares: %v", got)
	}
	for i := range 40 {
		apply(t, p, event("Product Viewed", half+int64(i), in(fmt.Sprint("c", i), "")))
	}
	if got := AffinityShares(p.Categories, half); len(got) != 20 || got[0].Name != "a" {
		t.Errorf("bounded: %v", got)
	}
	if got := AffinityShares(nil, half); len(got) != 0 || got == nil {
		t.Errorf("of none: %v", got)
	}
}

// TestNoEventMakesAProfileLarge sends long texts everywhere, many times.
func TestNoEventMakesAProfileLarge(t *testing.T) {
	long := strings.Repeat("ї", 5000)
	p := newProfile("user:42")
	for i := range 300 {
		l := streams.Line{ID: fmt.Sprint("i", i), Quantity: 1, Price: 1, Name: long, Brand: long + fmt.Sprint(i), Variant: long, URL: long, ImageURL: long, Category: []string{fmt.Sprint(i), long, long}}
		fill := func(e *streams.Event) {
			e.Locale, e.Timezone, e.PushToken, e.Query, e.CartURL, e.Coupon = long, long, long, long, long, long
			e.Product, e.MessageRef, e.OrderID = l, "m", fmt.Sprint("o", i)
		}
		for _, name := range []string{"Product Viewed", "Product Added", "Products Searched", "Order Completed", "Order Cancelled", "Product Removed"} {
			apply(t, p, event(name, at(int64(i)), fill))
		}
		apply(t, p, event("Product Added", at(int64(i)+1000), fill), event("Message Opened", at(int64(i)), fill, props(fmt.Sprintf(`{"channel":"%d%s"}`, i, long))),
			event("Subscribed", at(int64(i)), fill, props(fmt.Sprintf(`{"channel":"%d","reason":%q}`, i, long))))
	}
	if n := len(Encode(p)); n > 512<<10 {
		t.Errorf("the profile takes %d bytes", n)
	}
	if !strings.HasPrefix(long, cut(long, 201)) || len(cut(long, 201)) != 200 {
		t.Error("text must be cut between characters")
	}
}
