package streams

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const logged = 1433223136000 // 2015-06-02T05:32:16Z

func decode(t *testing.T, value string, headers ...Header) (*Event, error) {
	t.Helper()
	e := new(Event)
	err := (&Decoder{Region: "UA"}).Decode(
		&Record{Topic: "events", Partition: 3, Offset: 7, Time: logged, Value: []byte(value), Headers: headers}, e)
	return e, err
}

func TestDecodeTypical(t *testing.T) {
	e, err := decode(t, typicalTrack)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Event{
		Kind: Track, Name: "Product Added", MessageID: "ajs-next-1433123456789-5f0c9a7e", Channel: "web",
		At: logged - 877, LoggedAt: logged,
		Identifiers: []Identifier{{"user", "42"}, {"anonymous", "9f3c1b7a-0c1d-4a57"}},
		Product: Line{ID: "119736", Name: "Running shoes", Brand: "Acme", Category: []string{"Shoes", "Running"},
			Quantity: 1, HasQuantity: true, Price: 450.5},
		CartID: "c1", Locale: "uk-UA", Raw: []byte(typicalTrack),
		Properties: []byte(typicalTrack[strings.Index(typicalTrack, `{"product_id`) : len(typicalTrack)-1]),
		Context:    []byte(`{"page":{"path":"/p/119736"},"library":{"name":"analytics.js"},"locale":"uk-UA"}`),
	}, e); diff != "" {
		t.Error(diff)
	}
}

