package datasets

import (
	"bytes"
	"strconv"
)

const rrFormat = "retailrocket"

var rrEvents = map[string]string{
	"view": "Product Viewed", "addtocart": "Product Added", "transaction": "Order Completed",
}

// retailRocket reads both forms in which RetailRocket's behaviour is passed
// around. Kaggle's events.csv, with commas: timestamp (ms), visitorid, event,
// itemid, transactionid; it is not in time order, so history's clock, the
// running maximum of the times, is what late rows are logged at. And the week
// cut out of it, with tabs and by position, whatever its header says: Time (s),
// UserId, Type, ItemId, SessionId, CatId; it names no transactions, so what a
// session bought is one order, named after the session.
type retailRocket struct {
	lines *lineReader
	out   object
	week  bool
	rows  int // values in a row
	row   rrRow
}

// rrRow is a row of either form.
type rrRow struct {
	at                                   int64
	visitor, kind, item, order, category []byte
}

func newRetailRocket(l *lineReader) Reader { return &retailRocket{lines: l} }

// Next implements Reader.
func (r *retailRocket) Next(ev *Event) error {
	if r.rows == 0 {
		if err := r.detect(); err != nil {
			return err
		}
	}
	for {
		separator := byte(',')
		if r.week {
			separator = '\t'
		}
		f, line, err := r.lines.row(separator, r.rows)
		if err != nil {
			return err
		}
		if line == 1 && (string(f[0]) == "timestamp" || string(f[0]) == "Time") {
			continue
		}
		return r.event(f, line, ev)
	}
}

// detect tells the form by the first line's separator.
func (r *retailRocket) detect() error {
	start, err := r.lines.r.Peek(1)
	for n := 1; err == nil && start[n-1] != '\n' && n < 200; n++ {
		start, err = r.lines.r.Peek(n + 1)
	}
	if len(start) == 0 {
		return err
	}
	r.week, r.rows = bytes.IndexByte(start, '\t') >= 0, 5
	if r.week {
		r.rows = 6
	}
	return nil
}

func (r *retailRocket) event(f [][]byte, line int, ev *Event) error {
	unit := int64(1)
	row := &r.row
	*row = rrRow{visitor: f[1], kind: f[2], item: f[3], order: f[4]}
	if r.week {
		unit = 1000
		row.category = bytes.TrimSpace(f[5])
	}
	var ok bool
	if row.at, ok = parseTime(f[0], unit); !ok {
		return &RowError{Line: line, Text: "time: must be Unix time, not " + strconv.Quote(string(f[0]))}
	}
	name, ok := rrEvents[string(row.kind)]
	if !ok {
		return &RowError{Line: line, Text: "event: unknown " + strconv.Quote(string(row.kind))}
	}
	if row.visitor, ok = identifier(row.visitor); !ok {
		return &RowError{Line: line, Text: "visitor: must be 1 to 100 bytes"}
	}
	if row.item, ok = identifier(row.item); !ok {
		return &RowError{Line: line, Text: "item: must be 1 to 100 bytes"}
	}
	if row.order, ok = identifier(row.order); !ok && row.kind[0] == 't' {
		return &RowError{Line: line, Text: "transaction: must be 1 to 100 bytes"}
	}
	g := &r.out
	g.b = ev.JSON
	g.begin("track", rrFormat, line, row.at, name)
	g.text("anonymousId", row.visitor)
	r.properties(row)
	g.b = append(g.b, `,"context":{"channel":"web"}}`...)
	ev.JSON, ev.At, ev.Line = g.b, row.at, line
	ev.Key = append(append(ev.Key[:0], "anonymous:"...), row.visitor...)
	return nil
}

func (r *retailRocket) properties(row *rrRow) {
	o := &r.out
	o.open("properties")
	if row.kind[0] == 't' {
		o.name("order_id")
		o.b = append(o.b, '"')
		if r.week {
			o.b = append(o.b, "session-"...)
		}
		o.b = append(appendEscaped(o.b, row.order), '"')
		o.array("products")
		o.open("")
	}
	o.text("product_id", row.item)
	o.text("category", row.category)
	if row.kind[0] == 't' {
		o.close()
		o.closeArray()
	}
	o.close()
}
