package streams

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIdentifiersOfEvents(t *testing.T) {
	for _, c := range []struct{ name, in, want, previous string }{
		{"both", `"userId":"42","anonymousId":"a"`, "[user:42 anonymous:a]", ""},
		{"number", `"userId":42`, "[user:42]", ""},
		{"trimmed", `"userId":" 42 "`, "[user:42]", ""},
		{"external", `"context":{"externalIds":[{"type":"viber","id":7},{"type":"card","id":"7001","collection":"x"}]}`, "[card:7001 viber:7]", ""},
		{"traits", `"traits":{"email":" A@B.C ","phone":"050 123-45-67","card":7001}`, "[card:7001 phone:+380501234567 email:a@b.c]", ""},
		{"context.traits", `"context":{"traits":{"email":"a@b.c"}}`, "[email:a@b.c]", ""},
		{"both traits", `"traits":{"email":"a@b.c"},"context":{"traits":{"email":"A@B.C","card":"1"}}`, "[card:1 email:a@b.c]", ""},
		{"bad phone and e-mail pass", `"userId":"1","traits":{"email":"none","phone":"12"}`, "[user:1]", ""},
		{"wrong types pass", `"userId":"1","traits":{"email":{},"phone":[1]}`, "[user:1]", ""},
		{"null", `"userId":null,"anonymousId":"a","traits":null,"context":null`, "[anonymous:a]", ""},
		{"escapes", `"userId":"\u0041\n\"","anonymousId":"a"`, "", ""},
		{"alias of a visitor", `"type":"alias","userId":"1","previousId":"a"`, "[user:1 anonymous:a]", "anonymous:a"},
		{"alias of a card", `"type":"alias","userId":"1","previousId":"card:7001"`, "[user:1 card:7001]", "card:7001"},
		{"alias with a colon", `"type":"alias","userId":"1","previousId":"x:7001"`, "[user:1 anonymous:x:7001]", "anonymous:x:7001"},
		{"userId with a colon", `"userId":"card:7001"`, "[user:card:7001]", ""},
		{"group traits name no customer", `"type":"group","userId":"1","traits":{"email":"office@b.c"}`, "[user:1]", ""},
		{"feedback by message", `"type":"track","event":"Email Opened","properties":{"message_id":"m.1"}`, "[message:m.1]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := c.in
			if !strings.Contains(in, `"type":"`) || strings.Contains(in, "externalIds") {
				in = `"type":"identify",` + in
			}
			e, err := decode(t, "{"+in+"}")
			if c.want == "" {
				if err == nil {
					t.Fatalf("got %v, want an error", e.Identifiers)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			previous := ""
			if !e.Previous.IsZero() {
				previous = e.Previous.String()
			}
			if got := fmt.Sprint(e.Identifiers); got != c.want || previous != c.previous {
				t.Errorf("got %s, previous %q", got, previous)
			}
		})
	}
}

func TestParseIdentifier(t *testing.T) {
	d := &Decoder{Region: "UA"}
	for in, want := range map[string]string{
		"user:42": "user:42", "user:a:b": "user:a:b", "email: A@B.C": "email:a@b.c", "card: 7 ": "card:7",
		"phone:0501234567": "phone:+380501234567", "phone:+380501234567": "phone:+380501234567",
		"phone:+1 650 253 0000": "phone:+16502530000", "viber:x": "viber:x",
		"42": "", "": "", ":": "", "user:": "", "User:1": "", "phone:12": "", "phone:": "", "email:x": "", "email:@": "",
		"user:\x00": "", "9a:1": "", "user:\xff": "", "user:" + strings.Repeat("x", 257): "", strings.Repeat("x", 33) + ":1": "",
	} {
		id, err := d.ParseIdentifier(in)
		if want == "" {
			if err == nil {
				t.Errorf("%q: read as %s", in, id)
			}
		} else if err != nil || id.String() != want {
			t.Errorf("%q: got %s, %v", in, id, err)
		}
	}
	if id, err := (&Decoder{}).ParseIdentifier("phone:0501234567"); err == nil {
		t.Errorf("without a region a local number was read as %s", id)
	}
}

func TestTimes(t *testing.T) {
	const ts = `"timestamp":"2015-06-02T05:30:00Z"` // 136 s before logged
	history := Header{HeaderClock, []byte("history:1433223000000")}
	for _, c := range []struct {
		name, in   string
		headers    []Header
		at, logged int64
	}{
		{"absent", ``, nil, logged, logged},
		{"null", `"timestamp":null,"sentAt":null`, nil, logged, logged},
		{"RFC 3339", ts, nil, logged - 136000, logged},
		{"with an offset", `"timestamp":"2015-06-02T08:30:00.5+03:00"`, nil, logged - 135500, logged},
		{"ms", `"timestamp":1433223000000`, nil, logged - 136000, logged},
		{"ms as text", `"timestamp":"1433223000000"`, nil, logged - 136000, logged},
		{"original", `"originalTimestamp":"2015-06-02T05:30:00Z"`, nil, logged - 136000, logged},
		{"both", ts + `,"originalTimestamp":"2014-06-02T05:30:00Z"`, nil, logged - 136000, logged},
		{"corrected", ts + `,"sentAt":"2015-06-02T05:30:10Z"`, nil, logged - 10000, logged},
		{"clock ahead, corrected", `"timestamp":"2016-06-02T05:30:00Z","sentAt":"2016-06-02T05:30:10Z"`, nil, logged - 10000, logged},
		{"a little ahead", `"timestamp":1433223436000`, nil, logged + MaxAhead, logged},
		{"too far ahead", `"timestamp":1433223436001`, nil, logged, logged},
		{"year 9999", `"timestamp":"9999-12-31T23:59:59Z"`, nil, logged, logged},
		{"a million years on", `"timestamp":31557600000000000`, nil, logged, logged},
		{"beyond all numbers", `"timestamp":1e400`, nil, logged, logged},
		{"1970", `"timestamp":0`, nil, 0, logged},
		{"history", ts + `,"sentAt":"2015-06-02T05:31:00Z"`, []Header{history}, logged - 136000, logged - 136000},
		{"live clock", ts, []Header{{HeaderClock, []byte("live")}}, logged - 136000, logged},
		{"forward", ts + `,"messageId":"x"`, []Header{history, FirstHeader(&Event{LoggedAt: 5, At: 4, MessageID: "m n"})}, 4, 5},
		{"garbage in headers", ts, []Header{{HeaderClock, []byte("history:x")}, {HeaderFirst, []byte("1 2")}}, logged - 136000, logged},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := `{"type":"page","userId":"1"`
			if c.in != "" {
				in += "," + c.in
			}
			e, err := decode(t, in+"}", c.headers...)
			if err != nil || e.At != c.at || e.LoggedAt != c.logged {
				t.Errorf("got %d, %d, %v, want %d, %d", e.At, e.LoggedAt, err, c.at, c.logged)
			}
			id := "kafka:3:7"
			if c.name == "forward" {
				id = "m n"
			}
			if e.MessageID != id {
				t.Errorf("got id %q, want %q", e.MessageID, id)
			}
		})
	}
}

