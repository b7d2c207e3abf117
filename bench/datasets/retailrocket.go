package datasets

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
)

const rrFormat = "retailrocket"

var rrEvents = map[string]string{
	"view": "Product Viewed", "addtocart": "Product Added", "transaction": "Order Completed",
}

// retailRocket reads both forms in which RetailRocket's behaviour is passed
// around. Kaggle's events.csv, with commas: timestamp (ms), visitorid, event,
// itemid, transactionid. And the week cut out of it, with tabs and by position,
// whatever its header says: Time (s), UserId, Type, ItemId, SessionId, CatId; it
// names no transactions, so what a session bought is one order, named after the
// session. Neither is in time order: all rows are read first (about 60 bytes of
// memory each) and sorted, those of the same time staying in the file's order.
type retailRocket struct {
	lines *lineReader
	out   object
	week  bool
	rows  int // values in a row
	row   rrRow

	text   []byte   // every row's values, each ended by a zero byte
	sorted []rrLine // what is still to come, in order of time
	bad    []*RowError
	fields [][]byte
}

// rrLine is where a row is in text.
type rrLine struct {
	at   int64 // in the file's unit
	from int
	line int
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
		if err := r.readAll(); err != nil {
			return err
		}
	}
	if len(r.bad) > 0 {
		bad := r.bad[0]
		r.bad = r.bad[1:]
		return bad
	}
	if len(r.sorted) == 0 {
		return io.EOF
	}
	next := r.sorted[0]
	r.sorted = r.sorted[1:]
	return r.event(r.split(next.from), next.line, ev)
}

// readAll reads every row and sorts them by time.
func (r *retailRocket) readAll() error {
	separator := byte(',')
	if r.week {
		separator = '\t'
	}
	for {
		f, line, err := r.lines.row(separator, r.rows)
		var bad *RowError
		switch {
		case errors.Is(err, io.EOF):
			slices.SortStableFunc(r.sorted, func(a, b rrLine) int { return cmp.Compare(a.at, b.at) })
			return nil
		case errors.As(err, &bad):
			r.bad = append(r.bad, bad)
		case err != nil:
			return err
		case line == 1 && (string(f[0]) == "timestamp" || string(f[0]) == "Time"):
		default:
			r.keep(f, line)
		}
	}
}

func (r *retailRocket) keep(f [][]byte, line int) {
	if slices.ContainsFunc(f, func(value []byte) bool { return bytes.IndexByte(value, 0) >= 0 }) {
		r.bad = append(r.bad, &RowError{Line: line, Text: "has a zero byte"})
		return
	}
	at, _ := parseTime(f[0], 1) // one that is none is told when its turn comes
	r.sorted = append(r.sorted, rrLine{at: at, from: len(r.text), line: line})
	for _, value := range f {
		r.text = append(append(r.text, value...), 0)
	}
}

// split finds the values of the row that begins at from.
func (r *retailRocket) split(from int) [][]byte {
	r.fields = r.fields[:0]
	for range r.rows {
		end := from + bytes.IndexByte(r.text[from:], 0)
		r.fields = append(r.fields, r.text[from:end])
		from = end + 1
	}
	return r.fields
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
