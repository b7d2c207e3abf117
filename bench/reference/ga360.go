package reference

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// names are what the rows of a ga360 file are called as events.
var names = map[string]string{
	"page": "page", "list_click": "Product Clicked", "view_item": "Product Viewed", "add_to_cart": "Product Added",
	"remove_from_cart": "Product Removed", "checkout": "Checkout Step Viewed", "promo_click": "Promotion Clicked",
	"purchase": "Order Completed",
}

// GA360 reads the rows of a ga360 file, from one time up to before another, in
// the order of the file, and calls do with each event; history's clock is at the
// event's time then.
func GA360(file io.Reader, from, to int64, do func(e *Event) error) error {
	reader := csv.NewReader(file)
	reader.FieldsPerRecord, reader.ReuseRecord = -1, true
	if _, err := reader.Read(); err != nil {
		return fmt.Errorf("cannot read the header: %w", err)
	}
	for line := 2; ; line++ {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read line %d: %w", line, err)
		}
		at, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return fmt.Errorf("line %d: ts_ms: %w", line, err)
		}
		if at < from || at >= to {
			continue
		}
		if e := gaEvent(fields, line, at); e != nil {
			if err := do(e); err != nil {
				return err
			}
		}
	}
}

// gaEvent is a row's event, nil for one that is about a product without saying
// which.
func gaEvent(f []string, line int, at int64) *Event {
	e := &Event{ID: "ga360:" + strconv.Itoa(line), Name: names[f[5]], Channel: "web", At: at, Logged: at,
		IDs: []string{"anonymous:" + strings.Clone(f[1])}, Properties: map[string]any{}}
	detail := strings.TrimSpace(f[13])
	switch f[5] {
	case "page":
		e.Properties["path"] = strings.Clone(strings.TrimSpace(f[14]))
		return e
	case "promo_click":
		return e
	case "checkout":
		if detail == "step1" {
			e.Name = "Checkout Started"
		}
	}
	sku := strings.TrimSpace(f[6])
	if sku == "" || sku == "(not set)" {
		return nil
	}
	l := Line{ID: strings.Clone(sku), Quantity: 1}
	if micros, err := strconv.ParseInt(strings.TrimSpace(f[11]), 10, 64); err == nil {
		l.Price = float64(micros) / 1e6
	}
	// More than that nobody orders: it says that something was added.
	if n, err := strconv.ParseInt(strings.TrimSpace(f[12]), 10, 64); err == nil && n < 1<<31 {
		l.Quantity, l.Given = n, true
	}
	if f[5] == "purchase" {
		e.Order, e.Products = strings.Clone(detail), []Line{l}
	} else {
		e.Product = l
	}
	return e
}
