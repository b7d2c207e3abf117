package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/streams"
)

// TestEndToEnd is a day in the life of a shop, in half a minute, with the
// broker and the snapshots of the process itself.
func TestEndToEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	s := newTestShop(t, "")
	s.day()
	s.restarts()
	s.hook.once()
}

// Olena is the customer of all channels.
const olena = "user:42"

// day is what happens in the shop while one process runs.
func (s *testShop) day() {
	s.t.Helper()
	party := s.birthday()
	s.catalogue()
	s.login(party)
	s.channels()
	s.exits()
	s.consent()
	s.recommendations()
	s.badInput()
	s.until("the birthday's message", func() bool { return len(s.hook.of(olena, "party")) == 1 })
	s.settled()
}

// birthday adds a rule while the server runs, and returns the date that it
// soon starts for.
func (s *testShop) birthday() string {
	s.t.Helper()
	soon := time.Now().UTC().Add(10 * time.Second).Truncate(time.Minute).Add(time.Minute)
	write(s.t, filepath.Join(s.rules, "party.yaml"), fmt.Sprintf(`
triggers:
  party:
    start: {date: birthday, at: %q}
    steps: [{send: {template: party, channels: [webhook], data: {name: "profile.traits.name"}}}]
`, soon.Format("15:04")))
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	s.until("the new trigger", func() bool {
		return s.get("/v1/triggers", nil) == http.StatusOK && strings.Contains(s.last, `"name":"party"`)
	})
	return soon.Format("01-02")
}

// catalogue puts six items; p6 cannot be had.
func (s *testShop) catalogue() {
	s.t.Helper()
	s.must(http.MethodPut, "/v1/items", `[
		{"id":"p1","name":"Boots","price":90,"stock":5,"category":["Shoes"]},
		{"id":"p2","name":"Socks","price":10,"stock":50,"category":"Shoes/Socks"},
		{"id":"p3","name":"Coat","price":150,"stock":2,"brand":"North"},
		{"id":"p4","name":"Wax","price":20,"stock":9},
		{"id":"p5","name":"Hat","price":30},
		{"id":"p6","name":"Skis","price":400,"stock":0},
		{"id":"p7","price":-1}]`)
	if !strings.Contains(s.last, `"accepted":6`) || !strings.Contains(s.last, `"index":6`) {
		s.t.Error(s.last)
	}
	s.until("the catalogue", func() bool { return s.get("/v1/items/p6", nil) == http.StatusOK })
}

// login turns a visitor of the website into Olena, who was born on that date.
func (s *testShop) login(born string) {
	s.t.Helper()
	s.events(track("web", `"anonymousId":"a42"`, "Product Viewed", `"product_id":"p2"`))
	if p := s.knows("anonymous:a42", 1); p.Known {
		s.t.Errorf("a visitor is known: %s", s.last)
	}
	s.must(http.MethodPost, "/v1/identify", fmt.Sprintf(`{"userId":"42","anonymousId":"a42","context":{"channel":"web"},
		"traits":{"name":"Olena","email":" Olena@Example.com ","phone":"050 123 45 67","card":"7001","birthday":%q,"consents":{"email":true}}}`, born))
	for _, id := range []string{olena, "anonymous:a42", "email:olena@example.com", "email:OLENA@example.com", "phone:+380501234567", "phone:0501234567", "card:7001"} {
		s.until(id+" to be Olena", func() bool { return s.profile(id).ID == olena })
	}
	p := s.knows(olena, 2)
	if !p.Known || p.Traits["name"] != "Olena" || !p.Consents["email"] || len(p.Identifiers) != 5 {
		s.t.Errorf("%+v", p)
	}
}

