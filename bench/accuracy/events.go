package accuracy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/streams"
)

func itoa(n int) string { return strconv.Itoa(n) }

// usersFile finds the one text file of a directory of users.
func usersFile(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("cannot open data set: %w", err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".zst")
		if strings.HasSuffix(name, ".txt") {
			return name, nil
		}
	}
	return "", fmt.Errorf("cannot open data set: no .txt file of users in %q", dir)
}

// pause ends a session of events, in ms.
const pause = 30 * 60_000

// loadEvents reads the views of a file of events, or of all files of a directory, by
// time. A session is a customer's views with no pause over 30 minutes; the same item
// twice in a row is one view.
func loadEvents(o *Options) (*Data, error) {
	paths := []string{o.Path}
	if info, err := os.Stat(o.Path); err != nil {
		return nil, fmt.Errorf("cannot open data set: %w", err)
	} else if info.IsDir() {
		if paths, err = filepath.Glob(filepath.Join(o.Path, "*")); err != nil {
			return nil, fmt.Errorf("cannot open data set: %w", err)
		}
	}
	var rows []row
	for _, path := range paths {
		var err error
		if rows, err = readEvents(rows, path); err != nil {
			return nil, err
		}
	}
	byTimeOf(rows)
	if o.OnlyViews {
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.item == "" })
	}
	if o.Valid {
		rows = firstHalf(rows)
	}
	var l loader
	l.cases(o, l.sessionsOf(rows, o.OnlyViews))
	if len(l.data.Cases) == 0 {
		return nil, fmt.Errorf("cannot measure on %q: there is no Product Viewed in it", o.Path)
	}
	return &l.data, nil
}

// firstHalf returns the rows up to half of the views.
func firstHalf(rows []row) []row {
	views := 0
	for k := range rows {
		if rows[k].item != "" {
			views++
		}
	}
	for k, half := 0, views/2; k < len(rows); k++ {
		if half == 0 {
			return rows[:k]
		}
		if rows[k].item != "" {
			half--
		}
	}
	return rows
}

// visit is a session while it is read.
type visit struct {
	rows []row
	at   int64
}

// customer is one while their events are read.
type customer struct {
	open   int      // number of the visit in progress, from 1; 0 none
	went   []Place  // since the last view
	recent []string // items viewed last, newest first, each once
}

// known is how many viewed items a profile keeps.
const known = 20

// unseen is how long before a view its customer's way is not known yet when the view
// is asked for, in ms: the page of an item is loaded with the view of it.
const unseen = 2000

// sessionsOf cuts the rows, by time, into sessions.
func (l *loader) sessionsOf(rows []row, onlyViews bool) []step {
	customers := map[string]*customer{}
	var visits []visit
	seen := map[row]bool{} // the same event in two files
	for _, r := range rows {
		if seen[r] {
			continue
		}
		seen[r] = true
		c := customers[r.session]
		if c == nil {
			c = &customer{}
			customers[r.session] = c
		}
		if r.item == "" {
			c.went = append(c.went, r.place)
			continue
		}
		if c.open == 0 || r.at-visits[c.open-1].at > pause {
			visits = append(visits, visit{})
			c.open = len(visits)
		}
		v := &visits[c.open-1]
		v.at = r.at
		if n := len(v.rows); n > 0 && v.rows[n-1].item == r.item {
			continue
		}
		r.session = itoa(c.open - 1)
		if onlyViews {
			r.category = ""
		} else {
			r.around = c.around(r.item, r.at)
		}
		v.rows = append(v.rows, r)
	}
	var steps []step
	for _, v := range visits {
		steps = l.session(steps, v.rows)
	}
	for _, v := range visits {
		for k := range v.rows {
			if a := v.rows[k].around; a != nil {
				l.numberPlaces(a.way)
				l.numberPlaces(a.late)
			}
		}
	}
	return steps
}

// numberPlaces gives the items that something was done with the numbers that they have
// among those viewed.
func (l *loader) numberPlaces(list []Place) {
	for k := range list {
		if p := &list[k]; p.Did && l.items.has(p.Name) {
			p.Item = l.items.of(p.Name) + 1
		}
	}
}

// around is what is known of a customer's view at a time, and notes the view.
func (c *customer) around(item string, at int64) *around {
	a := &around{recent: c.recent}
	for _, p := range c.went {
		switch {
		case at-p.At > pause:
		case at-p.At < unseen:
			a.late = append(a.late, p)
		default:
			a.way = append(a.way, p)
		}
	}
	c.went = c.went[:0]
	recent := append(make([]string, 0, known), item)
	for _, i := range c.recent {
		if i != item && len(recent) < known {
			recent = append(recent, i)
		}
	}
	c.recent = recent
	return a
}

// readEvents appends the views of one file, whose format is told by its first line.
func readEvents(rows []row, path string) (_ []row, err error) {
	format, err := formatOf(path)
	if err != nil {
		return nil, err
	}
	f, err := datasets.Open(path, format)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var d streams.Decoder
	var ev datasets.Event
	var e streams.Event
	for {
		err := f.Next(&ev)
		var bad *datasets.RowError
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case errors.As(err, &bad):
			continue
		case err != nil:
			return nil, err
		}
		if err := d.DecodeStored(slices.Clone(ev.JSON), "", ev.At, ev.At, &e); err != nil {
			continue
		}
		r := row{session: string(ev.Key), at: e.At}
		switch {
		case e.Name == "Product Viewed" && e.Product.ID != "":
			r.item, r.category = strings.Clone(e.Product.ID), strings.Join(e.Product.Category, "/")
		case e.Place != "":
			r.place = Place{Event: e.Name, Name: strings.Clone(e.Place), At: e.At}
		default:
			rows = didWith(rows, r, &e)
			continue
		}
		rows = append(rows, r)
	}
}

// didWith appends what an event says of items but that they were viewed.
func didWith(rows []row, r row, e *streams.Event) []row {
	did := func(id string) {
		if id != "" {
			r.place = Place{Event: e.Name, Name: strings.Clone(id), At: e.At, Did: true}
			rows = append(rows, r)
		}
	}
	did(e.Product.ID)
	for k := range e.Products {
		did(e.Products[k].ID)
	}
	return rows
}

// formatOf tells the format of a file of events.
func formatOf(path string) (string, error) {
	format := ""
	err := lines(filepath.Dir(path), filepath.Base(path), func(_ int, line string) error {
		switch {
		case strings.HasPrefix(line, "{"):
			format = "segment"
		case strings.HasPrefix(line, "ts_ms,"):
			format = "ga360"
		case strings.HasPrefix(line, "Time\t"), strings.HasPrefix(line, "timestamp,"):
			format = "retailrocket"
		case strings.HasPrefix(line, "InvoiceNo,"):
			format = "online-retail"
		default:
			return fmt.Errorf("its first line is of no known format: %.60q", line)
		}
		return io.EOF
	})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && format == "" {
		err = fmt.Errorf("cannot read %q: it is empty", path)
	}
	return format, err
}
