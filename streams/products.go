package streams

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// readProperties reads what a track call says of products, carts, orders,
// messages and recommendations.
func readProperties[S, N ~string](s *scratch[S, N], e *Event) error {
	reuse := e.Products
	e.Products = nil
	if e.Properties == nil {
		return nil
	}
	p := &s.props
	if err := s.unmarshal(e.Properties, p); err != nil {
		return err
	}
	if s.loose {
		if err := checkList(e.Properties, "products", "properties."); err != nil {
			return err
		}
	}
	if err := readLine(&p.wireLine, "properties", &e.Product); err != nil {
		return err
	}
	if err := readLines(p, reuse, e); err != nil {
		return err
	}
	if e.Product.ID == "" {
		e.Product = Line{Category: e.Product.Category[:0]}
	}
	if err := readTexts(p, e); err != nil {
		return err
	}
	return readAmounts(p, e)
}

// readTexts reads the properties that are ids and other text.
func readTexts[S, N ~string](p *wireProperties[S, N], e *Event) (err error) {
	order, field := p.OrderID, "properties.order_id"
	if order == "" {
		order, field = p.TransactionID, "properties.transaction_id"
	}
	if e.OrderID, err = plain(order, field, maxID); err != nil {
		return err
	}
	if e.CartID, err = plain(p.CartID, "properties.cart_id", maxID); err != nil {
		return err
	}
	if e.MessageRef, err = plain(p.MessageID, "properties.message_id", maxID); err != nil {
		return err
	}
	if e.RecommendationID, err = plain(p.RecommendationID, "properties.recommendation_id", maxID); err != nil {
		return err
	}
	if e.RecommendationID == "" && e.Name == "Product List Viewed" {
		e.RecommendationID = info(p.ListID)
	}
	e.CartURL, e.Coupon, e.Query = info(p.CartURL), info(p.Coupon), info(p.Query)
	if e.Query == "" {
		e.Query = info(p.SearchTerm)
	}
	switch e.Name {
	case "Product List Viewed", "Product List Filtered":
		if e.Place = info(p.Category); e.Place == "" {
			e.Place = info(p.ListID)
		}
	case "Products Searched":
		e.Place = e.Query
	}
	e.Currency = strings.ToUpper(info(p.Currency))
	return nil
}

// readAmounts reads the numbers of an order and of a place in a list.
func readAmounts[S, N ~string](p *wireProperties[S, N], e *Event) (err error) {
	value, field := p.Total, "properties.total"
	if value == "" {
		value, field = p.Revenue, "properties.revenue"
	}
	if value == "" && p.TransactionID != "" {
		value, field = p.Value, "properties.value"
	}
	if e.Total, e.HasTotal, err = float(value, field, -maxNumber); err != nil {
		return err
	}
	e.Position, _, err = count(p.Position, "properties.position")
	return err
}

// readLines reads properties.products, or Google Analytics' items, into lines.
func readLines[S, N ~string](p *wireProperties[S, N], lines []Line, e *Event) (err error) {
	switch {
	case len(p.Products) > MaxProducts:
		return invalid("properties.products", "must have at most "+strconv.Itoa(MaxProducts)+" lines")
	case len(p.Items) > MaxProducts:
		return invalid("properties.items", "must have at most "+strconv.Itoa(MaxProducts)+" lines")
	case len(p.Products) > 0:
		lines = grow(lines, len(p.Products))
		for i := range p.Products {
			if err = readLine(&p.Products[i], "", &lines[i]); err == nil && lines[i].ID == "" {
				err = invalid(".product_id", "is missing; send product_id or sku")
			}
			if err != nil {
				return under(err, "properties.products", i)
			}
			lines[i].RecommendationID = info(p.Products[i].RecommendationID)
			lines[i].Position, _, _ = count(p.Products[i].Position, "") // 0 where it is none
		}
		e.Products = lines
	case len(p.Items) > 0 && p.Items[0].ID != "":
		return readItems(p.Items, lines, e)
	case emptyProducts(e.Properties):
		e.Products = []Line{}
	}
	return nil
}

