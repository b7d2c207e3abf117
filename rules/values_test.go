package rules

import (
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

const testNow = int64(1_780_000_000_000) // 2026-05-28T20:26:40Z

// testScope is a scope with something in every field.
func testScope() *scope {
	p := &profiles.Profile{
		Id: "user:1", Identifiers: []string{"user:1", "email:a@b.c"}, Locale: "uk-UA", Timezone: "Europe/Kyiv",
		Traits:   []byte(`{"name":"Olena","age":42,"score":"12.5","tags":["x","y"]}`),
		Consents: []*profiles.Consent{{Channel: "email", Granted: true}, {Channel: "sms"}},
		Channels: []*profiles.Channel{{Name: "web", FirstAt: testNow - day, LastAt: testNow, Events: 5}},
		Cart: &profiles.Cart{Id: "c1", Url: "https://cart", UpdatedAt: testNow, Lines: []*profiles.Line{
			{Id: "a", Quantity: 2, Price: 10, AddedAt: testNow - hour, Channel: "web", Category: []string{"Shoes", "Boots"}},
			{Id: "b", Quantity: 1, Price: 5.5, AddedAt: testNow, Channel: "pos"},
			{Id: "old", Quantity: 1, Price: 5.5, AddedAt: testNow - 31*day, Channel: "pos"}}},
		Viewed: []*profiles.Interest{{Id: "a", At: testNow, FirstAt: testNow - day, Times: 3, Days: 2, Price: 12, Available: true, Channel: "web"}},
		Orders: &profiles.Orders{Count: 2, Revenue: 100, FirstAt: testNow - 40*day, LastAt: testNow - 5*day, Recent: []*profiles.Order{
			{Id: "o2", At: testNow - 5*day, Status: "delivered", Channel: "pos", Total: 60, Products: []*profiles.Line{{Id: "x", Quantity: 1, Price: 60}}},
			{Id: "o1", At: testNow - 40*day, Status: "cancelled", Products: []*profiles.Line{{Id: "y"}}}}},
		MessageStats: []*profiles.MessageStats{{Channel: "email", Sent: 3, Opened: 1, Unopened: 2, LastSentAt: testNow}, {Channel: "sms", Sent: 2}},
		Counts:       []*profiles.EventCount{{Name: "Looked", LastAt: testNow - hour, At: []int64{testNow - 3*day, testNow - day, testNow - hour}}},
		Session:      &profiles.Session{StartedAt: testNow - hour, LastAt: testNow, Channel: "web", Events: 4, Viewed: []string{"a"}},
		Events:       9, FirstAt: testNow - 50*day, LastAt: testNow,
	}
	run := &profiles.Run{Trigger: "t", Key: "k", StartedAt: testNow - hour, Sent: 1, LastChannel: "email", LastStatus: "queued", LastAt: testNow}
	stock := int64(3)
	catalog := map[string]*streams.Item{"a": {ID: "a", Name: "Boot", Price: 9, OldPrice: 12, Stock: &stock, CreatedAt: "2026-05-01T00:00:00Z",
		Attributes: map[string]any{"color": "red", "sizes": []any{41.0, 42.0}}}}
	s := &scope{now: testNow, profile: p, env: &Env{Catalog: func(id string) *streams.Item { return catalog[id] }}}
	e := &streams.Event{Kind: streams.Track, Name: "Product Viewed", MessageID: "m", Channel: "web", Store: "12", At: testNow - minute, LoggedAt: testNow,
		Product: streams.Line{ID: "a", Name: "said", URL: "https://a", Price: 8, Category: []string{"Shoes"}},
		OrderID: "o2", Products: []streams.Line{{ID: "a", Quantity: 2, Price: 8}, {ID: "z", Quantity: 1, Price: 1}},
		Properties: []byte(`{"x":1,"deep":{"list":[1,2,3]},"s":"17"}`), Traits: []byte(`{}`), Context: []byte(`{"page":{"path":"/a"}}`)}
	s.at(e, run)
	s.setEventOf(run, e)
	return s
}

func TestValues(t *testing.T) {
	for _, src := range []string{
		`now == timestamp("2026-05-28T20:26:40Z") && now > date("2026-05-28") && date("2026-05-28T20:26:40Z") == now`,
		`event.name == "Product Viewed" && event.type == "track" && event.channel == "web" && event.store == "12" && event.message_id == "m"`,
		`event.logged_at - event.at == duration("60s") && event.properties.x == 1 && event.properties.deep.list[1] == 2 && size(event.traits) == 0`,
		`number(event.properties.s) == 17.0 && number(event.properties.x) == 1.0 && number(3) == 3.0 && number(3u) == 3.0`,
		`event.context.page.path.startsWith("/") && has(event.properties.x) && !has(event.properties.y) && has(event.store)`,
		`event.products.map(l, l.total).all(x, x > 0.5) && event.products[0].total == 16.0 && event.products.filter(l, l.quantity > 1).size() == 1`,
		`order.id == "o2" && order.status == "delivered" && order.total == 60.0 && order.products[0].id == "x" && order.channel == "pos" && order.coupon == ""`,
		`item.id == "a" && item.name == "Boot" && item.url == "https://a" && item.price < item.old_price && item.stock == 3 && item.available`,
		`"Shoes" in item.category && item.attributes.color == "red" && item.attributes.sizes.exists(s, s == 42) && item.created_at < now`,
		`item.brand == "" && item.group_id == "" && item.image_url == "" && item.attributes[?"x"].orValue(7) == 7`,
		`run.key == "k" && run.sent == 1 && run.variant == "" && run.items == ["a", "z"] && run.event.name == event.name && now - run.started_at == hours(1)`,
		`run.last.channel == "email" && run.last.status == "queued" && run.last.at == now`,
		`session.channel == "web" && session.events == 4 && "a" in session.viewed && session.added.size() == 0 && session.last_at - session.started_at == hours(1)`,
		`profile.id == "user:1" && profile.known && profile.locale == "uk-UA" && profile.timezone == "Europe/Kyiv" && profile.identifiers.size() == 2`,
		`profile.traits.name == "Olena" && profile.traits.age > 41 && number(profile.traits.score) > 12.0 && "x" in profile.traits.tags && profile.segments.size() == 0`,
		`profile.consents["email"] && !profile.consents["sms"] && !("push" in profile.consents)`,
		`profile.events == 9 && now - profile.first_at == days(50) && profile.last_at == now`,
		`profile.channels["web"].events == 5 && profile.channels.pos.events == 0 && profile.channels["pos"].last_at == date("1970-01-01") && "web" in profile.channels && !("pos" in profile.channels)`,
		`profile.channels.exists(c, profile.channels[c].events > 4) && profile.channels.size() == 1`,
		`profile.cart.id == "c1" && profile.cart.url != "" && profile.cart.items.size() == 2 && profile.cart.total == 25.5 && profile.cart.updated_at == now`,
		`profile.cart.items.exists(i, catalog(i.id).stock == 3) && profile.cart.items.exists_one(i, i.channel == "pos") && profile.cart.items.all(i, i.added_at > now - days(1))`,
		`profile.cart.items.map(i, i.id) == ["a", "b"] && profile.cart.items[0].category[1] == "Boots" && (profile.cart.items + profile.cart.items).size() == 4`,
		`profile.cart.items[0] in profile.cart.items && profile.cart.items == profile.cart.items && profile.cart.items[0] != profile.cart.items[1]`,
		`profile.viewed[0].times == 3 && profile.viewed[0].days == 2 && profile.viewed[0].price > catalog("a").price && profile.viewed[0].available`,
		`profile.wishlist.size() == 0 && profile.waiting == [] && catalog("unknown").available && catalog("unknown").id == "unknown" && catalog("").stock == 0`,
		`profile.orders.count == 2 && profile.orders.revenue > 99.5 && profile.orders.recent[1].id == "o1" && profile.orders.last_at - profile.orders.first_at == days(35)`,
		`profile.messages["email"].sent == 3 && profile.messages["*"].sent == 5 && profile.messages.push.sent == 0 && profile.messages["*"].last_sent_at == now`,
		`profile.affinities.category.size() == 0 && !("x" in profile.affinities.brand)`,
		`profile.count("Looked", days(2)) == 2 && profile.count("Looked", days(1)) == 1 && profile.count("Never", days(2)) == 0 && profile.last("Looked") == now - hours(1) && profile.last("Never") == timestamp(0)`,
		`profile.bought("x", days(6)) && !profile.bought("x", days(5)) && !profile.bought("y", days(90))`,
		`profile.reachable("email") && !profile.reachable("sms") && profile.reachable("webhook") && !profile.reachable("push") && profile.reachable("web")`,
		`dyn(item).name == "Boot" && has(profile.traits.name) && dyn(profile).cart.items.size() == 2 && type(item) == type(catalog("b"))`,
		`math.greatest(1, 2) == 2 && "a,b".split(",").size() == 2 && [3, 1].sort() == [1, 3] && optional.none().orValue(1) == 1`,
	} {
		c, errs := compile(src, siteRun, true)
		if len(errs) > 0 {
			t.Errorf("%s: %v", src, errs)
			continue
		}
		if ok, failure := c.eval(testScope()); !ok {
			t.Errorf("%s is false %s", src, failure)
		}
	}
}

// TestFailures: what cannot be told is false, whatever stands around it.
func TestFailures(t *testing.T) {
	for _, src := range []string{
		`event.properties.none == 1`, `event.properties.x == "1" || event.properties.none`, `!event.properties.x`, `event.properties.x.y == 1`,
		`event.context["none"] == 1`, `event.properties.deep.list[9] == 1`, `number("x") > 1.0`, `number(event.properties.deep) > 1.0`,
		`date("tomorrow") < now`, `days(9999999) > days(1)`, `profile.consents["push"]`, `profile.affinities.brand["none"] > 0.1`,
		`event.properties.x`, `profile.traits.name > 3`, `profile.cart.items[7].id == ""`, `dyn(item).nothing == 1`,
	} {
		c, errs := compile(src, siteRun, true)
		if len(errs) > 0 {
			t.Errorf("%s: %v", src, errs)
			continue
		}
		if ok, failure := c.eval(testScope()); ok || failure != FailureMissing {
			t.Errorf("%s is %v, failure %q", src, ok, failure)
		}
	}
}

// TestPlainValues: what a send's data may be.
func TestPlainValues(t *testing.T) {
	s := testScope()
	for src, want := range map[string]any{`item.name`: "Boot", `1`: int64(1), `2u`: uint64(2), `1.5`: 1.5, `true`: true, `null`: nil,
		`now`: "2026-05-28T20:26:40Z", `hours(1)`: 3600.0} {
		c, errs := compile(src, siteRun, false)
		if len(errs) > 0 {
			t.Fatalf("%s: %v", src, errs)
		}
		v, _ := c.value(s)
		if got, ok := plainValue(v, 0); !ok || got != want {
			t.Errorf("%s: got %v %v, want %v", src, got, ok, want)
		}
	}
	for src, want := range map[string]bool{`profile.orders.recent[0]`: true, `profile.traits`: true, `profile.channels`: true, `event.products`: true,
		`profile`: true, `0.0 / 0.0`: false, `type(1)`: false, `{1: 2}`: false, `[0.0 / 0.0]`: false} {
		c, errs := compile(src, siteRun, false)
		if len(errs) > 0 {
			t.Fatalf("%s: %v", src, errs)
		}
		v, _ := c.value(s)
		if got, ok := plainValue(v, 0); ok != want {
			t.Errorf("%s: got %v %v, want %v", src, got, ok, want)
		}
	}
}
