//go:build integration

// Package clients lets the tracking clients that shops use send to a real server, unchanged, and looks
// at the profiles that come out: Segment's and RudderStack's for Node.js, and Segment's for browsers in
// headless Chromium. It needs node, npm and Chromium; what is missing is skipped, or a failure where
// RAPPORT_INTEGRATION is "required".
package clients

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

const (
	writeKey = "write-key"
	readKey  = "read-key"
)

// profile is what these tests look at in an answer of GET /v1/profiles.
type profile struct {
	ID          string         `json:"id"`
	Identifiers []string       `json:"identifiers"`
	Traits      map[string]any `json:"traits"`
	Locale      string         `json:"locale"`
	Timezone    string         `json:"timezone"`
	Channels    map[string]struct {
		Events int `json:"events"`
	} `json:"channels"`
	Cart struct {
		ID    string     `json:"id"`
		Items []cartLine `json:"items"`
		Total float64    `json:"total"`
	} `json:"cart"`
	Viewed []struct {
		ID string `json:"id"`
	} `json:"viewed"`
	Orders struct {
		Count   int     `json:"count"`
		Revenue float64 `json:"revenue"`
	} `json:"orders"`
	Events int `json:"events"`
}

type cartLine struct {
	ID       string  `json:"id"`
	Quantity float64 `json:"quantity"`
	Price    float64 `json:"price"`
	Channel  string  `json:"channel"`
}

// expect collects what differs between what was sent and what the profile shows.
type expect []string

func (e *expect) that(ok bool, format string, args ...any) {
	if !ok {
		*e = append(*e, fmt.Sprintf(format, args...))
	}
}

func (p *profile) checkCart(e *expect, want ...cartLine) {
	e.that(slices.Equal(p.Cart.Items, want), "cart is %+v, want %+v", p.Cart.Items, want)
}

func TestTrackingClients(t *testing.T) {
	packages := installPackages(t)
	server := startServer(t)

	t.Run("segment-node", func(t *testing.T) {
		packages.run(t, "segment-node.mjs", server.url, writeKey, "node-1")
		server.eventually(t, "user:node-1", func(p *profile, e *expect) {
			e.that(slices.Contains(p.Identifiers, "email:node-1@shop.example"), "identifiers are %q", p.Identifiers)
			e.that(p.Traits["name"] == "Olena" && p.Traits["birthday"] == "1990-05-17", "traits are %v", p.Traits)
			e.that(p.Locale == "uk-UA" && p.Timezone == "Europe/Kyiv", "locale %q, time zone %q", p.Locale, p.Timezone)
			e.that(len(p.Viewed) == 1 && p.Viewed[0].ID == "sku-1", "viewed is %v", p.Viewed)
			e.that(p.Cart.ID == "c1" && p.Cart.Total == 900, "cart %q with a total of %v", p.Cart.ID, p.Cart.Total)
			p.checkCart(e, cartLine{ID: "sku-1", Quantity: 2, Price: 450, Channel: "app"})
			e.that(p.Events >= 5 && p.Channels["app"].Events == p.Events, "%d events, channels %v", p.Events, p.Channels)
		})
		server.eventually(t, "anonymous:node-1-browser", func(p *profile, e *expect) {
			e.that(p.ID == "user:node-1", "the anonymous identifier leads to %q", p.ID)
		})
	})

	t.Run("rudder-node", func(t *testing.T) {
		packages.run(t, "rudder-node.mjs", server.url, writeKey, "node-2")
		server.eventually(t, "phone:0501234567", func(p *profile, e *expect) {
			e.that(p.ID == "user:node-2", "the phone leads to %q", p.ID)
			e.that(p.Traits["name"] == "Taras" && p.Traits["plan"] == "gold", "traits are %v", p.Traits)
			e.that(p.Orders.Count == 1 && p.Orders.Revenue == 12.5, "orders are %+v", p.Orders)
			p.checkCart(e)
			e.that(p.Events == 4 && p.Channels["call_center"].Events == 2, "%d events, channels %v", p.Events, p.Channels)
		})
	})

	t.Run("segment-browser", func(t *testing.T) {
		requireProgram(t, chromium())
		var sent struct{ AnonymousID string }
		output := packages.run(t, "segment-browser.mjs", server.url, writeKey, "web-1")
		if err := json.Unmarshal(output, &sent); err != nil || sent.AnonymousID == "" {
			t.Fatalf("the page answered %q: %v", output, err)
		}
		server.eventually(t, "anonymous:"+sent.AnonymousID, func(p *profile, e *expect) {
			e.that(p.ID == "user:web-1", "the anonymous identifier leads to %q", p.ID)
			e.that(slices.Contains(p.Identifiers, "email:web-1@shop.example"), "identifiers are %q", p.Identifiers)
			e.that(p.Traits["name"] == "Oksana", "traits are %v", p.Traits)
			p.checkCart(e, cartLine{ID: "sku-1", Quantity: 1, Price: 450, Channel: "web"})
			e.that(p.Channels["web"].Events >= 2, "channels %v", p.Channels)
		})
	})
}
