package datasets

import (
	"bytes"
	"strconv"
)

// Columns of ga360.
const (
	gaTime = iota
	gaVisitor
	gaVisit
	gaVisitNo
	gaHit
	gaEvent
	gaSKU
	gaName
	gaCategory
	gaVariant
	gaBrand
	gaPrice
	gaQuantity
	gaDetail
	gaPath
	gaHost
	gaChannel
	gaSource
	gaMedium
	gaCampaign
	gaDevice
	gaOS
	gaBrowser
	gaCountry
	gaColumns
)

const gaFormat = "ga360"

// maxQuantity is the most that a line may hold. Real visitors typed more, such as
// 10000000000000000; that says no more than that something was added.
const maxQuantity = 1<<31 - 1

var gaEvents = map[string]string{
	"page": "", "list_click": "Product Clicked", "view_item": "Product Viewed",
	"add_to_cart": "Product Added", "remove_from_cart": "Product Removed",
	"checkout": "Checkout Step Viewed", "promo_click": "Promotion Clicked", "purchase": "Order Completed",
}

// ga360 reads hits of Google Analytics 360 as CSV with a header: every row one
// event of an anonymous web visitor. The rows of one transaction each are an
// Order Completed with one line and the same order_id, which the profile
// unites. A checkout row carries its product as plain properties: as
// `products` it would replace the cart by that line.
type ga360 struct {
	lines *lineReader
	out   object
}

func newGA360(l *lineReader) Reader { return &ga360{lines: l} }

// Next implements Reader.
func (g *ga360) Next(ev *Event) error {
	for {
		f, line, err := g.lines.row(',', gaColumns)
		if err != nil {
			return err
		}
		if line == 1 && string(f[gaTime]) == "ts_ms" {
			continue
		}
		return g.event(f, line, ev)
	}
}

func (g *ga360) event(f [][]byte, line int, ev *Event) error {
	at, ok := parseTime(f[gaTime], 1)
	if !ok {
		return &RowError{Line: line, Text: "ts_ms: must be Unix milliseconds, not " + strconv.Quote(string(f[gaTime]))}
	}
	visitor, ok := identifier(f[gaVisitor])
	if !ok {
		return &RowError{Line: line, Text: "visitor: must be 1 to 100 bytes"}
	}
	name, ok := gaEvents[string(f[gaEvent])]
	if !ok {
		return &RowError{Line: line, Text: "event: unknown " + strconv.Quote(string(f[gaEvent]))}
	}
	for i := gaSKU; i < gaColumns; i++ {
		f[i] = known(f[i])
	}
	g.out.b = ev.JSON
	kind := "track"
	if name == "" {
		kind = "page"
	}
	if name == "Checkout Step Viewed" && string(f[gaDetail]) == "step1" {
		name = "Checkout Started"
	}
	g.out.begin(kind, gaFormat, line, at, name)
	g.out.text("anonymousId", visitor)
	if err := g.properties(f, line); err != nil {
		return err
	}
	g.context(f)
	g.out.close()
	ev.JSON, ev.At, ev.Line = g.out.b, at, line
	ev.Key = append(append(ev.Key[:0], "anonymous:"...), visitor...)
	return nil
}

// known is the value without spaces around it, nil for what the shop's tags
// wrote where they knew nothing.
func known(value []byte) []byte {
	value = bytes.TrimSpace(value)
	if string(value) == "(not set)" || string(value) == "${escCatTitle}" {
		return nil
	}
	return value
}

func (g *ga360) properties(f [][]byte, line int) error {
	o := &g.out
	o.open("properties")
	switch string(f[gaEvent]) {
	case "page":
		o.text("path", f[gaPath])
		g.url(f)
	case "promo_click":
		o.text("name", f[gaDetail])
		o.text("promotion_id", f[gaDetail])
	case "purchase":
		if len(f[gaDetail]) == 0 {
			return &RowError{Line: line, Text: "detail: must be the transaction of a purchase"}
		}
		o.text("order_id", f[gaDetail])
		o.string("currency", "USD")
		o.array("products")
		o.open("")
		if err := g.product(f, line); err != nil {
			return err
		}
		o.close()
		o.closeArray()
	default:
		if step, ok := bytes.CutPrefix(f[gaDetail], []byte("step")); ok && string(f[gaEvent]) == "checkout" {
			if n, ok := parseInt(step); ok {
				o.number("step", float64(n))
			}
		}
		o.string("currency", "USD")
		if err := g.product(f, line); err != nil {
			return err
		}
	}
	o.close()
	return nil
}

// product appends the row's product.
func (g *ga360) product(f [][]byte, line int) error {
	o := &g.out
	if len(f[gaSKU]) == 0 {
		return &RowError{Line: line, Text: "sku: must not be empty for " + string(f[gaEvent])}
	}
	o.text("product_id", f[gaSKU])
	o.text("name", f[gaName])
	g.category(f[gaCategory])
	o.text("brand", f[gaBrand])
	o.text("variant", f[gaVariant])
	if micros := f[gaPrice]; len(micros) > 0 {
		n, ok := parseInt(micros)
		if !ok {
			return &RowError{Line: line, Text: "price_micros: must be a whole number >= 0, not " + strconv.Quote(string(micros))}
		}
		o.number("price", float64(n)/1e6)
	}
	if quantity := f[gaQuantity]; len(quantity) > 0 {
		n, ok := parseInt(quantity)
		if !ok {
			return &RowError{Line: line, Text: "qty: must be a whole number >= 0, not " + strconv.Quote(string(quantity))}
		}
		if n <= maxQuantity {
			o.number("quantity", float64(n))
		}
	}
	return nil
}

// category appends the path from the root, such as Home/Apparel, without the
// parts that the shop's tags did not know.
func (g *ga360) category(path []byte) {
	if len(path) == 0 {
		return
	}
	start, empty := len(g.out.b), true
	g.out.name("category")
	g.out.b = append(g.out.b, '"')
	for part := range bytes.SplitSeq(path, []byte("/")) {
		if part = known(part); len(part) == 0 {
			continue
		}
		if !empty {
			g.out.b = append(g.out.b, '/')
		}
		empty = false
		g.out.b = appendEscaped(g.out.b, part)
	}
	g.out.b = append(g.out.b, '"')
	if empty {
		g.out.b = g.out.b[:start]
	}
}

func (g *ga360) context(f [][]byte) {
	o := &g.out
	o.open("context")
	o.string("channel", "web")
	if len(f[gaPath]) > 0 {
		o.open("page")
		o.text("path", f[gaPath])
		g.url(f)
		o.close()
	}
	if len(f[gaSource])+len(f[gaMedium])+len(f[gaCampaign]) > 0 {
		o.open("campaign")
		o.text("name", f[gaCampaign])
		o.text("source", f[gaSource])
		o.text("medium", f[gaMedium])
		o.close()
	}
	if len(f[gaDevice])+len(f[gaOS]) > 0 {
		o.open("device")
		o.text("type", f[gaDevice])
		o.close()
	}
	o.close()
}

func (g *ga360) url(f [][]byte) {
	if len(f[gaHost]) == 0 {
		return
	}
	o := &g.out
	o.name("url")
	o.b = appendEscaped(append(o.b, `"https://`...), f[gaHost])
	o.b = append(appendEscaped(o.b, f[gaPath]), '"')
}
