// Package retailer simulates a shop with many channels, for demonstrations,
// tests and load: an invented catalogue and shoppers who move between web, app,
// till, call centre and messenger. The same seed and start give the same
// events.
package retailer

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// Currency and Timezone of the shop.
const (
	Currency = "UAH"
	Timezone = "Europe/Kyiv"
)

// Config says what to simulate. The zero value of a field is its default.
type Config struct {
	Seed     uint64
	Products int           // 320
	Shoppers int           // 6,000
	Start    time.Time     // 2026-03-02 00:00 UTC
	Length   time.Duration // 48h
}

// Event is something a shopper does.
type Event struct {
	At   int64  // Unix ms
	Key  string // the strongest identifier, "type:value"
	JSON []byte // the Segment call
	// Text tells the spotlight shopper's story; empty for everybody else.
	Text string

	number int // in the order of invention, for ties
}

// Retailer is a simulated shop: its catalogue, its customers and what they do.
type Retailer struct {
	cfg      Config
	rand     *rand.Rand
	zone     *time.Location
	products []product
	shelves  [][]int // products by shelf
	shoppers []shopper
	events   []Event
	spot     Spotlight
}

// New invents the shop and everything that happens in it.
func New(cfg Config) *Retailer {
	cfg.Products = cmp.Or(cfg.Products, 320)
	cfg.Shoppers = cmp.Or(cfg.Shoppers, 6000)
	cfg.Length = cmp.Or(cfg.Length, 48*time.Hour)
	if cfg.Start.IsZero() {
		cfg.Start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	}
	r := &Retailer{cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 0x5ea1))} //nolint:gosec // a simulation
	if zone, err := time.LoadLocation(Timezone); err == nil {
		r.zone = zone
	} else {
		r.zone = time.UTC
	}
	r.products = newCatalogue(cfg.Products, r.rand)
	r.shelves = make([][]int, len(shelves))
	for i := range r.products {
		r.shelves[r.products[i].shelf] = append(r.shelves[r.products[i].shelf], i)
	}
	for i := range cfg.Shoppers {
		r.shoppers = append(r.shoppers, r.newShopper(i))
	}
	r.tellSpotlight()
	for i := range r.shoppers {
		r.live(&r.shoppers[i])
	}
	end := cfg.Start.Add(cfg.Length).UnixMilli()
	r.events = slices.DeleteFunc(r.events, func(e Event) bool { return e.At >= end })
	slices.SortFunc(r.events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.number, b.number))
	})
	return r
}

// Items is the catalogue.
func (r *Retailer) Items() []*streams.Item {
	items := make([]*streams.Item, len(r.products))
	for i := range r.products {
		items[i] = r.products[i].item
	}
	return items
}

// Events yields everything that happens, in order of time.
func (r *Retailer) Events() iter.Seq[*Event] {
	return func(yield func(*Event) bool) {
		for i := range r.events {
			if !yield(&r.events[i]) {
				return
			}
		}
	}
}

// Len is the number of events.
func (r *Retailer) Len() int { return len(r.events) }

// Start and End are the first and last moments of the simulation, Unix ms.
func (r *Retailer) Start() int64 { return r.cfg.Start.UnixMilli() }

// End is the first moment after the simulation, Unix ms.
func (r *Retailer) End() int64 { return r.cfg.Start.Add(r.cfg.Length).UnixMilli() }

// Shopper returns an identifier "user:..." of some customer, for questions about
// them; i may be any number >= 0.
func (r *Retailer) Shopper(i int) string { return "user:" + r.shoppers[i%len(r.shoppers)].user }

// Product returns the id of some product; i may be any number >= 0.
func (r *Retailer) Product(i int) string { return r.products[i%len(r.products)].item.ID }
