package reference_test

import (
	_ "embed"
	"flag"
	"hash/fnv"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/bench/reference"
	"github.com/rapport-engine/rapport/bench/replay"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

var (
	whole = flag.Bool("whole", false, "compare over the whole of ga360, 92 days, instead of three weeks")
	only  = flag.String("only", "", "compare over these `customers` alone, by commas: anonymous:1,anonymous:2")
)

// chosen reports whether a customer is one of those to compare over.
func chosen(customer string) bool {
	return *only == "" || slices.Contains(strings.Split(*only, ","), customer)
}

//go:embed testdata/shop.yaml
var shopRules []byte

const dayMs = 24 * 60 * 60 * 1000

// august is when the file begins.
var august = time.Date(2016, 8, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// shopConditions say in Go what the conditions of testdata/shop.yaml mean.
var shopConditions = reference.Conditions{
	"size(profile.cart.items) > 0":                              {Holds: func(v *reference.View) bool { return v.CartSize() > 0 }},
	"size(profile.cart.items) == 0":                             {Holds: func(v *reference.View) bool { return v.CartSize() == 0 }},
	"profile.cart.items.exists(i, catalog(i.id).available)":     {Holds: (*reference.View).CartAvailable},
	"item.available":                                            {Holds: (*reference.View).Available},
	"item.available && now - profile.orders.last_at > days(10)": {Holds: func(v *reference.View) bool { return v.Available() && noOrder(v, 10) }},
	"now - profile.orders.last_at > days(10)":                   {Holds: func(v *reference.View) bool { return noOrder(v, 10) }},
	`event.properties.path.startsWith("/asearch") && size(session.viewed) == 0`: {Holds: func(v *reference.View) bool {
		path, _ := v.Event.Properties["path"].(string)
		return len(path) >= 8 && path[:8] == "/asearch" && v.Viewed(v.Session()) == 0
	}},
	"profile.orders.revenue >= 200.0": {Holds: func(v *reference.View) bool { return v.Revenue() >= 200 }},
	"profile.orders.count > 0 && now - profile.orders.last_at > days(10)": {
		Holds:   func(v *reference.View) bool { return v.Orders() > 0 && noOrder(v, 10) },
		Moments: func(v *reference.View) []int64 { return []int64{v.LastOrder() + 10*dayMs} },
	},
	"profile.count('Product Viewed', days(7)) >= 5": {
		Holds: func(v *reference.View) bool { return v.Count("Product Viewed", 7*dayMs) >= 5 },
		Moments: func(v *reference.View) (list []int64) {
			for _, at := range v.Times("Product Viewed") {
				list = append(list, at+7*dayMs)
			}
			return list
		},
	},
}

func noOrder(v *reference.View, days int64) bool { return v.Now-v.LastOrder() > days*dayMs }

// TestTheWholeShop holds the engine to the model over the visitors of a real shop
// with everything on: carts, views, searches, customers to win back, prices that
// fall, segments, quiet hours, caps and holdouts.
func TestTheWholeShop(t *testing.T) {
	days := 21
	if *whole {
		days = 92
	}
	path := dataFile(t, "ga360-events.csv.zst")
	cfg := engine.DefaultConfig()
	cfg.Currency = "USD"
	read, err := reference.Read(shopRules, shopConditions)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Parse(map[string][]byte{"shop.yaml": shopRules})
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	model := reference.New(read, cfg.Timezone, false)
	feeds := runModel(t, model, path, days, true)
	t.Logf("the model took %v", time.Since(started))
	started = time.Now()
	var got watched
	fold := engine.NewFold(cfg, engine.FoldOptions{Rules: set, Watch: got.watch})
	runFold(t, fold, path, feeds)
	t.Logf("the engine took %v", time.Since(started))
	for _, d := range compare(model.Decisions, got) {
		t.Error(d)
	}
	counts := reasons(model.Decisions)
	for _, want := range []string{"abandoned_cart sent", "viewed_item capped", "abandoned_search exited", "win_back holdout", "price_drop sent",
		"big_spender_enter sent", "lapsed_enter sent", "curious_exit sent"} {
		if counts[want] == 0 {
			t.Errorf("there is no %s", want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%s: %d", name, counts[name])
	}
}

// runModel gives the first days of the file to the model, and if asked at the
// beginning of each day its prices, which it returns.
func runModel(t *testing.T, model *reference.Model, path string, days int, priced bool) (feeds [][]*reference.Item) {
	t.Helper()
	file, err := os.Open(path) //nolint:gosec // a file of the data
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	bases, last := map[string]float64{}, int64(0)
	err = reference.GA360(plain, 0, august+int64(days)*dayMs, func(e *reference.Event) error {
		for int64(len(feeds)) <= (e.At-august)/dayMs {
			var feed []*reference.Item
			if priced {
				feed = prices(bases, len(feeds))
			}
			model.Tick(august + int64(len(feeds))*dayMs)
			for _, item := range feed {
				model.PutItem(item)
			}
			feeds = append(feeds, feed)
		}
		for _, l := range append(e.Products, e.Product) {
			if _, known := bases[l.ID]; !known && l.Price > 0 {
				bases[l.ID] = l.Price
			}
		}
		if !chosen(e.IDs[0]) {
			return nil
		}
		last = max(last, e.At)
		model.Tick(e.At)
		model.Take(e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	model.Tick(last)
	model.Finish()
	return feeds
}

// prices are what the products cost on a day, and whether there are any.
func prices(bases map[string]float64, day int) (feed []*reference.Item) {
	for _, sku := range slices.Sorted(maps.Keys(bases)) {
		h := fnv.New32a()
		h.Write([]byte(sku + strconv.Itoa(day)))
		item := &reference.Item{ID: sku, Price: bases[sku], Stock: 5, HasStock: true}
		if h.Sum32()%7 == 0 {
			item.Price = float64(int(bases[sku]*80)) / 100
		}
		if h.Sum32()%23 == 0 {
			item.Stock = 0
		}
		feed = append(feed, item)
	}
	return feed
}

// runFold gives the same to the engine's fold.
func runFold(t *testing.T, fold *engine.Fold, path string, feeds [][]*reference.Item) {
	t.Helper()
	file, err := datasets.Open(path, "ga360")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	days := &dayReader{Reader: file}
	for day, feed := range feeds {
		tick(t, fold, august+int64(day)*dayMs)
		if err := fold.PutItems(t.Context(), catalogue(feed)); err != nil {
			t.Fatal(err)
		}
		days.end = august + int64(day+1)*dayMs
		if _, err := replay.Feed(t.Context(), days, fold, replay.Options{Partitions: fold.Partitions()}); err != nil {
			t.Fatal(err)
		}
	}
}

// tick tells all partitions the time of history.
func tick(t *testing.T, fold *engine.Fold, now int64) {
	t.Helper()
	var records []streams.Record
	for p := range fold.Partitions() {
		records = append(records, streams.Record{Partition: p, Headers: []streams.Header{{Key: streams.HeaderClock, Value: engine.HistoryTick(now)}}})
	}
	if err := fold.Apply(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func catalogue(feed []*reference.Item) (items []*streams.Item) {
	for _, i := range feed {
		item := &streams.Item{ID: i.ID, Price: i.Price, Available: i.Available}
		if i.HasStock {
			item.Stock = new(i.Stock)
		}
		items = append(items, item)
	}
	return items
}

// dayReader ends before the first event of another day, which comes next. It
// leaves out the events of customers who are not chosen.
type dayReader struct {
	datasets.Reader
	end  int64
	held *datasets.Event
}

func (d *dayReader) Next(ev *datasets.Event) error {
	for {
		if err := d.next(ev); err != nil || chosen(string(ev.Key)) {
			return err
		}
	}
}

func (d *dayReader) next(ev *datasets.Event) error {
	if d.held != nil {
		*ev, d.held = *d.held, nil
	} else if err := d.Reader.Next(ev); err != nil {
		return err
	}
	if ev.At < d.end {
		return nil
	}
	copied := *ev
	d.held, *ev = &copied, datasets.Event{}
	return io.EOF
}
