package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

func stock(n int64) *int64 { return &n }
func yes(b bool) *bool     { return &b }

var testItems = []*streams.Item{
	nil,
	{ID: "a"},
	{ID: "b", Price: 10, OldPrice: 12.5, Stock: stock(0), Brand: "Acme"},
	{ID: "c", Price: 9.99, Stock: stock(3), Name: "Boot", Available: yes(false), Category: []string{"Shoes", "Boots"}},
	{ID: "d", Price: 1e9, Stock: stock(7), GroupID: "g", Available: yes(true), Attributes: map[string]any{"color": "red", "size": 42.0}},
}

// TestClosures checks that what runs as a closure answers as CEL does.
func TestClosures(t *testing.T) {
	for _, src := range []string{
		"item.available", "!item.available", "item.available && item.price > 9.99", "item.price >= 10 || item.stock == 3",
		"item.price < item.old_price", "item.brand == 'Acme'", "item.name != ''", "item.stock <= 0 && item.id != 'b'",
		"item.group_id == 'g' && !(item.price == 10.0)", "true", "item.url == item.image_url", "10 < item.price",
		"'Shoes' in item.category && item.price > 3", "item.brand in item.category", "item.price != 10.0 && item.old_price == 0.0",
	} {
		c, errs := compile(src, siteFilter, true)
		if len(errs) > 0 {
			t.Fatalf("%s: %v", src, errs)
		}
		if c.fast == nil {
			t.Fatalf("%s: no closure", src)
		}
		slow := *c
		slow.fast = nil
		for i, item := range testItems {
			if got, want := c.filter()(item), slow.filter()(item); got != want {
				t.Errorf("%s of item %d: closure says %v, CEL %v", src, i, got, want)
			}
		}
	}
	for _, src := range []string{"size(profile.cart.items) > 0", "profile.cart.items.size() == 0 && item.available", "size(profile.cart.items) != 2"} {
		c, errs := compile(src, siteRun, true)
		if len(errs) > 0 {
			t.Fatalf("%s: %v", src, errs)
		}
		if c.fast == nil {
			t.Fatalf("%s: no closure", src)
		}
		for n := range 4 {
			p := &profiles.Profile{}
			if n > 0 {
				p.Cart = &profiles.Cart{Lines: make([]*profiles.Line, n-1)}
				for i := range p.Cart.Lines {
					p.Cart.Lines[i] = &profiles.Line{}
				}
			}
			s := &scope{profile: p}
			v, _ := c.value(s)
			if fast := c.fast(s); v == nil || v.Value() != fast {
				t.Errorf("%s with %d lines: closure says %v, CEL %v", src, n-1, fast, v)
			}
		}
	}
	if c, _ := compile("profile.cart.items.exists(item, item.id == 'a')", siteRun, true); c.fast != nil {
		t.Error("a condition over a list runs as a closure")
	}
}

func TestCompileFilter(t *testing.T) {
	for src, want := range map[string]string{
		"item.available":                        "ad",
		"item.price > 9 && item.price < 10":     "c",
		"'Boots' in item.category":              "c",
		"item.attributes.color == 'red'":        "d",
		"has(item.attributes.size)":             "d",
		"item.attributes.size > 41":             "d",
		"item.attributes.size > 'x'":            "",
		"item.stock > 2":                        "cd",
		"item.category.size() == 0":             "abd",
		"item.name.lowerAscii().contains('oo')": "c",
		"!(item.attributes.color == 'red')":     "",
	} {
		filter, err := CompileFilter(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		got, match := "", filter.ForRequest()
		for _, item := range testItems[1:] {
			if match(item) {
				got += item.ID
			}
		}
		if got != want {
			t.Errorf("%s matches %q, want %q", src, got, want)
		}
	}
}

func TestCompileFilterRefuses(t *testing.T) {
	for src, want := range map[string]string{
		"":                             "must not be empty",
		" ":                            "must not be empty",
		"item.prise > 3":               "filter:1:5: undefined field 'prise': did you mean 'price'?",
		"item.price":                   "must be true or false",
		"item.price > ":                "ends too early",
		"profile.known":                "what can be read here is item",
		"now > date('2020-01-01')":     "what can be read here is item",
		strings.Repeat("(", 100) + "1": "recursion",
		"item.id == '" + strings.Repeat("x", 3000) + "'": "at most 2048 bytes",
	} {
		if _, err := CompileFilter(src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", src, err, want)
		}
	}
}

func TestCostLimit(t *testing.T) {
	const loops = "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, " +
		"[1,2,3,4,5,6,7,8,9].all(e, [1,2,3,4,5,6,7,8,9].all(f, item.price < a + b + c + d + e + f))))))"
	filter, err := CompileFilter(loops)
	if err != nil {
		t.Fatal(err)
	}
	if filter.ForRequest()(&streams.Item{Price: -1}) {
		t.Error("a filter over the limit matches")
	}
	bounded, err := CompileFilter("item.id == 'cheap' || " + loops)
	if err != nil {
		t.Fatal(err)
	}
	match := bounded.ForRequest()
	for range requestCost / overrunCost {
		if !match(&streams.Item{ID: "cheap"}) || match(&streams.Item{Price: -1}) {
			t.Error("what costs little must match, what costs much must not")
		}
	}
	if match(&streams.Item{ID: "cheap"}) || !bounded.ForRequest()(&streams.Item{ID: "cheap"}) {
		t.Error("the cost of a request is not bounded, or that of the next is, too")
	}
	dear, err := CompileFilter("[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, item.price < a + b + c)))")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for match := dear.ForRequest(); match(&streams.Item{Price: -1}); {
		n++
	}
	if n < requestCost/filterCostLimit || n > 2*requestCost/filterCostLimit {
		t.Errorf("a filter that costs nearly as much as it may on an item was tried on %d", n)
	}
	missing, err := CompileFilter("item.attributes.color == 'red' || item.id == 'x'")
	if err != nil {
		t.Fatal(err)
	}
	n = 0
	for match := missing.ForRequest(); n <= requestCost/missingCost && match(&streams.Item{ID: "x", Attributes: map[string]any{"color": "blue"}}); n++ {
		match(&streams.Item{ID: "y"})
	}
	if n == 0 || n > requestCost/missingCost {
		t.Errorf("what items lack costs nothing: %d were tried", n)
	}
	c, _ := compile(loops, siteRun, true)
	if ok, failure := c.eval(&scope{profile: &profiles.Profile{}}); ok || failure != FailureCost {
		t.Errorf("got %v %q, want %q", ok, failure, FailureCost)
	}
}

func TestMessageID(t *testing.T) {
	sum := sha256.Sum256([]byte("user:42\x003\x00m1"))
	want := "abandoned_cart.3." + hex.EncodeToString(sum[:])[:16]
	if want != "abandoned_cart.3.3ad03b93f31c6393" { // printf 'user:42\0003\000m1' | sha256sum
		t.Fatal(want)
	}
	if got := messageID("abandoned_cart", "user:42", 3, "m1"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzCompileFilter(f *testing.F) {
	for _, src := range []string{"item.available", "item.price > 3 && 'a' in item.category", "item.attributes.x == 1", "item.name.format([1])",
		"[1,2].map(x, x * 2).sum() > 3", "item.name.matches('a+')", "lists.range(1000000).size() > 1", "'%d'.format([item.stock]) == ''"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		filter, err := CompileFilter(src)
		if (filter == nil) == (err == nil) {
			t.Fatalf("neither a filter nor an error, or both: %v", err)
		}
		if err != nil {
			return
		}
		match := filter.ForRequest()
		for _, item := range testItems {
			match(item)
		}
	})
}
