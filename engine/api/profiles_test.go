package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// shopper is a profile that two events made.
func shopper(t *testing.T, s *site) *profiles.Profile {
	t.Helper()
	settings := profiles.DefaultSettings()
	p := &profiles.Profile{Id: "user:42", Identifiers: []string{"user:42"}}
	at := s.engine.Now() - 3_600_000
	for i, body := range []string{
		`{"type":"identify","messageId":"m1","userId":"42","traits":{"name":"Ann","consents":{"email":true,"sms":false}},"context":{"channel":"web","locale":"uk-UA","timezone":"Europe/Kyiv"}}`,
		`{"type":"track","messageId":"m2","userId":"42","event":"Product Viewed","context":{"channel":"app"},"properties":{"product_id":"119736","price":450,"category":"Shoes","brand":"b"}}`,
		`{"type":"track","messageId":"m3","userId":"42","event":"Product Added","context":{"channel":"web"},"properties":{"product_id":"119736","price":450,"quantity":2}}`,
		`{"type":"track","messageId":"m4","userId":"42","event":"Order Completed","context":{"channel":"pos"},"properties":{"order_id":"o1","total":900,"currency":"UAH","products":[{"product_id":"7","price":900}]}}`,
	} {
		rec := streams.Record{Value: []byte(body), Time: at + int64(i)*1000}
		var e streams.Event
		if err := s.server.opts.Decoder.Decode(&rec, &e); err != nil {
			t.Fatal(err)
		}
		settings.Apply(p, &e, rec.Time, nil2)
	}
	p.Runs = append(p.Runs, &profiles.Run{Trigger: "abandoned_cart", IdleMs: 1_800_000, StepAt: at})
	p.Messages = append(p.Messages, &profiles.SentMessage{Id: "x.1.ab", Trigger: "x", Channel: "email", At: at, Status: "opened"})
	p.Suppressed = append(p.Suppressed, &profiles.Suppression{Channel: "email", Reason: "hard_bounce"})
	s.engine.profiles["user:42"] = p
	s.engine.profiles["card:7001"] = &profiles.Profile{Id: "card:7001", AliasOf: "user:42"}
	return p
}

func nil2(string) *streams.Item { return nil }

func TestProfileShowsEverything(t *testing.T) {
	s := start(t, Options{})
	p := shopper(t, s)
	r := s.get("/v1/profiles/user:42").want(t, 200, "")
	if r.header.Get("Cache-Control") != "no-store" {
		t.Error("may be stored by caches")
	}
	var v profileView
	r.decode(t, &v)
	due := time.UnixMilli(p.LastAt + 1_800_000).UTC().Format(time.RFC3339)
	switch {
	case v.ID != "user:42" || !v.Known || v.Locale != "uk-UA" || v.Timezone != "Europe/Kyiv":
		t.Errorf("who: %s", r.body)
	case !v.Consents["email"] || v.Consents["sms"] || v.Suppressed["email"] != "hard_bounce":
		t.Errorf("consents: %s", r.body)
	case len(v.Channels) != 3 || v.Channels["web"].Events != 2 || v.Channels["pos"].LastAt != "2023-11-14T21:13:23Z":
		t.Errorf("channels: %s", r.body)
	case len(v.Cart.Items) != 1 || v.Cart.Total != 900 || v.Cart.Items[0].Quantity != 2 || v.Cart.Items[0].AddedAt == "" || v.Cart.Items[0].Channel != "web":
		t.Errorf("cart: %s", r.body)
	case len(v.Viewed) != 1 || v.Viewed[0].ID != "119736" || v.Viewed[0].Channel != "app" || v.Viewed[0].Price != nil:
		t.Errorf("viewed: %s", r.body)
	case v.Orders.Count != 1 || v.Orders.Revenue != 900 || v.Orders.Recent[0].Products[0].ID != "7":
		t.Errorf("orders: %s", r.body)
	case v.Affinities.Category["Shoes"] == 0:
		t.Errorf("affinities: %s", r.body)
	case v.Runs[0].DueAt != due || v.Messages[0].Status != "opened" || v.Events != 4 || v.LastAt == "":
		t.Errorf("runs, messages: %s", r.body)
	}
	for _, name := range profileFields {
		if name != "claimed" && !strings.Contains(string(r.body), `"`+name+`":`) {
			t.Errorf("no %s in %s", name, r.body)
		}
	}
	if strings.Contains(string(r.body), "null") {
		t.Errorf("null in %s", r.body)
	}
}

func TestProfileOfAnEmptyCustomerHasNoNulls(t *testing.T) {
	s := start(t, Options{})
	s.engine.profiles["anonymous:a"] = &profiles.Profile{Id: "anonymous:a", Identifiers: []string{"anonymous:a"}}
	if r := s.get("/v1/profiles/anonymous:a").want(t, 200, `"known":false`); strings.Contains(string(r.body), "null") {
		t.Errorf("null in %s", r.body)
	}
}

func TestProfilesAreFoundByAnyIdentifier(t *testing.T) {
	s := start(t, Options{Decoder: &streams.Decoder{Region: "UA"}})
	shopper(t, s)
	s.engine.profiles["phone:+380501234567"] = &profiles.Profile{Id: "phone:+380501234567", AliasOf: "user:42"}
	s.engine.profiles["sku:a/b c"] = &profiles.Profile{Id: "sku:a/b c"}
	for _, id := range []string{"card:7001", "phone:0501234567", "phone:%2B380501234567", "phone:+380501234567", "user:%34%32"} {
		s.get("/v1/profiles/"+id).want(t, 200, `"id":"user:42"`)
	}
	s.get("/v1/profiles/sku:a%2Fb%20c").want(t, 200, `"id":"sku:a/b c"`)
	s.get("/v1/profiles/user:%2534").want(t, 404, "user:%34")
	s.get("/v1/profiles/nobody").want(t, 400, "type:value")
	s.engine.fail = ErrUnavailable
	s.get("/v1/profiles/user:42").want(t, 503, "again")
}

