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
	if o.Valid {
		rows = rows[:len(rows)/2]
	}
	var l loader
	l.cases(o, l.sessionsOf(rows))
	if len(l.data.Cases) == 0 {
		return nil, fmt.Errorf("cannot measure on %q: there is no Product Viewed in it", o.Path)
	}
	return &l.data, nil
}

// visit is a session while it is read.
type visit struct {
	rows []row
	at   int64
}

// sessionsOf cuts the rows, by time, into sessions.
func (l *loader) sessionsOf(rows []row) []step {
	open := map[string]int{}
	var visits []visit
	seen := map[row]bool{} // the same event in two files
	for _, r := range rows {
		if seen[r] {
			continue
		}
		seen[r] = true
		k, ok := open[r.session]
		if !ok || r.at-visits[k].at > pause {
			k = len(visits)
			open[r.session] = k
			visits = append(visits, visit{})
		}
		v := &visits[k]
		v.at = r.at
		if n := len(v.rows); n > 0 && v.rows[n-1].item == r.item {
			continue
		}
		v.rows = append(v.rows, row{itoa(k), r.item, r.at})
	}
	var steps []step
	for _, v := range visits {
		steps = l.session(steps, v.rows)
	}
	return steps
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
		if e.Name == "Product Viewed" && e.Product.ID != "" {
			rows = append(rows, row{strings.Clone(string(ev.Key)), strings.Clone(e.Product.ID), e.At})
		}
	}
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