// TestDecodeErrors: each bad input is refused with its reason and a text that
// names the field.
func TestDecodeErrors(t *testing.T) {
	user := func(rest string) string { return `{"type":"track","event":"X","userId":"1",` + rest + `}` }
	props := func(rest string) string { return user(`"properties":{` + rest + `}`) }
	for _, c := range []struct{ name, in, reason, want string }{
		{"empty", "", ReasonMalformed, "the event is empty"},
		{"spaces", " \n ", ReasonMalformed, "the event is empty"},
		{"not JSON", "{oops", ReasonMalformed, "not valid JSON"},
		{"trailing", `{"type":"page","userId":"1"} x`, ReasonMalformed, "not valid JSON"},
		{"list", "[1]", ReasonMalformed, "not a JSON object"},
		{"null", "null", ReasonMalformed, "not a JSON object"},
		{"number", "12", ReasonMalformed, "not a JSON object"},
		{"bad number", user(`"a":01`), ReasonMalformed, "not valid JSON"},
		{"NaN", user(`"a":NaN`), ReasonMalformed, "not valid JSON"},
		{"control character", user("\"a\":\"\x01\""), ReasonMalformed, "not valid JSON"},
		{"invalid UTF-8", user("\"a\":\"\xff\""), ReasonMalformed, "UTF-8"},
		{"deep", user(`"properties":` + strings.Repeat(`{"a":`, 101) + "1" + strings.Repeat("}", 101)), ReasonMalformed, "nested"},
		{"deep lists", user(`"a":` + strings.Repeat("[", 15000) + strings.Repeat("]", 15000)), ReasonMalformed, "nested"},
		{"33 KB", user(`"a":"` + strings.Repeat("x", 33<<10) + `"`), ReasonTooLarge, "at most 32768"},
		{"no type", `{"userId":"1"}`, ReasonInvalid, "type: must be one of"},
		{"unknown type", `{"type":"walk","userId":"1"}`, ReasonInvalid, "type: must be one of"},
		{"type of another type", `{"type":{},"userId":"1"}`, ReasonInvalid, "type: must be one of"},
		{"no event", `{"type":"track","userId":"1"}`, ReasonInvalid, "event: a track call needs"},
		{"event of another type", `{"type":"track","event":["x"],"userId":"1"}`, ReasonInvalid, "event: must be a string"},
		{"long event", `{"type":"track","event":"` + strings.Repeat("x", 257) + `","userId":"1"}`, ReasonInvalid, "event: must be at most"},
		{"long messageId", user(`"messageId":"` + strings.Repeat("ї", 101) + `"`), ReasonInvalid, "messageId: must have at most 100"},
		{"nobody", `{"type":"page"}`, ReasonNoIdentifier, "userId: the event names no customer"},
		{"blank user", `{"type":"page","userId":"  "}`, ReasonNoIdentifier, "userId: the event names no customer"},
		{"bad e-mail only", `{"type":"identify","traits":{"email":"nope"}}`, ReasonNoIdentifier, "userId: the event names no customer"},
		{"e-mail in properties", `{"type":"track","event":"X","properties":{"email":"a@b.c"}}`, ReasonNoIdentifier, "userId"},
		{"user of another type", `{"type":"page","userId":["1"]}`, ReasonInvalid, "userId: must be a string or a number"},
		{"boolean user", `{"type":"page","userId":true}`, ReasonInvalid, "userId: must be a string or a number"},
		{"long user", `{"type":"page","userId":"` + strings.Repeat("x", 257) + `"}`, ReasonInvalid, "userId: must be at most 256"},
		{"zero byte", `{"type":"page","userId":"a\u0000b"}`, ReasonInvalid, "userId: must have no control"},
		{"bad external type", user(`"context":{"externalIds":[{"type":"Card!","id":"1"}]}`), ReasonInvalid, "context.externalIds[0].type: must start"},
		{"no external id", user(`"context":{"externalIds":[{"type":"a","id":"1"},{"type":"b"}]}`), ReasonInvalid, "context.externalIds[1].id: is missing"},
		{"externalIds no list", user(`"context":{"externalIds":{"card":"1"}}`), ReasonInvalid, "context.externalIds: must be a list"},
		{"externalIds of text", user(`"context":{"externalIds":["card"]}`), ReasonInvalid, "context.externalIds[0]: must be an object"},
		{"card of another type", user(`"traits":{"card":{}}`), ReasonInvalid, "traits.card: must be a string or a number"},
		{"properties no object", user(`"properties":[1]`), ReasonInvalid, "properties: must be an object"},
		{"traits no object", user(`"traits":"x"`), ReasonInvalid, "traits: must be an object"},
		{"context no object", user(`"context":7`), ReasonInvalid, "context: must be an object"},
		{"context.traits no object", user(`"context":{"traits":[]}`), ReasonInvalid, "context.traits: must be an object"},
		{"channel of another type", user(`"context":{"channel":{}}`), ReasonInvalid, "context.channel: must be"},
		{"alias without previousId", `{"type":"alias","userId":"1"}`, ReasonInvalid, "previousId: an alias"},
		{"price", props(`"price":"a lot"`), ReasonInvalid, "properties.price: must be a number >= 0"},
		{"empty price", props(`"price":""`), ReasonInvalid, "properties.price: must be a number >= 0"},
		{"hexadecimal price", props(`"price":"0x10"`), ReasonInvalid, "properties.price: must be a number >= 0"},
		{"NaN price", props(`"price":"NaN"`), ReasonInvalid, "properties.price: must be a number >= 0"},
		{"infinite price", props(`"price":1e999`), ReasonInvalid, "properties.price: must be a number >= 0"},
		{"negative price", props(`"price":-1`), ReasonInvalid, "properties.price: must be a number >= 0"},
		{"negative quantity", props(`"products":[{"product_id":"1"},{"sku":"2"},{"product_id":"3","quantity":-2}]`),
			ReasonInvalid, "properties.products[2].quantity: must be a number >= 0"},
		{"quantity of another type", props(`"products":[{"product_id":"1","quantity":{}}]`), ReasonInvalid, "properties.products[0].quantity: must be a number >= 0"},
		{"line without id", props(`"products":[{"name":"x"}]`), ReasonInvalid, "properties.products[0].product_id: is missing"},
		{"id of another type", props(`"products":[{"product_id":[]}]`), ReasonInvalid, "properties.products[0].product_id: must be a string"},
		{"products no list", props(`"products":"all"`), ReasonInvalid, "properties.products: must be a list"},
		{"products of text", props(`"products":[{"product_id":"1"},"2"]`), ReasonInvalid, "properties.products[1]: must be an object"},
		{"1001 products", props(`"products":[` + strings.Repeat(`{"sku":"1"},`, 1000) + `{"sku":"1"}]`), ReasonInvalid, "properties.products: must have at most"},
		{"GA4 without id", props(`"items":[{"item_id":"1"},{"item_name":"x"}]`), ReasonInvalid, "properties.items[1].item_id: is missing"},
		{"GA4 price", props(`"items":[{"item_id":"1","price":"x"}]`), ReasonInvalid, "properties.items[0].price: must be a number"},
		{"total", props(`"total":true`), ReasonInvalid, "properties.total: must be a number"},
		{"revenue", props(`"revenue":"x"`), ReasonInvalid, "properties.revenue: must be a number"},
		{"order of another type", props(`"order_id":{}`), ReasonInvalid, "properties.order_id: must be"},
		{"timestamp garbage", user(`"timestamp":"yesterday"`), ReasonInvalid, "timestamp: must be RFC 3339"},
		{"timestamp of another type", user(`"timestamp":{}`), ReasonInvalid, "timestamp: must be RFC 3339"},
		{"year 0", user(`"timestamp":"0000-01-01T00:00:00Z"`), ReasonInvalid, "timestamp: must not be before 1970"},
		{"1969", user(`"timestamp":-1`), ReasonInvalid, "timestamp: must not be before 1970"},
		{"a million years on", user(`"timestamp":"+1002015-06-02T05:32:14Z"`), ReasonInvalid, "timestamp: must be RFC 3339"},
		{"sentAt garbage", user(`"timestamp":"2015-06-02T05:32:14Z","sentAt":"x"`), ReasonInvalid, "sentAt: must be RFC 3339"},
		{"sentAt year 9999", user(`"timestamp":"2015-06-02T05:32:14Z","sentAt":"9999-01-01T00:00:00Z"`), ReasonInvalid, "sentAt: lies too far"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decode(t, c.in)
			var inv *InvalidError
			if !errors.As(err, &inv) || inv.Reason != c.reason || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s: %s", err, c.reason, c.want)
			}
		})
	}
}

func TestDecodeClampsHugeQuantities(t *testing.T) {
	var d Decoder
	var e Event
	rec := &Record{Time: 1, Value: []byte(`{"type":"track","event":"Product Added","anonymousId":"a","messageId":"m","properties":{"product_id":"p","quantity":10000000000000000}}`)}
	if err := d.Decode(rec, &e); err != nil || e.Product.Quantity != math.MaxInt32 {
		t.Fatalf("quantity %d, error %v", e.Product.Quantity, err)
	}
}
