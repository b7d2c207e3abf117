package run

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/streams"
)

// shop is a catalogue with customers who view, add and order by popularity:
// items are in order of it, and those of one category are met together.
type shop struct {
	seed       uint64
	items      []*streams.Item
	categories int // item i is of category i % categories
	customers  int
}

func newShop(items, customers int, seed uint64) *shop {
	s := &shop{seed: seed, categories: max(1, min(400, items/50)), customers: customers}
	r := s.random(0)
	for i := range items {
		c := i % s.categories
		price := math.Round(math.Exp(5.5+r.NormFloat64())*100) / 100
		stock := int64(r.IntN(200))
		id := fmt.Sprintf("p%06d", i)
		s.items = append(s.items, &streams.Item{
			ID: id, Name: fmt.Sprintf("Product %d of line %d", i, c), URL: "https://shop.example/p/" + id,
			ImageURL: "https://img.shop.example/" + id + ".jpg", Category: []string{"Department " + strconv.Itoa(c%20), "Line " + strconv.Itoa(c)},
			Brand: "Brand " + strconv.Itoa(r.IntN(500)), Price: price, Currency: "UAH", Stock: &stock,
		})
	}
	return s
}

// random is a source of its own for each stream of the same seed.
func (s *shop) random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(s.seed, stream)) }

// walker draws customers, items and sessions; for one goroutine.
type walker struct {
	*shop
	*rand.Rand
	popular *rand.Zipf // of all items
	inLine  *rand.Zipf // of those of a category
}

func (s *shop) walker(stream uint64) *walker {
	r := s.random(stream)
	n := uint64(len(s.items))
	return &walker{
		shop: s, Rand: r,
		popular: rand.NewZipf(r, 1.1, 20, n-1),
		inLine:  rand.NewZipf(r, 1.3, 4, max(1, n/uint64(s.categories))-1),
	}
}

// item is one by popularity.
func (w *walker) item() int { return int(w.popular.Uint64()) }

// near is an item of the same category mostly.
func (w *walker) near(i int) int {
	if w.Float64() < 0.3 {
		return w.item()
	}
	return min(i%w.categories+int(w.inLine.Uint64())*w.categories, len(w.items)-1)
}

// session is the items of a visit, about four.
func (w *walker) session(into []int) []int {
	into = append(into[:0], w.item())
	for len(into) < 15 && w.Float64() < 0.75 {
		into = append(into, w.near(into[len(into)-1]))
	}
	return into
}

// visits are events of many customers at once, each on a visit of about four
// views; for one goroutine.
type visits struct {
	*walker
	open []visit
}

// visit is one that goes on: the items still to come.
type visit struct {
	customer int
	items    []int
}

// visits have so many customers in the shop at a time.
func (s *shop) visits(stream uint64, open int) *visits {
	return &visits{walker: s.walker(stream), open: make([]visit, open)}
}

// next is the customer and the item of the next event.
func (v *visits) next() (customer, item int) {
	at := &v.open[v.IntN(len(v.open))]
	if len(at.items) == 0 {
		at.customer, at.items = v.walker.customer(), v.session(at.items)
	}
	item, at.items = at.items[0], at.items[1:]
	return at.customer, item
}

// customer is the number of any customer.
func (w *walker) customer() int { return w.IntN(w.customers) }

// userID is customer c's identifier without its type.
func userID(c int) string { return strconv.Itoa(1_000_000 + c) }

// customerKey is customer c's identifier, and profile id.
func customerKey(c int) string { return "user:" + userID(c) }

// appendEvent appends a track call as JSON, on one line. Its message id is id in
// hex; an order is named after order.
func (s *shop) appendEvent(b []byte, name string, customer, item int, id, order uint64) []byte {
	it := s.items[item]
	b = append(b, `{"type":"track","event":"`...)
	b = append(b, name...)
	b = append(b, `","messageId":"`...)
	b = load.AppendID(b, id)
	b = append(b, `","userId":"`...)
	b = append(b, userID(customer)...)
	b = append(b, `","context":{"channel":"web","locale":"uk-UA","timezone":"Europe/Kyiv","page":{"path":"/p/`...)
	b = append(b, it.ID...)
	b = append(b, `","referrer":"https://shop.example/"}},"properties":{`...)
	if name == "Order Completed" {
		b = append(b, `"order_id":"o`...)
		b = strconv.AppendUint(b, order, 16)
		b = append(b, `","currency":"UAH","total":`...)
		b = strconv.AppendFloat(b, it.Price, 'f', -1, 64)
		b = append(b, `,"products":[{`...)
		b = appendProduct(b, it)
		return append(b, `,"quantity":1}]}}`...)
	}
	b = appendProduct(b, it)
	return append(b, `,"currency":"UAH"}}`...)
}

func appendProduct(b []byte, it *streams.Item) []byte {
	b = append(b, `"product_id":"`...)
	b = append(b, it.ID...)
	b = append(b, `","name":"`...)
	b = append(b, it.Name...)
	b = append(b, `","category":"`...)
	b = append(b, it.Category[0]...)
	b = append(b, '/')
	b = append(b, it.Category[1]...)
	b = append(b, `","brand":"`...)
	b = append(b, it.Brand...)
	b = append(b, `","price":`...)
	return strconv.AppendFloat(b, it.Price, 'f', -1, 64)
}

// kind is what a customer does with an item, in the shares of a real shop.
func (w *walker) kind() string {
	switch x := w.Float64(); {
	case x < 0.86:
		return "Product Viewed"
	case x < 0.97:
		return "Product Added"
	}
	return "Order Completed"
}
