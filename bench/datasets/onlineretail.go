package datasets

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"time"
)

// Columns of online-retail.
const (
	orInvoice = iota
	orStock
	orDescription
	orQuantity
	orDate
	orPrice
	orCustomer
	orCountry
	orColumns
)

const (
	orFormat = "online-retail"
	orLayout = "2006-01-02 15:04:05"
	// orBytes is about how large an event may become; a longer invoice goes on
	// in another event of the same order.
	orBytes = 24 << 10
	// orErrors is how many bad rows in a row may wait for their event.
	orErrors = 100
)

// onlineRetail reads the orders of UCI's Online Retail as CSV with a header.
// The consecutive rows of one invoice are one Order Completed of customer
// user:<CustomerID>; an invoice without one is a customer of its own,
// anonymous:invoice-<InvoiceNo>. An invoice that starts with C takes goods
// back: an Order Refunded of its own number, for the file does not say which
// order they came from. Rows that sell nothing (no quantity, no price above
// 0, adjustments of bad debt) are row errors. Times are taken as UTC.
type onlineRetail struct {
	lines *lineReader
	out   object
	first orRow // of the next invoice, when ahead
	ahead bool
	queue []error
}

// orRow is one line of an invoice.
type orRow struct {
	line                           int
	at                             int64
	invoice, stock, name, customer []byte
	quantity                       int64
	price                          float64
}

func newOnlineRetail(l *lineReader) Reader { return &onlineRetail{lines: l} }

// Next implements Reader.
func (r *onlineRetail) Next(ev *Event) error {
	if len(r.queue) > 0 {
		err := r.queue[0]
		r.queue = r.queue[1:]
		return err
	}
	if !r.ahead {
		if err := r.read(&r.first); err != nil {
			return err
		}
	}
	r.ahead = false
	first := r.first
	r.begin(&first, ev)
	total := r.product(&first)
	for len(r.out.b) < orBytes {
		err := r.read(&r.first)
		if err != nil {
			r.queue = append(r.queue, err)
			var row *RowError
			if errors.As(err, &row) && len(r.queue) < orErrors {
				continue
			}
			break
		}
		if !bytes.Equal(r.first.invoice, first.invoice) || !bytes.Equal(r.first.customer, first.customer) {
			r.ahead = true
			break
		}
		total += r.product(&r.first)
	}
	// Orders carry no total: a long invoice's second event adds its lines to the
	// order, and their sum with them.
	r.out.closeArray()
	if first.invoice[0] == 'C' {
		r.out.number("total", math.Round(total*100)/100)
	}
	r.out.close()
	r.out.close()
	ev.JSON = r.out.b
	return nil
}

// read reads the next row that sells or takes back something.
func (r *onlineRetail) read(row *orRow) error {
	for {
		f, line, err := r.lines.row(',', orColumns)
		if err != nil {
			return err
		}
		if line == 1 && string(f[orInvoice]) == "InvoiceNo" {
			continue
		}
		return row.parse(f, line)
	}
}

// parse copies what it needs: the values go with the next line.
func (row *orRow) parse(f [][]byte, line int) error {
	invoice, ok := identifier(f[orInvoice])
	if !ok {
		return &RowError{Line: line, Text: "InvoiceNo: must be 1 to 100 bytes"}
	}
	stock, ok := identifier(f[orStock])
	if !ok {
		return &RowError{Line: line, Text: "StockCode: must be 1 to 100 bytes"}
	}
	at, err := time.Parse(orLayout, string(f[orDate]))
	if err != nil || at.UnixMilli() <= 0 {
		return &RowError{Line: line, Text: "InvoiceDate: must be a time such as 2010-12-01 08:26:00, not " + strconv.Quote(string(f[orDate]))}
	}
	quantity, err := strconv.ParseInt(string(f[orQuantity]), 10, 32)
	if invoice[0] == 'C' {
		quantity = -quantity
	}
	if err != nil || quantity <= 0 {
		return &RowError{Line: line, Text: "Quantity: sells nothing: " + strconv.Quote(string(f[orQuantity]))}
	}
	price, err := strconv.ParseFloat(string(f[orPrice]), 64)
	if err != nil || !(price > 0) || math.IsInf(price, 0) {
		return &RowError{Line: line, Text: "UnitPrice: must be a number above 0, not " + strconv.Quote(string(f[orPrice]))}
	}
	customer := bytes.TrimSuffix(bytes.TrimSpace(f[orCustomer]), []byte(".0"))
	if len(customer) > 100 {
		return &RowError{Line: line, Text: "CustomerID: must be at most 100 bytes"}
	}
	*row = orRow{
		line: line, at: at.UnixMilli(), invoice: bytes.Clone(invoice), stock: bytes.Clone(stock),
		name: bytes.Clone(bytes.TrimSpace(f[orDescription])), customer: bytes.Clone(customer),
		quantity: quantity, price: price,
	}
	return nil
}

// begin starts the event of an invoice.
func (r *onlineRetail) begin(row *orRow, ev *Event) {
	name := "Order Completed"
	if row.invoice[0] == 'C' {
		name = "Order Refunded"
	}
	o := &r.out
	o.b = ev.JSON
	o.begin("track", orFormat, row.line, row.at, name)
	if len(row.customer) > 0 {
		o.text("userId", row.customer)
		ev.Key = append(append(ev.Key[:0], "user:"...), row.customer...)
	} else {
		id := append([]byte("invoice-"), row.invoice...)
		o.text("anonymousId", id)
		ev.Key = append(append(ev.Key[:0], "anonymous:"...), id...)
	}
	o.b = append(o.b, `,"context":{"channel":"web"}`...)
	o.open("properties")
	o.text("order_id", row.invoice)
	o.string("currency", "GBP")
	o.array("products")
	ev.At, ev.Line = row.at, row.line
}

// product appends a line and returns what it costs.
func (r *onlineRetail) product(row *orRow) float64 {
	o := &r.out
	o.open("")
	o.text("product_id", row.stock)
	o.text("name", row.name)
	o.number("price", row.price)
	o.number("quantity", float64(row.quantity))
	o.close()
	return row.price * float64(row.quantity)
}
