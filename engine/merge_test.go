package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// noon is when the stories of these tests begin.
const noon = int64(1_770_033_600_000)

// story tells a simulation what happens, minute by minute, and folds it.
type story struct {
	*simulation
	t *testing.T
	r *rand.Rand
	n int
}

func newStory(t *testing.T, partitions int) *story {
	t.Helper()
	return &story{newSimulation(t, partitions), t, rand.New(rand.NewPCG(1, 1)), 0}
}

// at logs an event that happens some minutes after noon, and folds all that it
// causes. properties is JSON, or "" for none.
func (s *story) at(minutes int64, name, properties string, ids ...string) {
	s.t.Helper()
	s.n++
	call := map[string]any{"type": "track", "event": name, "messageId": fmt.Sprint("s", s.n), "timestamp": noon + minutes*60_000}
	if properties != "" {
		call["properties"] = json.RawMessage(properties)
	}
	s.log(minutes, call, ids)
}

func (s *story) log(minutes int64, call map[string]any, ids []string) {
	s.t.Helper()
	external := []any{}
	for _, id := range ids {
		external = append(external, map[string]any{"type": identifier(id).Type, "id": identifier(id).Value})
	}
	context, _ := call["context"].(map[string]any)
	if context == nil {
		context = map[string]any{"channel": "web"}
	}
	context["externalIds"] = external
	call["context"] = context
	value, err := json.Marshal(call)
	if err != nil {
		s.t.Fatal(err)
	}
	s.append(streams.Partition(ids[0], int32(len(s.logs))), streams.Record{Key: []byte(ids[0]), Value: value,
		Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(noon + minutes*60_000)}}})
	s.run(s.t, s.r, false)
}

// unlink is an operator's call to take two identifiers apart, or to permit them.
func (s *story) unlink(minutes int64, undo bool, stronger, weaker string) {
	s.t.Helper()
	s.n++
	s.log(minutes, map[string]any{"type": "alias", "messageId": fmt.Sprint("s", s.n), "previousId": weaker,
		"context": map[string]any{"unlink": undo}}, []string{stronger})
}

// tick moves the clock of every partition.
func (s *story) tick(minutes int64) {
	s.t.Helper()
	for p := range s.logs {
		s.append(int32(p), streams.Record{Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(noon + minutes*60_000)}}})
	}
	s.run(s.t, s.r, false)
}

func (s *story) counts() *Counts {
	total := newCounts()
	for _, w := range s.workers {
		total.add(&w.counts)
	}
	return &total
}

func (s *story) is(id, want string) *profiles.Profile {
	s.t.Helper()
	p := s.find(s.t, id)
	if got := strings.Join(p.Identifiers, " "); got != want {
		s.t.Errorf("%s leads to %q, want %q", id, got, want)
	}
	return p
}

// eachLayout runs a story with everything in one partition, and spread.
func eachLayout(t *testing.T, tell func(s *story)) {
	for _, n := range []int{1, 7, 16} {
		t.Run(fmt.Sprint(n, " partitions"), func(t *testing.T) { tell(newStory(t, n)) })
	}
}

func TestBrowserThenEmailThenLogin(t *testing.T) {
	eachLayout(t, func(s *story) {
		s.at(0, "Product Added", `{"product_id":"p1","quantity":2}`, "anonymous:x")
		s.at(1, "Product Viewed", `{"product_id":"p2"}`, "email:a@b.c", "anonymous:x")
		s.at(2, "Order Completed", `{"order_id":"o1","total":9,"products":[{"product_id":"p9"}]}`, "anonymous:x")
		s.at(3, "Product Added", `{"product_id":"p1","quantity":5}`, "user:1")
		s.at(4, "page", "", "user:1", "email:a@b.c")
		s.at(5, "page", "", "anonymous:x")
		for _, id := range []string{"user:1", "email:a@b.c", "anonymous:x"} {
			p := s.is(id, "user:1 email:a@b.c anonymous:x")
			if p.Events != 6 || p.Orders.GetCount() != 1 || len(p.Viewed) != 1 || len(p.Cart.Lines) != 1 || p.Cart.Lines[0].Quantity != 5 {
				s.t.Errorf("%s: %v", id, p)
			}
		}
	})
}

