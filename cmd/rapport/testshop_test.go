package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testShop is a retailer whose channels talk to one `rapport serve`, and its
// receiver of messages.
type testShop struct {
	*child
	hook  *receiver
	rules string // their directory
	last  string // the last answer, for failures
}

// newTestShop writes the configuration and the rules and starts the server.
// more goes into the configuration.
func newTestShop(t *testing.T, more string) *testShop {
	t.Helper()
	s := &testShop{hook: newReceiver(t), child: newChild(t)}
	dir := filepath.Dir(s.dir)
	s.rules = filepath.Join(dir, "rules")
	s.args = []string{"--config", filepath.Join(dir, "shop.yaml")}
	write(t, filepath.Join(s.rules, "shop.yaml"), shopRules)
	write(t, filepath.Join(dir, "shop.yaml"), fmt.Sprintf(`
partitions: 4
timezone: UTC
snapshot_interval: 0.5s
rules: %s
sinks: {webhook: {url: %q, secret: %s, channels: [webhook, email, sms]}}
%s`, s.rules, s.hook.server.URL, receiverSecret, more))
	s.begin()
	return s
}

// shopRules are rules whose waits are short.
const shopRules = `
triggers:
  left_cart:
    start: {event: [Product Added, Product Removed, Cart Updated], if: "size(profile.cart.items) > 0"}
    restart: true
    while: "size(profile.cart.items) > 0"
    exit: [{event: Order Completed}]
    steps:
      - wait: {idle: 1s}
      - send: {template: left_cart, channels: [email, webhook], items: cart,
               if: "profile.cart.items.exists(i, catalog(i.id).available)",
               recommend: {placement: beside, limit: 2}}
      - wait: 1s
      - send: {template: left_cart_2, channels: [webhook], items: cart}
    reentry: 1s
  looked:
    start: {event: Product Viewed, channel: [app], if: "item.available && item.price >= 100.0 && profile.known"}
    restart: true
    while: "size(profile.cart.items) == 0"
    exit: [{event: [Product Added, Order Completed]}]
    steps:
      - wait: {idle: 1s}
      - send: {template: looked, channels: [webhook], items: event, if: "item.available"}
  thanks:
    start: {event: Order Completed, channel: [pos], key: order_id, if: "number(event.properties.total) >= 100.0 && profile.orders.count == 1"}
    steps:
      - wait: 1s
      - send: {template: thanks, channels: [webhook], items: order, data: {total: "order.total", via: "event.channel"}}
  news:
    start: {event: News}
    steps: [{send: {template: news, channels: [sms]}}]
    reentry: 1s
placements:
  home:   {strategies: [viewed_together, trending], filter: "item.available"}
  beside: {strategies: [viewed_together, trending], exclude: [cart]}
`

// begin starts the server and waits until it is ready.
func (s *testShop) begin() {
	s.t.Helper()
	s.start()
	s.until("ready", func() bool { return s.ready() != nil })
}

// readyAnswer is what /readyz tells.
type readyAnswer struct {
	Ready  bool
	Detail struct {
		Partitions, Total int
		Live              bool
	}
}

// ready is nil until the server is.
func (s *testShop) ready() *readyAnswer {
	var r readyAnswer
	if s.get("/readyz", &r) != http.StatusOK || !r.Ready {
		return nil
	}
	return &r
}

// until asks until the answer is good.
func (s *testShop) until(what string, good func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 90*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !good() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.t.Fatalf("waited in vain for: %s; last answer:\n%.2000s\nthe server said:\n%s", what, s.last, s.said.String())
		}
	}
}

// call sends a request and reads the answer's JSON into v, unless it is nil.
func (s *testShop) call(method, path, body string, v any) int {
	s.t.Helper()
	status, answer, err := s.do(method, path, http.Header{"Content-Type": {"application/json"}}, []byte(body))
	s.last = fmt.Sprintf("%s %s: %d %s", method, path, status, answer)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", method, path, err, s.said.String())
	}
	if v != nil && status == http.StatusOK {
		if err := json.Unmarshal(answer, v); err != nil {
			s.t.Fatalf("%s: %v", s.last, err)
		}
	}
	return status
}

func (s *testShop) get(path string, v any) int {
	s.t.Helper()
	return s.call(http.MethodGet, path, "", v)
}

// must sends a body that is to be answered 200.
func (s *testShop) must(method, path, body string) {
	s.t.Helper()
	if s.call(method, path, body, nil) != http.StatusOK {
		s.t.Fatal(s.last)
	}
}

// events sends calls as one batch.
func (s *testShop) events(calls ...string) {
	s.t.Helper()
	s.must(http.MethodPost, "/v1/batch", `{"batch":[`+strings.Join(calls, ",")+`]}`)
}

// track is a call of a customer in a channel. who are members of the call,
// what the event's properties.
func track(channel, who, name, what string) string {
	return fmt.Sprintf(`{"type":"track","event":%q,%s,"context":{"channel":%q},"properties":{%s}}`, name, who, channel, what)
}

// trackBy is track of a customer who is known by another identifier.
func trackBy(channel, kind, id, name, what string) string {
	return fmt.Sprintf(`{"type":"track","event":%q,"context":{"channel":%q,"externalIds":[{"type":%q,"id":%q}]},"properties":{%s}}`,
		name, channel, kind, id, what)
}

// shopProfile is what the test compares of a profile.
type shopProfile struct {
	ID          string
	Identifiers []string
	Known       bool
	Traits      map[string]any
	Consents    map[string]bool
	Channels    map[string]struct{ Events int }
	Cart        struct {
		Items []struct {
			ID       string
			Quantity int
		}
		Total float64
	}
	Viewed []struct{ ID string }
	Orders struct {
		Count   int
		Revenue float64
		Recent  []struct{ ID, Status, Channel string }
	}
	Messages []struct{ ID, Trigger, Channel, Status string }
	Events   int
}

// profile asks for a customer; the zero profile where nobody is known.
func (s *testShop) profile(id string) (p shopProfile) {
	s.t.Helper()
	if status := s.get("/v1/profiles/"+url.QueryEscape(id), &p); status != http.StatusOK && status != http.StatusNotFound {
		s.t.Fatal(s.last)
	}
	return p
}

// knows waits until a customer has so many events.
func (s *testShop) knows(id string, events int) (p shopProfile) {
	s.t.Helper()
	s.until(fmt.Sprintf("%d events of %s", events, id), func() bool {
		p = s.profile(id)
		return p.Events >= events
	})
	if p.Events != events {
		s.t.Errorf("%s has %d events, want %d", id, p.Events, events)
	}
	return p
}

// recommend returns the reasons of what is recommended, by item.
func (s *testShop) recommend(query string) map[string]string {
	s.t.Helper()
	var answer struct {
		ID    string
		Items []struct{ ID, Reason string }
	}
	if s.get("/v1/recommend?"+query, &answer) != http.StatusOK || answer.ID == "" {
		s.t.Fatal(s.last)
	}
	reasons := map[string]string{}
	for _, item := range answer.Items {
		reasons[item.ID] = item.Reason
	}
	return reasons
}

// measures reports whether the metrics have a line that begins so.
func (s *testShop) measures(line string) bool {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.metrics, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if closing := resp.Body.Close(); err != nil || closing != nil {
		s.t.Fatal(err, closing)
	}
	s.last = string(body)
	return strings.Contains("\n"+s.last, "\n"+line)
}
