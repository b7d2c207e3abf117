package profiles

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write testdata from what the tests see")

// goldenID is the id of the profile in testdata/profile-1.bin, which was
// written by the first version of the encoding. The file is never written
// again: profiles at rest must stay readable.
const goldenID = "user:1000042"

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

func TestGolden(t *testing.T) {
	old, want := filepath.Join("testdata", "profile-1.bin"), filepath.Join("testdata", "profile-1.json")
	if _, err := os.Stat(old); *rewrite && os.IsNotExist(err) {
		if err := os.WriteFile(old, Encode(full(t)), 0o644); err != nil {
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
	history := p.History()
	p.Timeline = nil
	got, err := json.MarshalIndent(struct {
		Profile *Profile
		History []Event
	}{&p, history}, "", " ")
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
	if diff := cmp.Diff(string(golden), string(got)+"\n"); diff != "" {
		t.Error("what was stored is read differently:", diff)
	}
}

// FuzzRestore gives the store any bytes: it refuses them, or has a profile
// that can be read, changed and stored again.
func FuzzRestore(f *testing.F) {
	settings := DefaultSettings()
	f.Add([]byte(nil))
	f.Add([]byte("hello"))
	f.Add(Encode(full(f)))
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