// A cart that waits for its message goes along with its customer: one message,
// with the id that the run had from its start, to the merged profile.
func TestRunsGoAlong(t *testing.T) {
	eachLayout(t, func(s *story) {
		s.at(0, "Product Added", `{"product_id":"p1"}`, "anonymous:x")
		s.at(20, "page", "", "user:1", "anonymous:x")
		s.tick(100)
		p := s.is("user:1", "user:1 anonymous:x")
		if len(s.messages) != 1 || len(p.Messages) != 1 || p.Messages[0].At != noon+50*60_000 {
			s.t.Errorf("%d messages, in the profile %v", len(s.messages), p.Messages)
		}
		if len(p.Messages) > 0 {
			opened := fmt.Sprintf(`{"message_id":%q}`, p.Messages[0].Id)
			s.at(110, "Message Opened", opened, "message:"+p.Messages[0].Id)
			if p = s.is("user:1", "user:1 anonymous:x"); p.Messages[0].Status != "opened" {
				s.t.Errorf("status %q", p.Messages[0].Status)
			}
		}
	})
}

// What the stronger side bought ends the cart that the weaker one brings.
func TestAnArrivingRunEndsByWhatHappenedMeanwhile(t *testing.T) {
	eachLayout(t, func(s *story) {
		s.at(0, "Product Added", `{"product_id":"p1"}`, "anonymous:x")
		s.at(5, "Order Completed", `{"order_id":"o1","products":[{"product_id":"p2"}]}`, "user:1")
		s.at(20, "page", "", "user:1", "anonymous:x")
		s.tick(100)
		if len(s.messages) != 0 || s.counts().Skipped["abandoned_cart"]["exited"] != 1 {
			s.t.Errorf("messages %v, skipped %v", s.messages, s.counts().Skipped)
		}
	})
}

// Of two carts that wait, the older one's message is sent.
func TestTheOlderRunStays(t *testing.T) {
	eachLayout(t, func(s *story) {
		s.at(0, "Product Added", `{"product_id":"p1"}`, "anonymous:x")
		s.at(5, "Product Added", `{"product_id":"p2"}`, "user:1")
		s.at(20, "page", "", "user:1", "anonymous:x")
		if runs := s.is("user:1", "user:1 anonymous:x").Runs; len(runs) != 1 || runs[0].Profile != "anonymous:x" {
			s.t.Errorf("runs %v", runs)
		}
		if n := s.counts().Skipped["abandoned_cart"]["superseded"]; n != 1 {
			s.t.Errorf("%d superseded", n)
		}
		s.tick(100)
		if len(s.messages) != 1 {
			s.t.Errorf("messages %v", s.messages)
		}
	})
}

// A shared tablet: who claims it second does not get it, nor lists it, and after
// three of them it stands for itself.
func TestSharedIdentifier(t *testing.T) {
	eachLayout(t, func(s *story) {
		s.at(0, "page", "", "user:1", "anonymous:tablet")
		s.at(1, "page", "", "user:2", "anonymous:tablet")
		s.at(2, "page", "", "user:2", "anonymous:tablet")
		s.is("user:1", "user:1 anonymous:tablet")
		s.is("user:2", "user:2")
		if n := s.counts().Conflicts; n != 1 {
			s.t.Errorf("%d conflicts", n)
		}
		s.at(3, "page", "", "user:3", "anonymous:tablet")
		s.at(4, "page", "", "user:4", "anonymous:tablet")
		s.at(5, "page", "", "anonymous:tablet")
		for _, id := range []string{"user:1", "user:2", "user:3", "user:4"} {
			s.is(id, id)
		}
		if p := s.is("anonymous:tablet", "anonymous:tablet"); !p.Blocked || p.Events != 1 {
			s.t.Errorf("the tablet: %v", p)
		}
	})
}

// A link that is passed on and refused there takes the identifier off the list
// of whoever asked for it.
func TestRefusalReachesWhoAsked(t *testing.T) {
	eachLayout(t, func(s *story) {
		s.at(0, "page", "", "card:7", "email:a@b.c")
		s.at(1, "page", "", "user:1", "card:7")
		s.at(2, "page", "", "user:2", "email:a@b.c")
		s.is("email:a@b.c", "user:1 card:7 email:a@b.c")
		s.is("user:2", "user:2")
	})
}

func TestConfiguredAsBlocked(t *testing.T) {
	s := newStory(t, 5)
	s.e.settings.Identity.Blocked["card:till"] = true
	s.at(0, "page", "", "user:1", "card:till", "email:a@b.c")
	s.at(1, "page", "", "card:till")
	s.is("user:1", "user:1 email:a@b.c")
	s.is("card:till", "card:till")
}

