package api

import (
	"encoding/json"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// profileView is a profile as API.md shows it. Times are RFC 3339 in UTC, ""
// or absent when not known; lists and objects are never null.
type profileView struct {
	ID          string                 `json:"id"`
	Identifiers []string               `json:"identifiers"`
	Claimed     []string               `json:"claimed,omitempty"`
	Known       bool                   `json:"known"`
	Traits      json.RawMessage        `json:"traits"`
	Locale      string                 `json:"locale"`
	Timezone    string                 `json:"timezone"`
	Consents    map[string]bool        `json:"consents"`
	Suppressed  map[string]string      `json:"suppressed"`
	Channels    map[string]channelView `json:"channels"`
	Cart        cartView               `json:"cart"`
	Viewed      []interestView         `json:"viewed"`
	Wishlist    []interestView         `json:"wishlist"`
	Waiting     []interestView         `json:"waiting"`
	Orders      ordersView             `json:"orders"`
	Affinities  affinitiesView         `json:"affinities"`
	Segments    []string               `json:"segments"`
	Runs        []runView              `json:"runs"`
	Messages    []sentView             `json:"messages"`
	Events      uint64                 `json:"events"`
	FirstAt     string                 `json:"first_at,omitempty"`
	LastAt      string                 `json:"last_at,omitempty"`
}

type channelView struct {
	FirstAt string `json:"first_at"`
	LastAt  string `json:"last_at"`
	Events  uint64 `json:"events"`
}

type cartView struct {
	ID    string     `json:"id"`
	URL   string     `json:"url,omitempty"`
	Items []lineView `json:"items"`
	Total float64    `json:"total"`
}

// lineView is a line of a cart or of an order. Name and urls come with
// ?items=true.
type lineView struct {
	ID       string  `json:"id"`
	Quantity int64   `json:"quantity"`
	Price    float64 `json:"price"`
	AddedAt  string  `json:"added_at,omitempty"`
	Channel  string  `json:"channel,omitempty"`
	Name     string  `json:"name,omitempty"`
	URL      string  `json:"url,omitempty"`
	ImageURL string  `json:"image_url,omitempty"`
}

type interestView struct {
	ID       string   `json:"id"`
	At       string   `json:"at"`
	Channel  string   `json:"channel"`
	Name     string   `json:"name,omitempty"`
	URL      string   `json:"url,omitempty"`
	ImageURL string   `json:"image_url,omitempty"`
	Price    *float64 `json:"price,omitempty"`
}

type ordersView struct {
	Count   uint64      `json:"count"`
	Revenue float64     `json:"revenue"`
	FirstAt string      `json:"first_at,omitempty"`
	LastAt  string      `json:"last_at,omitempty"`
	Recent  []orderView `json:"recent"`
}

type orderView struct {
	ID       string     `json:"id"`
	At       string     `json:"at"`
	Status   string     `json:"status"`
	Channel  string     `json:"channel"`
	Coupon   string     `json:"coupon,omitempty"`
	Total    float64    `json:"total"`
	Products []lineView `json:"products"`
}

type affinitiesView struct {
	Category map[string]float64 `json:"category"`
	Brand    map[string]float64 `json:"brand"`
}

type runView struct {
	Trigger string `json:"trigger"`
	Key     string `json:"key,omitempty"`
	Step    int32  `json:"step"`
	DueAt   string `json:"due_at,omitempty"`
}

type sentView struct {
	ID      string `json:"id"`
	Trigger string `json:"trigger"`
	Channel string `json:"channel"`
	At      string `json:"at"`
	Status  string `json:"status"`
	// Message is what to show, while the message waits for the customer.
	Message json.RawMessage `json:"message,omitempty"`
}

// itemNames finds an item to show beside its id; nil shows none.
type itemNames func(id string) *streams.Item

// viewOf makes the view of a profile at a time (Unix ms), whose cart lines live
// that long.
func viewOf(p *profiles.Profile, now int64, cartTTL time.Duration, items itemNames) *profileView {
	v := &profileView{
		ID: p.Id, Identifiers: orEmpty(p.Identifiers), Claimed: p.Claimed,
		Known: p.Known(), Traits: json.RawMessage(p.Traits), Locale: p.Locale, Timezone: p.Timezone,
		Consents: map[string]bool{}, Suppressed: map[string]string{}, Channels: map[string]channelView{},
		Cart: cartOf(p, p.LiveCart(now, cartTTL), items), Orders: ordersOf(p.Orders, items),
		Viewed: interestsOf(p.Viewed, items), Wishlist: interestsOf(p.Wishlist, items), Waiting: interestsOf(p.Waiting, items),
		Affinities: affinitiesView{sharesOf(p.Categories, now), sharesOf(p.Brands, now)},
		Segments:   segmentsOf(p), Runs: runsOf(p), Messages: sentOf(p, now),
		Events: p.Events, FirstAt: stamp(p.FirstAt), LastAt: stamp(p.LastAt),
	}
	if len(v.Traits) == 0 {
		v.Traits = json.RawMessage("{}")
	}
	for _, c := range p.Consents {
		v.Consents[c.Channel] = c.Granted
	}
	for _, s := range p.Suppressed {
		v.Suppressed[s.Channel] = s.Reason
	}
	for _, c := range p.Channels {
		v.Channels[c.Name] = channelView{stamp(c.FirstAt), stamp(c.LastAt), c.Events}
	}
	return v
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func cartOf(p *profiles.Profile, lines []*profiles.Line, items itemNames) cartView {
	if p.Cart == nil {
		return cartView{Items: []lineView{}}
	}
	return cartView{ID: p.Cart.Id, URL: p.Cart.Url, Items: linesOf(lines, items), Total: profiles.CartTotal(lines)}
}

func linesOf(lines []*profiles.Line, items itemNames) []lineView {
	v := make([]lineView, 0, len(lines))
	for _, l := range lines {
		line := lineView{ID: l.Id, Quantity: l.Quantity, Price: l.Price, AddedAt: stamp(l.AddedAt), Channel: l.Channel}
		if items != nil {
			line.Name, line.URL, line.ImageURL = l.Name, l.Url, l.ImageUrl
			if i := items(l.Id); i != nil {
				line.Name, line.URL, line.ImageURL = or(i.Name, l.Name), or(i.URL, l.Url), or(i.ImageURL, l.ImageUrl)
			}
		}
		v = append(v, line)
	}
	return v
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func interestsOf(list []*profiles.Interest, items itemNames) []interestView {
	v := make([]interestView, 0, len(list))
	for _, i := range list {
		seen := interestView{ID: i.Id, At: stamp(i.At), Channel: i.Channel}
		if items != nil {
			price := i.Price
			if item := items(i.Id); item != nil {
				seen.Name, seen.URL, seen.ImageURL, price = item.Name, item.URL, item.ImageURL, item.Price
			}
			seen.Price = &price
		}
		v = append(v, seen)
	}
	return v
}

func ordersOf(o *profiles.Orders, items itemNames) ordersView {
	if o == nil {
		return ordersView{Recent: []orderView{}}
	}
	v := ordersView{
		Count: o.Count, Revenue: round(o.Revenue), FirstAt: stamp(o.FirstAt), LastAt: stamp(o.LastAt),
		Recent: make([]orderView, 0, len(o.Recent)),
	}
	for _, r := range o.Recent {
		v.Recent = append(v.Recent, orderView{
			ID: r.Id, At: stamp(r.At), Status: r.Status, Channel: r.Channel, Coupon: r.Coupon,
			Total: r.Total, Products: linesOf(r.Products, items),
		})
	}
	return v
}

func sharesOf(list []byte, now int64) map[string]float64 {
	m := make(map[string]float64, len(list))
	for _, a := range profiles.AffinityShares(list, now) {
		m[a.Name] = a.Share
	}
	return m
}

// runsOf shows what waits; a wait for idleness is due that long after the
// customer's last act or the step's beginning, whichever is later.
func runsOf(p *profiles.Profile) []runView {
	v := make([]runView, 0, len(p.Runs))
	for _, r := range p.Runs {
		due := r.DueAt
		if due == 0 && r.IdleMs > 0 {
			due = max(p.LastAt, r.StepAt) + r.IdleMs
		}
		v = append(v, runView{Trigger: r.Trigger, Key: r.Key, Step: r.Step, DueAt: stamp(due)})
	}
	return v
}

func segmentsOf(p *profiles.Profile) []string {
	names := make([]string, len(p.Segments))
	for i, m := range p.Segments {
		names[i] = m.Name
	}
	return names
}

// sentOf lists the latest messages; those that wait for the customer with what
// to show.
func sentOf(p *profiles.Profile, now int64) []sentView {
	v := make([]sentView, 0, len(p.Messages))
	for _, m := range p.Messages {
		view := sentView{ID: m.Id, Trigger: m.Trigger, Channel: m.Channel, At: stamp(m.At), Status: m.Status}
		for _, w := range p.Inbox {
			if w.Id == m.Id && w.Expires > now {
				view.Message = w.Body
			}
		}
		v = append(v, view)
	}
	return v
}