// channels lets Olena look in the app, leave a cart on the web, pay it with her
// card at the till, and call.
func (s *testShop) channels() {
	s.t.Helper()
	s.events(track("app", `"userId":"42"`, "Product Viewed", `"product_id":"p3","price":150`))
	s.until("the message about what she looked at", func() bool { return len(s.hook.of(olena, "looked")) == 1 })
	if m := s.hook.of(olena, "looked")[0]; len(m.Data.Items) != 1 || m.Data.Items[0].ID != "p3" || m.Data.Items[0].Name != "Coat" {
		s.t.Errorf("%+v", m)
	}
	s.events(track("web", `"anonymousId":"a42"`, "Product Added", `"product_id":"p1","price":90,"quantity":2`))
	s.until("both messages about her cart", func() bool { return len(s.hook.of(olena, "left_cart_2")) == 1 })
	first := s.hook.of(olena, "left_cart")
	if len(first) != 1 || first[0].Channel != "email" || first[0].To != "olena@example.com" || first[0].Data.Cart.Total != 180 || first[0].Recommendations == nil {
		s.t.Errorf("%+v", first)
	}
	s.events(trackBy("pos", "card", "7001", "Order Completed", `"order_id":"o1","total":180,"currency":"UAH","products":[{"product_id":"p1","quantity":2,"price":90}]`))
	s.until("thanks", func() bool { return len(s.hook.of(olena, "thanks")) == 1 })
	if m := s.hook.of(olena, "thanks")[0]; m.Data.Order["id"] != "o1" || m.Data.Custom["total"] != 180.0 || m.Data.Custom["via"] != "pos" {
		s.t.Errorf("%+v", m.Data)
	}
	s.events(trackBy("call_center", "phone", "0501234567", "Customer Seen", ""))
	p := s.knows(olena, 6)
	if p.Orders.Count != 1 || p.Orders.Revenue != 180 || len(p.Cart.Items) != 0 || len(p.Channels) != 4 || p.Channels["web"].Events != 3 {
		s.t.Errorf("%+v", p)
	}
	s.timeline("Customer Seen", "Order Completed", "Product Added", "Product Viewed")
}

// timeline checks Olena's latest events, newest first, as her e-mail address
// finds them.
func (s *testShop) timeline(want ...string) {
	s.t.Helper()
	var answer struct {
		Events []struct{ Event, Channel string }
	}
	if s.get(fmt.Sprintf("/v1/profiles/email%%3Aolena%%40example.com/events?limit=%d", len(want)), &answer) != http.StatusOK {
		s.t.Fatal(s.last)
	}
	got := []string{}
	for _, e := range answer.Events {
		got = append(got, e.Event)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("timeline %q, want %q", got, want)
	}
}

// exits ends runs before they send: by an order, and by an emptied cart.
func (s *testShop) exits() {
	s.t.Helper()
	added := `"product_id":"p4","price":20`
	s.events(track("web", `"userId":"quick"`, "Product Added", added),
		track("pos", `"userId":"quick"`, "Order Completed", `"order_id":"o2","total":20,"products":[{"product_id":"p4","price":20}]`),
		track("web", `"userId":"fickle"`, "Product Added", added), track("web", `"userId":"fickle"`, "Product Removed", added))
	for _, reason := range []string{"exited", "condition"} {
		s.until("a send not made: "+reason, func() bool {
			return s.measures(fmt.Sprintf(`rapport_sends_skipped_total{reason=%q,step="1",trigger="left_cart"} 1`, reason))
		})
	}
}

// consent asks for news by SMS, which she has not allowed at first.
func (s *testShop) consent() {
	s.t.Helper()
	s.events(track("app", `"userId":"42"`, "News", ""))
	s.until("a send not made: no_consent", func() bool {
		return s.measures(`rapport_sends_skipped_total{reason="no_consent",step="0",trigger="news"} 1`)
	})
	s.must(http.MethodPost, "/v1/consents", `{"id":"phone:0501234567","consents":{"sms":true},"source":"call_center"}`)
	s.until("her consent", func() bool { return s.profile(olena).Consents["sms"] })
	s.events(track("app", `"userId":"42"`, "News", ""))
	s.until("news by SMS", func() bool { return len(s.hook.of(olena, "news")) == 1 })
	if m := s.hook.of(olena, "news")[0]; m.Channel != "sms" || m.To != "+380501234567" {
		s.t.Errorf("%+v", m)
	}
	s.knows(olena, 9)
}

// crowd lets some visitors look at the same items, one after the other.
func (s *testShop) crowd(name string, items ...string) {
	s.t.Helper()
	var calls []string
	for i := range 8 {
		for _, item := range items {
			calls = append(calls, track("web", fmt.Sprintf(`"anonymousId":"%s%d"`, name, i), "Product Viewed", fmt.Sprintf(`"product_id":%q`, item)))
		}
	}
	s.events(calls...)
}

// recommendations are learned from a crowd, and never of what is sold out.
func (s *testShop) recommendations() {
	s.t.Helper()
	s.crowd("visitor", "p1", "p2", "p4")
	s.until("what is viewed together", func() bool {
		got := s.recommend("placement=beside&items=p1&anonymous_id=new")
		return got["p2"] == "viewed_together" && got["p4"] == "viewed_together"
	})
	if got := s.recommend("placement=beside&items=p1&filter=" + "item.price%20%3C%2015.0"); got["p2"] == "" || got["p4"] != "" {
		s.t.Errorf("filtered: %v", got)
	}
	s.must(http.MethodPut, "/v1/items", `[{"id":"p2","name":"Socks","price":10,"stock":0}]`)
	s.until("the sold-out item to disappear", func() bool {
		got := s.recommend("placement=beside&items=p1")
		return got["p2"] == "" && got["p4"] == "viewed_together"
	})
	if got := s.recommend("placement=home&limit=100&id=" + olena); got["p6"] != "" || len(got) == 0 {
		s.t.Errorf("home: %v", got)
	}
}

