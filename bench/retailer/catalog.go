package retailer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/rapport-engine/rapport/streams"
)

// Brands and everything else in the shop are invented.
var brands = []string{
	"Velmora", "Tarrik", "Osterlin", "Quillo", "Brandle", "Fenholm", "Halvik", "Zemra", "Ullavo",
	"Kestra", "Norrby", "Pellano", "Driva", "Sombel", "Yarrow & Moss", "Teluna",
}

// shelf is a category and what it sells.
type shelf struct {
	category  []string
	low, high float64 // prices, UAH
	things    []string
}

var shelves = []shelf{
	{[]string{"Shoes", "Running"}, 1800, 5200, []string{"running shoes", "trail shoes", "racing flats"}},
	{[]string{"Shoes", "City"}, 1500, 4200, []string{"sneakers", "loafers", "ankle boots"}},
	{[]string{"Clothing", "Jackets"}, 2200, 7800, []string{"rain jacket", "down jacket", "windbreaker"}},
	{[]string{"Clothing", "Shirts"}, 450, 1600, []string{"linen shirt", "cotton tee", "polo shirt"}},
	{[]string{"Kitchen", "Coffee"}, 380, 9400, []string{"moka pot", "pour-over set", "burr grinder"}},
	{[]string{"Kitchen", "Cookware"}, 600, 4800, []string{"cast-iron pan", "stock pot", "chef's knife"}},
	{[]string{"Home", "Lamps"}, 520, 3900, []string{"desk lamp", "floor lamp", "reading light"}},
	{[]string{"Home", "Blankets"}, 640, 2900, []string{"wool blanket", "throw", "quilt"}},
	{[]string{"Outdoor", "Tents"}, 2900, 14800, []string{"two-person tent", "family tent", "tarp"}},
	{[]string{"Outdoor", "Backpacks"}, 1100, 6400, []string{"daypack", "trekking pack", "roll-top pack"}},
	{[]string{"Garden", "Tools"}, 240, 2100, []string{"pruning shears", "hand fork", "watering can"}},
	{[]string{"Sport", "Yoga"}, 330, 1900, []string{"yoga mat", "cork block", "foam roller"}},
}

var series = []string{
	"Alba", "Birk", "Cirrus", "Dune", "Echo", "Fjell", "Grove", "Haven", "Iris", "Juno", "Kite", "Lark",
	"Mira", "Nova", "Oriel", "Pine", "Quarry", "Rill", "Sable", "Tern",
}

// product is an item of the catalogue with what the simulation needs of it.
type product struct {
	item  *streams.Item
	shelf int
}

// newCatalogue invents n products, spread over the shelves; about one in
// twenty is sold out.
func newCatalogue(n int, r *rand.Rand) []product {
	list := make([]product, n)
	for i := range list {
		at := i % len(shelves)
		s := &shelves[at]
		brand, thing := brands[r.IntN(len(brands))], s.things[r.IntN(len(s.things))]
		name := fmt.Sprintf("%s %s %s", brand, series[(i/len(shelves))%len(series)], thing)
		id := fmt.Sprintf("p%04d", 1001+i)
		stock := int64(2 + r.IntN(60))
		if r.IntN(20) == 0 {
			stock = 0
		}
		available := stock > 0
		item := &streams.Item{
			ID: id, Name: name, Category: s.category, Brand: brand, Currency: Currency,
			Price: math.Round((s.low+(s.high-s.low)*r.Float64()*r.Float64())/10) * 10,
			Stock: &stock, Available: &available,
			URL:      "https://shop.example/p/" + id,
			ImageURL: "https://shop.example/i/" + id + ".jpg",
		}
		if r.IntN(6) == 0 {
			item.OldPrice = math.Round(item.Price*1.2/10) * 10
		}
		list[i] = product{item: item, shelf: at}
	}
	return list
}

// categoryPath is the category as events carry it.
func categoryPath(item *streams.Item) string { return strings.Join(item.Category, "/") }
