package profiles

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/streams"
)

var rewrite = flag.Bool("rewrite", false, "write testdata from what the tests see")

// goldenID is the id of the profiles in testdata. profile-1.bin was written by
// the first version of the encoding, each other when it had got new fields. No
// file is ever written again: profiles at rest must stay readable.
const goldenID = "user:1000042"

// goldens are the profiles to write where a file is not there yet, in order.
func goldens(t testing.TB) []*Profile { return []*Profile{full(t), fuller(t), fuller(t)} }

// full is a profile with every kind of thing in it.
func full(t testing.TB) *Profile {
	settings := DefaultSettings()
	settings.Counted = map[string]bool{"Product Viewed": true}
	p := newProfile(goldenID)
	for _, e := range history(20) {
		settings.Apply(p, e, e.LoggedAt, nil)
	}
	apply(t, p,
		event("Product Added to Wishlist", t0+2*dayLen, product1("w", 1, 9.99)),
		event("Product Added to Waiting List", t0+2*dayLen, product1("x", 1, 0.001)),
		event("Product Removed", t0+2*dayLen, product1("119703", 1, 0)),
		event("Order Cancelled", t0+2*dayLen, order("never-seen", 0)),
		event("Message Bounced", t0+2*dayLen, channel("email")),
		event("Message Opened", t0+2*dayLen, channel("sms")))
	p.Runs = []*Run{{Trigger: "abandoned_cart", Profile: goldenID, StartedBy: "m", StartedAt: t0, StepAt: t0, IdleMs: 5, Event: []byte(`{"a":1}`), Items: []string{"a"}}}
	p.Messages = []*SentMessage{{Id: "abandoned_cart.1.5f0c9a7e21b3d468", Trigger: "abandoned_cart", Channel: "email", At: t0, Status: "sent"}}
	p.Triggers = []*TriggerState{{Trigger: "abandoned_cart", LastStartAt: t0, LastEndAt: t0, LastMessageAt: t0}}
	p.Claimed, p.Conflicts = []string{"email:x@y.z"}, []string{"user:7"}
	return p
}

// fuller has in it what the second version of the encoding can say, too.
func fuller(t testing.TB) *Profile {
	p := full(t)
	settings := DefaultSettings()
	x := newProfile("anonymous:x")
	apply(t, x, event("Product Added", t0+2*dayLen, product1("x1", 2, 3.5), of("anonymous:x")), event("Cart Viewed", t0+2*dayLen+second, lines(line("x1", 1, 3.5)), of("anonymous:x")),
		event("identify", t0+2*dayLen+second, func(e *streams.Event) {
			e.Kind, e.Traits, e.Locale, e.Timezone, e.PushToken = streams.Identify, []byte(`{"gone":null,"age":40}`), "uk", "Europe/Kyiv", "token"
		}))
	apply(t, p, event("Product Added", t0+2*dayLen, product1("x1", 3, 3.5), of(goldenID)),
		event("page", t0+2*dayLen+5*second, of(goldenID, "anonymous:x")))
	settings.Merge(p, x, t0+2*dayLen+5*second, t0+2*dayLen+minute)
	p.Refuse("card:1")
	p.Forbidden, p.Rules = []string{"user:9"}, 3
	p.Segments = []*Membership{{Name: "vip", Since: t0}}
	p.Touches = []*Touch{{Message: 7, Trigger: "abandoned_cart", Channel: "email", At: t0}}
	p.Goals = []*Goal{{Trigger: "abandoned_cart", Key: "k", At: t0, Until: t0 + dayLen, Holdout: true, Variant: "a"}}
	p.Inbox = []*Pending{{Id: "m.1.x", Channel: "web", At: t0, Expires: t0 + dayLen, Body: []byte("{}")}}
	p.Triggers = append(p.Triggers, &TriggerState{Trigger: "birthday", LastDateAt: t0, InactiveAt: t0, ExistingAt: t0, Items: []*ItemMark{{Item: 5, At: t0}}})
	p.Runs[0].Matches = []*ItemMatch{{Id: "a", Kind: "price_drop", Old: 5, Interest: 3, At: t0}}
	return p
}