// badInput is refused or kept as dead letters; what is good is taken.
func (s *testShop) badInput() {
	s.t.Helper()
	nobody := `{"type":"track","event":"Product Viewed"}`
	negative := track("web", `"userId":"7"`, "Product Added", `"product_id":"p1","quantity":-1`)
	s.events(nobody, negative, track("web", `"userId":"7"`, "Product Viewed", `"product_id":"p1"`))
	s.knows("user:7", 1)
	s.until("the dead letters", func() bool {
		return s.get("/v1/deadletters", nil) == http.StatusOK && strings.Contains(s.last, "quantity") && strings.Contains(s.last, "userId")
	})
	if status := s.call(http.MethodPost, "/v1/track", nobody, nil); status != http.StatusBadRequest {
		s.t.Error(s.last)
	}
	if status := s.call(http.MethodPost, "/v1/batch?strict=true", `{"batch":[`+nobody+`]}`, nil); status != http.StatusBadRequest {
		s.t.Error(s.last)
	}
}

// settled waits until all that was sent is known to be, in Olena's profile and
// in the list.
func (s *testShop) settled() {
	s.t.Helper()
	s.until("the statuses", func() bool {
		var answer struct{ Messages []streams.Message }
		if s.get("/v1/messages?profile="+olena, &answer) != http.StatusOK || len(answer.Messages) != 6 {
			return false
		}
		return !slices.ContainsFunc(answer.Messages, func(m streams.Message) bool { return m.Status != "sent" })
	})
	p := s.profile(olena)
	triggers := []string{}
	for _, m := range p.Messages {
		triggers = append(triggers, m.Trigger)
		if m.Status != "sent" {
			s.t.Errorf("%+v", m)
		}
	}
	slices.Sort(triggers)
	if want := []string{"left_cart", "left_cart", "looked", "news", "party", "thanks"}; !slices.Equal(triggers, want) {
		s.t.Errorf("messages of %q, want %q", triggers, want)
	}
	if !s.measures(`rapport_messages_total{trigger="left_cart"} 2`) {
		s.t.Error("the messages are not counted")
	}
}

// restarts stops the process, and kills it while runs wait: what was
// acknowledged stays, and nothing is sent twice.
func (s *testShop) restarts() {
	s.t.Helper()
	before := s.profile(olena)
	s.stop()
	s.begin()
	if diff := cmp.Diff(before, s.profile(olena)); diff != "" {
		s.t.Errorf("stopped and started (-before +after):\n%s", diff)
	}
	if got := s.recommend("placement=beside&items=p1"); got["p4"] != "viewed_together" {
		s.t.Errorf("after a stop the recommender answers %v", got)
	}
	s.crowd("late", "p3", "p5")
	s.leaveCarts("killed", 8)
	s.kill()
	s.begin()
	s.remembers("killed", 8)
	s.until("both lessons", func() bool {
		return s.recommend("placement=beside&items=p3")["p5"] == "viewed_together" && s.recommend("placement=beside&items=p1")["p4"] == "viewed_together"
	})
	if diff := cmp.Diff(before, s.profile(olena)); diff != "" {
		s.t.Errorf("killed and started (-before +after):\n%s", diff)
	}
}

// leaveCarts lets n customers put something into their carts.
func (s *testShop) leaveCarts(name string, n int) {
	s.t.Helper()
	calls := []string{}
	for i := range n {
		calls = append(calls, track("web", fmt.Sprintf(`"userId":"%s%d"`, name, i), "Product Added", `"product_id":"p5","price":30`))
	}
	s.events(calls...)
}

// remembers waits until the customers of leaveCarts have been told of their
// carts, and are known.
func (s *testShop) remembers(name string, n int) {
	s.t.Helper()
	for i := range n {
		id := fmt.Sprintf("user:%s%d", name, i)
		s.until("both messages of "+id, func() bool {
			return len(s.hook.of(id, "left_cart")) > 0 && len(s.hook.of(id, "left_cart_2")) > 0
		})
		if p := s.knows(id, 1); len(p.Cart.Items) != 1 || p.Cart.Total != 30 {
			s.t.Errorf("%s: %+v", id, p.Cart)
		}
	}
}