func TestFieldsAndItemsOfAProfile(t *testing.T) {
	s := start(t, Options{})
	shopper(t, s)
	s.engine.items["119736"] = &streams.Item{ID: "119736", Name: "Run", URL: "u", ImageURL: "i", Price: 400}
	var v map[string]json.RawMessage
	s.get("/v1/profiles/user:42?fields=cart,viewed&items=true").want(t, 200, `"name":"Run","url":"u","image_url":"i"`).decode(t, &v)
	if len(v) != 3 || v["id"] == nil || !strings.Contains(string(v["viewed"]), `"price":400`) {
		t.Errorf("answered %s", v)
	}
	s.get("/v1/profiles/user:42?fields=carts").want(t, 400, "wishlist")
	s.get("/v1/profiles/user:42?items=2").want(t, 400, "items")
}

func TestTimelineInPages(t *testing.T) {
	s := start(t, Options{})
	shopper(t, s)
	var page timelineAnswer
	s.get("/v1/profiles/card:7001/events?limit=3").want(t, 200, "").decode(t, &page)
	if len(page.Events) != 3 || page.Events[0].MessageID != "m4" || page.Events[0].Value != 900 || page.Events[0].Items[0] != "7" ||
		page.Events[0].Event != "Order Completed" || page.Events[0].Type != "track" || page.Next != "m2" {
		t.Fatalf("answered %+v", page)
	}
	page = timelineAnswer{}
	s.get("/v1/profiles/card:7001/events?before=m2").want(t, 200, "").decode(t, &page)
	if len(page.Events) != 1 || page.Events[0].Type != "identify" || page.Next != "" {
		t.Errorf("answered %+v", page)
	}
	s.get("/v1/profiles/card:7001/events?before=2023-11-14T21:13:21Z").want(t, 200, `{"events":[{"messageId":"m1",`)
	s.get("/v1/profiles/card:7001/events?before=gone").want(t, 200, `{"events":[]}`)
	s.get("/v1/profiles/user:1/events").want(t, 404, "user:1")
	s.get("/v1/profiles/user:42/events?limit=x").want(t, 400, "limit")
}

func TestConsentsBecomeIdentifyCalls(t *testing.T) {
	s := start(t, Options{})
	for id, want := range map[string]string{"user:42": "user:42", "anonymous:a": "anonymous:a", "email:A@B.c": "email:a@b.c", "card:7": "card:7"} {
		s.engine.records = nil
		s.post("/v1/consents", `{"id":"`+id+`","consents":{"sms":false},"source":"call_center"}`).want(t, 200, `{"success":true}`)
		var e streams.Event
		if err := s.server.opts.Decoder.Decode(&s.engine.records[0], &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind != streams.Identify || e.Identifiers[0].String() != want || string(s.engine.records[0].Key) != want ||
			e.Channel != "call_center" || string(e.Traits) != `{"consents":{"sms":false}}` || e.MessageID == "" {
			t.Errorf("%s: logged %s", id, s.engine.records[0].Value)
		}
	}
	for body, want := range map[string]string{
		"": "call_center", "[]": "call_center", `{"id":"42","consents":{"sms":true}}`: "type:value", `{"id":"user:42"}`: "consents",
		`{"id":"user:42","consents":{"sms":"no"}}`: "consents", `{"id":"user:42","consents":{"":true}}`: "channel",
	} {
		s.post("/v1/consents", body).want(t, 400, want)
	}
	s.engine.fail = ErrUnavailable
	s.post("/v1/consents", `{"id":"user:42","consents":{"sms":true}}`).want(t, 503, "again")
}

func TestMessagesAreAskedForByCustomer(t *testing.T) {
	s := start(t, Options{})
	shopper(t, s)
	s.get("/v1/messages").want(t, 200, `{"messages":[],"next":"17"}`)
	s.engine.messages = []streams.Message{{ID: "x.1.ab", Status: "skipped", Reason: "expired"}}
	s.get("/v1/messages?profile=card:7001&trigger=x&limit=5&after=17").want(t, 200, `"reason":"expired"`)
	if q := s.engine.queries[1]; q != (MessageQuery{Profile: "user:42", Trigger: "x", Limit: 5, After: "17"}) {
		t.Errorf("asked %+v", q)
	}
	s.get("/v1/messages?profile=user:9").want(t, 200, "messages")
	if q := s.engine.queries[2]; q.Profile != "user:9" || q.Limit != 100 {
		t.Errorf("asked %+v", q)
	}
	s.get("/v1/messages?profile=x").want(t, 400, "type:value")
	s.get("/v1/messages?limit=1001").want(t, 400, "1000")
}

func TestAgeIsToldWhileTheStoreIsAway(t *testing.T) {
	s := start(t, Options{})
	shopper(t, s)
	for _, age := range []struct {
		of     time.Duration
		header string
	}{{0, ""}, {time.Millisecond, "1"}, {1001 * time.Millisecond, "2"}, {time.Minute, "60"}} {
		s.engine.age = age.of
		for _, path := range []string{"/v1/profiles/user:42", "/v1/profiles/user:42/events", "/v1/recommend?id=user:42", "/v1/profiles/user:42/decisions"} {
			if got := s.get(path).want(t, 200, "").header.Get(ageHeader); got != age.header {
				t.Errorf("%s: %s: %q after %v, want %q", path, ageHeader, got, age.of, age.header)
			}
		}
	}
}