func TestGolden(t *testing.T) {
	for i, p := range goldens(t) {
		t.Run(fmt.Sprint("profile-", i+1), func(t *testing.T) { readsGolden(t, filepath.Join("testdata", fmt.Sprint("profile-", i+1)), p) })
	}
}

// readsGolden compares what a file says with the text beside it.
func readsGolden(t *testing.T, file string, now *Profile) {
	old, want := file+".bin", file+".json"
	if _, err := os.Stat(old); *rewrite && os.IsNotExist(err) {
		if err := os.WriteFile(old, Encode(now), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	var p Profile
	if err := Decode(goldenID, data, &p); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(readable(t, &p), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		if err := os.WriteFile(want, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(document(t, golden), document(t, got)); diff != "" {
		t.Error("what was stored is read differently:", diff)
	}
}

// readable is all that a profile says, with the lists that stay packed.
func readable(t *testing.T, p *Profile) map[string]any {
	history, hours := p.History(), []map[string]any{}
	for list := p.Dedupe; len(list) > 0; {
		hour, next := dedupeHour(list)
		ids := []uint64{}
		for i := dedupeHeader; i < next; i += 8 {
			ids = append(ids, binary.LittleEndian.Uint64(list[i:]))
		}
		hours, list = append(hours, map[string]any{"hour": hour, "ids": ids}), list[next:]
	}
	named := func(list []byte) (all []map[string]any) {
		for _, a := range Preferences(list) {
			all = append(all, map[string]any{"name": a.Name, "score": a.Score})
		}
		return all
	}
	categories, brands := named(p.Categories), named(p.Brands)
	p.Timeline, p.Dedupe, p.Categories, p.Brands, p.PackedCart, p.PackedOrders, p.ReadUsual = nil, nil, nil, nil, nil, nil, ""
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	all := document(t, text)
	all["dedupe"], all["categories"], all["brands"] = hours, categories, brands
	return map[string]any{"Profile": all, "History": history}
}

// document is JSON without the order that lists of preferences had in old files.
func document(t *testing.T, text []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var all map[string]any
	if err := d.Decode(&all); err != nil {
		t.Fatal(err)
	}
	if p, ok := all["Profile"].(map[string]any); ok {
		for _, name := range []string{"categories", "brands"} {
			list, _ := p[name].([]any)
			slices.SortFunc(list, func(a, b any) int {
				return strings.Compare(a.(map[string]any)["name"].(string), b.(map[string]any)["name"].(string)) //nolint:forcetypeassert // else the test shall fail
			})
		}
	}
	return all
}

// FuzzRestore gives the store any bytes: it refuses them, or has a profile
// that can be read, changed and stored again.
func FuzzRestore(f *testing.F) {
	settings := DefaultSettings()
	f.Add([]byte(nil))
	f.Add([]byte("hello"))
	f.Add(Encode(full(f)))
	f.Add(Encode(fuller(f)))
	f.Add(Encode(filled(&settings, history(3))))
	f.Add(Encode(&Profile{Id: "user:1", AliasOf: "user:0"}))
	events := history(20)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := NewStore()
		before := string(data)
		if s.Restore("user:1", data) != nil {
			if s.Len() != 0 {
				t.Error("refused and kept")
			}
			return
		}
		for i, e := range events {
			e.MessageID = string(rune('a' + i))
			p := s.Lookup("user:1")
			settings.Apply(p, e, e.LoggedAt, nil)
			s.Changed(p)
			s.Publish()
		}
		p, ok := s.Read("user:1")
		if !ok || p.Id != "user:1" {
			t.Error("cannot be read")
		}
		p.History()
		AffinityShares(p.Categories, t0)
		if string(data) != before {
			t.Error("the bytes of a snapshot were changed")
		}
	})
}