// readItems reads the items of Google Analytics 4. The first is the product
// that the event is about, if it names none otherwise.
func readItems[S, N ~string](items []wireItem[S, N], lines []Line, e *Event) (err error) {
	lines = grow(lines, len(items))
	for i := range items {
		item, l := &items[i], &lines[i]
		w := wireLine[S, N]{ProductID: item.ID, Name: item.Name, Brand: item.Brand, Variant: item.Variant,
			Category: item.Category, Quantity: item.Quantity, Price: item.Price}
		if err = readLine(&w, "", l); err == nil && l.ID == "" {
			err = invalid(".item_id", "is missing")
		}
		if err != nil {
			return under(err, "properties.items", i)
		}
		for _, name := range [...]S{item.Category2, item.Category3, item.Category4, item.Category5} {
			l.Category = appendName(l.Category, info(name))
		}
	}
	e.Products = lines
	if e.Product.ID == "" {
		e.Product = lines[0]
		e.Product.Category = slices.Clone(lines[0].Category)
	}
	return nil
}

// grow returns lines with length n, keeping the memory of their categories.
func grow(lines []Line, n int) []Line {
	lines = lines[:cap(lines)]
	if len(lines) < n {
		lines = append(lines, make([]Line, n-len(lines))...)
	}
	return lines[:n]
}

// emptyProducts reports whether properties holds "products": []. It is asked
// only where no line was read.
func emptyProducts(properties []byte) bool {
	// Most events hold no list at all, which is quick to see.
	if bytes.IndexByte(properties, '[') < 0 || !bytes.Contains(properties, []byte(`"products"`)) {
		return false
	}
	var p struct {
		Products *[]json.RawMessage `json:"products"`
	}
	return json.Unmarshal(properties, &p) == nil && p.Products != nil
}

// maxID is the greatest length of an id in properties, in bytes.
const maxID = 256

// readLine reads a product into l, using the memory of its category again.
func readLine[S, N ~string](w *wireLine[S, N], path string, l *Line) (err error) {
	category := l.Category[:0]
	*l = Line{Quantity: 1, Name: info(w.Name), Brand: info(w.Brand), Variant: info(w.Variant),
		URL: info(w.URL), ImageURL: info(w.ImageURL), Category: appendCategory(category, string(w.Category))}
	id, field := w.ProductID, ".product_id"
	if id == "" {
		id, field = w.SKU, ".sku"
	}
	if l.ID, err = plain(id, "", maxID); err != nil {
		return at(err, path, field)
	}
	if quantity, ok, err := count(w.Quantity, ""); err != nil {
		return at(err, path, ".quantity")
	} else if ok {
		l.Quantity, l.HasQuantity = quantity, true
	}
	if l.Price, _, err = float(w.Price, "", 0); err != nil {
		return at(err, path, ".price")
	}
	return nil
}

// at completes an error's field, so that no path is built without an error.
func at(err error, path, field string) error {
	if e, ok := err.(*InvalidError); ok { //nolint:errorlint // made by this package, not wrapped
		e.Field = path + field
	}
	return err
}

// under completes an error's field with the line that it is in.
func under(err error, list string, i int) error {
	return at(err, list+"["+strconv.Itoa(i)+"]", fieldOf(err))
}

func fieldOf(err error) string {
	if e, ok := err.(*InvalidError); ok { //nolint:errorlint // made by this package, not wrapped
		return e.Field
	}
	return ""
}

// appendCategory appends the path that a category names: a string with / or a
// list of names.
func appendCategory(path []string, category string) []string {
	if rest, ok := strings.CutPrefix(category, wrong); ok {
		var list []string
		if json.Unmarshal([]byte(rest), &list) == nil {
			for _, name := range list {
				path = appendName(path, name)
			}
		}
		return path
	}
	for category != "" {
		name, rest, _ := strings.Cut(category, "/")
		path = appendName(path, name)
		category = rest
	}
	return path
}

func appendName(path []string, name string) []string {
	if name = trim(name); name != "" {
		return append(path, name)
	}
	return path
}
