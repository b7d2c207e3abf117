package profiles

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rapport-engine/rapport/streams"
)

func TestTimeline(t *testing.T) {
	p := newProfile("user:42")
	apply(t, p,
		event("Product Viewed", at(1), product1("a", 1, 4.5), func(e *streams.Event) { e.MessageID = "node-0b8f7a52-9f3c-4c1d-8e5a-1f2e3d4c5b6a" }),
		event("Order Completed", at(3), order("o", 450), lines(line("a", 1, 5), line("b", 2, 5)), channel("pos"), func(e *streams.Event) { e.MessageID = "m2" }),
		event("Quiz Finished", at(2), channel("robot"), func(e *streams.Event) { e.MessageID = "m3" }),
		event("page", at(3), func(e *streams.Event) { e.Kind, e.MessageID = streams.Page, "m4" }))
	want := []Event{
		{MessageID: "m4", Type: "page", Name: "page", Channel: "web", At: at(3)},
		{MessageID: "m2", Type: "track", Name: "Order Completed", Channel: "pos", At: at(3), Items: []string{"a", "b"}, Value: 450},
		{MessageID: "m3", Type: "track", Name: "Quiz Finished", Channel: "robot", At: at(2)},
		{MessageID: "node-0b8f7a52-9f3c-4c1d-8e5a-1f2e3d4c5b6a", Type: "track", Name: "Product Viewed", Channel: "web", At: at(1), Items: []string{"a"}, Value: 4.5},
	}
	if diff := gocmp.Diff(want, again(t, p).History()); diff != "" {
		t.Error(diff)
	}
	if got := (&Profile{}).History(); len(got) != 0 {
		t.Errorf("an empty timeline: %v", got)
	}
}

// TestTimelineInAnyOrder compares with a sorted list.
func TestTimelineInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			id string
			at int64
		}
		var all []entry
		p := newProfile("user:42")
		times := rapid.SliceOfN(rapid.Int64Range(-5, 40), 1, 45).Draw(t, "times")
		for i, n := range times {
			e := event("page", at(n))
			e.MessageID = fmt.Sprint("m", i)
			p.remember(e)
			all = append(all, entry{e.MessageID, e.At})
			// Newest first, and of equal times the last to arrive; what does not
			// fit is forgotten.
			slices.Reverse(all)
			slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(b.at, a.at) })
			all = all[:min(len(all), maxTimeline)]
			slices.Reverse(all)
			got := p.History()
			if len(got) != len(all) {
				t.Fatalf("%d events, want %d", len(got), len(all))
			}
			for i, g := range got {
				if w := all[len(all)-1-i]; g.MessageID != w.id || g.At != w.at {
					t.Fatalf("event %d is %s at %d, want %s at %d", i, g.MessageID, g.At, w.id, w.at)
				}
			}
		}
	})
}

func TestSplitUUID(t *testing.T) {
	const uuid = "0b8f7a52-9f3c-4c1d-8e5a-1f2e3d4c5b6a"
	for id, want := range map[string]string{
		uuid: "", "x-" + uuid: "x-", strings.ToUpper(uuid): strings.ToUpper(uuid), "short": "short", "": "",
		"0b8f7a52-9f3c-4c1d-8e5a-1f2e3d4c5bzz": "0b8f7a52-9f3c-4c1d-8e5a-1f2e3d4c5bzz",
		"0b8f7a52+9f3c-4c1d-8e5a-1f2e3d4c5b6a": "0b8f7a52+9f3c-4c1d-8e5a-1f2e3d4c5b6a",
	} {
		prefix, b, ok := splitUUID(id)
		if prefix != want || ok != (prefix != id) || ok && prefix+formatUUID(b) != id {
			t.Errorf("%q is split into %q and %x", id, prefix, b)
		}
	}
}

// TestWellKnownNames holds the codes of names at rest: a name added anywhere
// but at the end would turn stored events into others.
func TestWellKnownNames(t *testing.T) {
	for name, want := range map[string]uint32{"identify": 1, "Product Viewed": 6, "Order Completed": 12, "Customer Seen": 39, "Unsubscribed": 41} {
		if codes[name] != want {
			t.Errorf("%s has code %d, want %d", name, codes[name], want)
		}
	}
	for i, want := range []string{"web", "app", "pos", "call_center", "email", "sms", "messenger", "kiosk", "social", "other", "push"} {
		if wellKnownChannels[i] != want {
			t.Errorf("channel %d is %s, want %s", i, wellKnownChannels[i], want)
		}
	}
	if len(wellKnownChannels) > 15 {
		t.Error("channels have four bits")
	}
}