func TestChannels(t *testing.T) {
	for in, want := range map[string]string{
		`{"channel":"pos"}`: "pos", `{"channel":" pos "}`: "pos", `{}`: "other", `{"channel":""}`: "other",
		`{"page":{"url":"x"}}`: "web", `{"page":null}`: "other", `{"page":"x"}`: "web",
		`{"library":{"name":"analytics.js"}}`: "web", `{"library":{"name":"@segment/analytics-node"}}`: "other",
		`{"device":{"type":"ios"}}`: "app", `{"device":{"type":"Android","token":"t"}}`: "app",
		`{"os":{"name":"iOS"}}`: "app", `{"os":{"name":"iOS"},"page":{}}`: "web", `{"os":{"name":"Windows"}}`: "other",
		`{"device":"phone","os":7,"library":[],"page":{}}`: "web",
	} {
		e, err := decode(t, `{"type":"page","userId":"1","context":`+in+`}`)
		if err != nil || e.Channel != want {
			t.Errorf("%s: got %q, %v, want %q", in, e.Channel, err, want)
		}
	}
	if e, err := decode(t, `{"type":"screen","userId":"1"}`); err != nil || e.Channel != "app" {
		t.Errorf("screen: got %q, %v", e.Channel, err)
	}
}

func TestProperties(t *testing.T) {
	for _, c := range []struct {
		name, event, in string
		want            Event
	}{
		{"lenient", "Order Completed", `"order_id":17,"total":"12.50","products":[{"product_id":5,"quantity":"2","price":"6.25"},{"sku":"b","quantity":0.4}]`,
			Event{OrderID: "17", Total: 12.5, HasTotal: true, Products: []Line{
				{ID: "5", Quantity: 2, HasQuantity: true, Price: 6.25}, {ID: "b", Quantity: 1, HasQuantity: true}}}},
		{"revenue", "Completed Order", `"revenue":-3,"currency":"uah","coupon":"X"`,
			Event{Total: -3, HasTotal: true, Currency: "UAH", Coupon: "X"}},
		{"total over revenue", "Order Completed", `"revenue":3,"total":0`, Event{HasTotal: true}},
		{"empty cart", "Cart Updated", `"products":[],"cart_id":"c","cart_url":"u"`, Event{Products: []Line{}, CartID: "c", CartURL: "u"}},
		{"null products", "Cart Updated", `"products":null`, Event{}},
		{"category lists", "Product Viewed", `"sku":"s","category":[" Shoes ","Running",""]`,
			Event{Product: Line{ID: "s", Category: []string{"Shoes", "Running"}, Quantity: 1}}},
		{"odd information passes", "Product Viewed", `"product_id":"p","name":{},"brand":7,"category":{"a":1},"url":true`,
			Event{Product: Line{ID: "p", Brand: "7", Quantity: 1}}},
		{"search", "Products Searched", `"query":" shoes "`, Event{Query: "shoes", Place: "shoes"}},
		{"list", "Product List Viewed", `"list_id":"rec_1","position":"3"`, Event{RecommendationID: "rec_1", Place: "rec_1", Position: 3}},
		{"category's page", "Product List Filtered", `"list_id":"l","category":"Shoes/Boots"`, Event{Place: "Shoes/Boots"}},
		{"clicked", "Product Clicked", `"recommendation_id":"rec_1","message_id":"m"`, Event{RecommendationID: "rec_1", MessageRef: "m"}},
		{"recommended lines", "Order Completed", `"products":[{"product_id":"a","recommendation_id":"rec_1","position":2},{"product_id":"b","position":"x"}]`,
			Event{Products: []Line{{ID: "a", Quantity: 1, RecommendationID: "rec_1", Position: 2}, {ID: "b", Quantity: 1}}}},
		{"GA4 view", "view_item", `"items":[{"item_id":7,"item_name":"N","item_brand":"B","item_category":"A","item_category2":"C","price":5}]`,
			Event{Product: Line{ID: "7", Name: "N", Brand: "B", Category: []string{"A", "C"}, Quantity: 1, Price: 5},
				Products: []Line{{ID: "7", Name: "N", Brand: "B", Category: []string{"A", "C"}, Quantity: 1, Price: 5}}}},
		{"GA4 purchase", "purchase", `"transaction_id":"t","value":9,"currency":"EUR","items":[{"item_id":"1","quantity":2}]`,
			Event{OrderID: "t", Total: 9, HasTotal: true, Currency: "EUR", Product: Line{ID: "1", Quantity: 2, HasQuantity: true},
				Products: []Line{{ID: "1", Quantity: 2, HasQuantity: true}}}},
		{"GA4 search", "search", `"search_term":"x"`, Event{Query: "x", Place: "x"}},
		{"items of others", "Poll Answered", `"items":[1,2]`, Event{}},
		{"items as a number", "Poll Answered", `"items":3,"value":"good"`, Event{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := decode(t, `{"type":"track","event":"`+c.event+`","userId":"1","properties":{`+c.in+`}}`)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Kind, c.want.Name, c.want.Channel, c.want.MessageID = Track, CanonicalName(c.event), "other", "kafka:3:7"
			c.want.At, c.want.LoggedAt, c.want.Identifiers = logged, logged, []Identifier{{"user", "1"}}
			c.want.Properties, c.want.Raw = e.Properties, e.Raw
			if diff := cmp.Diff(&c.want, e, emptySlices()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// emptySlices lets empty categories and claims be nil or not, but not Products.
func emptySlices() cmp.Option {
	return cmp.FilterPath(func(p cmp.Path) bool {
		return strings.HasSuffix(p.String(), "Category") || strings.HasSuffix(p.String(), "Claimed")
	}, cmp.Comparer(func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }))
}

func TestTraits(t *testing.T) {
	for in, want := range map[string]string{
		`"type":"identify"`:                                                           ``,
		`"type":"identify","traits":{"b":1}`:                                          `{"b":1}`,
		`"type":"track","event":"X","context":{"traits":{ "a": 1 }}`:                  `{ "a": 1 }`,
		`"type":"identify","traits":{"b":1,"c":2},"context":{"traits":{"a":1,"b":0}}`: `{"a":1,"b":1,"c":2}`,
		`"type":"group","traits":{"b":1},"context":{"traits":{"a":1}}`:                `{"a":1}`,
		`"type":"group","traits":{"b":1}`:                                             ``,
	} {
		e, err := decode(t, `{"userId":"1",`+in+`}`)
		if err != nil || string(e.Traits) != want {
			t.Errorf("%s: got %s, %v", in, e.Traits, err)
		}
		if m, err := e.TraitsMap(); err != nil || (m == nil) != (want == "") {
			t.Errorf("%s: got %v, %v", in, m, err)
		}
	}
}

func TestPlaceOfPages(t *testing.T) {
	for in, want := range map[string]string{
		`"type":"page","context":{"page":{"path":" /shoes/ ","url":"u"}}`:           "/shoes/",
		`"type":"page","context":{"page":{"path":7}}`:                               "7",
		`"type":"page","context":{"page":{"path":{}}}`:                              "",
		`"type":"page","properties":{"path":"/x"}`:                                  "",
		`"type":"track","event":"X","context":{"page":{"path":"/shoes"}}`:           "",
		`"type":"track","event":"Product List Viewed","properties":{"category":""}`: "",
	} {
		if e, err := decode(t, `{"userId":"1",`+in+`}`); err != nil || e.Place != want {
			t.Errorf("%s: got %q, %v", in, e.Place, err)
		}
	}
}

// TestDecodeReuse: nothing of an event is left in the next one.
func TestDecodeReuse(t *testing.T) {
	full := `{"type":"track","event":"Cart Viewed","userId":"1","anonymousId":"a","traits":{"email":"a@b.c","card":7},"context":{"channel":"web",
		"locale":"uk","timezone":"T","store":"s","device":{"token":"t"},"externalIds":[{"type":"card","id":"1"},{"type":"card","id":"2"}],"traits":{"x":1}},
		"properties":{"product_id":"p","category":"a/b","position":1,"products":[{"product_id":"1","category":"x/y","price":5,"quantity":2},{"sku":"2"}],
		"order_id":"o","total":1,"currency":"EUR","coupon":"c","query":"q","message_id":"m","recommendation_id":"r"}}`
	small := `{"type":"track","event":"Cart Viewed","userId":"2","context":{"externalIds":[{"type":"b","id":"1"}]},"properties":{"products":[{"product_id":"9"}]}}`
	want, err := decode(t, small)
	if err != nil {
		t.Fatal(err)
	}
	d, e := &Decoder{Region: "UA"}, new(Event)
	for range 3 {
		for _, value := range []string{full, "{", strings.ReplaceAll(full, `"1"`, "1"), small} {
			rec := &Record{Partition: 3, Offset: 7, Time: logged, Value: []byte(value)}
			if err := d.Decode(rec, e); err != nil && value != "{" {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, e, emptySlices()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestDecodeMany: an event with thousands of properties is an event like others.
func TestDecodeMany(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"type":"track","event":"X","userId":"1","properties":{"product_id":"p"`)
	for i := range 3500 {
		fmt.Fprintf(&b, `,"%d":1`, i)
	}
	b.WriteString("}}")
	e, err := decode(t, b.String())
	if err != nil || e.Product.ID != "p" {
		t.Fatal(err)
	}
	if m, err := e.PropertiesMap(); err != nil || len(m) != 3501 {
		t.Errorf("got %d properties, %v", len(m), err)
	}
}

func TestDecodeStored(t *testing.T) {
	var e Event
	raw := []byte(`{"type":"page","userId":"1","messageId":"x","timestamp":"garbage"}`)
	if err := (&Decoder{}).DecodeStored(raw, "m", 4, 5, &e); err != nil || e.MessageID != "m" || e.At != 4 || e.LoggedAt != 5 {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestCanonicalNames(t *testing.T) {
	for name, to := range aliases {
		if _, again := aliases[to]; again || name == to {
			t.Errorf("%q becomes %q, which is no canonical name", name, to)
		}
	}
	for name := range feedback {
		if CanonicalName(name) != name {
			t.Errorf("%q is renamed", name)
		}
	}
}