func TestUndo(t *testing.T) {
	eachLayout(t, func(s *story) {
		s.at(0, "Product Added", `{"product_id":"theirs"}`, "anonymous:x")
		s.at(1, "Order Completed", `{"order_id":"o1","total":9,"products":[{"product_id":"p9"}]}`, "anonymous:x")
		s.at(2, "Product Added", `{"product_id":"own"}`, "user:1")
		s.at(3, "page", "", "user:1", "anonymous:x")
		s.at(4, "Product Added", `{"product_id":"later"}`, "anonymous:x")
		s.is("anonymous:x", "user:1 anonymous:x")

		s.unlink(5, true, "user:1", "anonymous:x")
		x, p := s.is("anonymous:x", "anonymous:x"), s.is("user:1", "user:1")
		if x.Events != 2 || x.Orders.GetCount() != 1 || cartIDs(x) != "theirs" {
			s.t.Errorf("given back: %v", x)
		}
		if p.Events != 3 || p.Orders.GetCount() != 0 || cartIDs(p) != "own later" {
			s.t.Errorf("kept: %v", p)
		}

		s.at(6, "page", "", "user:1", "anonymous:x") // the pair is forbidden
		s.is("anonymous:x", "anonymous:x")
		s.is("user:1", "user:1")
		s.unlink(7, false, "user:1", "anonymous:x")
		s.at(8, "page", "", "user:1", "anonymous:x")
		if p := s.is("anonymous:x", "user:1 anonymous:x"); p.Events != 7 || p.Orders.GetCount() != 1 {
			s.t.Errorf("together again: %v", p)
		}
	})
}

func cartIDs(p *profiles.Profile) string {
	var ids []string
	for _, l := range p.GetCart().GetLines() {
		ids = append(ids, l.Id)
	}
	return strings.Join(ids, " ")
}

// A public key cannot take customers apart.
func TestUndoNeedsTrust(t *testing.T) {
	s := newStory(t, 1)
	s.at(0, "page", "", "email:a@b.c", "anonymous:x")
	s.append(0, streams.Record{Value: []byte(`{"type":"alias","messageId":"q","anonymousId":"x","previousId":"y","context":{"unlink":true}}`),
		Headers: []streams.Header{{Key: streams.HeaderTrust, Value: []byte(streams.TrustAnonymous)}}})
	s.run(t, s.r, false)
	s.is("anonymous:x", "email:a@b.c anonymous:x")
	if n := s.counts().Issues["unlink_refused"]; n != 1 {
		t.Errorf("%d refused", n)
	}
}

// What an alias keeps for an undo, and the entries that lead from messages to
// their customers, are dropped after thirty days, whatever restarts meanwhile.
func TestAliasEntriesExpire(t *testing.T) {
	s := newStory(t, 5)
	s.at(0, "Product Added", `{"product_id":"p1"}`, "anonymous:x")
	s.at(5, "page", "", "user:1", "anonymous:x")
	s.tick(100)
	s.tick(2 * 24 * 60)
	count := func() (entries, shipped int) {
		for p := range s.workers {
			s.snapshot(t, p)
			s.restart(t, p)
			s.workers[p].store.Range(func(id string, p *profiles.Profile) bool {
				entries++
				shipped += min(len(p.Shipped), 1)
				return true
			})
		}
		return entries, shipped
	}
	if n, shipped := count(); n != 4 || shipped != 1 {
		t.Errorf("%d entries, %d keep what they shipped", n, shipped)
	}
	s.tick(40 * 24 * 60)
	if n, shipped := count(); n != 2 || shipped != 0 {
		t.Errorf("after a month: %d entries, %d keep what they shipped", n, shipped)
	}
	s.is("anonymous:x", "user:1 anonymous:x")
}

func TestMergesAsAnybodyMayWriteThem(t *testing.T) {
	s := newStory(t, 1)
	for _, m := range []string{`{`, `{"from":"x","to":"user:1"}`, `{"from":"user:1","to":"anonymous:x"}`, `{"from":"anonymous:x","to":"user:1","profile":"AAAA"}`,
		`{"from":"anonymous:x","to":"user:1","hops":101}`} {
		s.append(0, streams.Record{Value: []byte(m), Headers: []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindMerge)}}})
	}
	s.run(t, s.r, false)
	if n := s.counts().DeadLetters[streams.ReasonInvalid]; n != 5 {
		t.Errorf("%d dead letters", n)
	}
}
