package accuracy

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// row is a click as a file has it.
type row struct {
	session, item string
	at            int64

	// Of events only:
	place    Place   // where the customer went or what else was done; the row has no item then
	category string  // in which the item was viewed
	around   *around // nil where only views are known
}

// around is what is known of a view besides the session before it.
type around struct {
	way, late []Place  // where the customer went since the view before; late, just before this one
	recent    []string // items that the customer viewed last, newest first
}

// numbers gives names small numbers in order of first sight.
type numbers struct {
	byName map[string]uint32
	names  []string
}

func (n *numbers) of(name string) uint32 {
	if n.byName == nil {
		n.byName = map[string]uint32{}
	}
	i, ok := n.byName[name]
	if !ok {
		i = uint32(len(n.names)) //nolint:gosec // fewer than 4 billion names
		n.byName[name] = i
		n.names = append(n.names, name)
	}
	return i
}

func (n *numbers) has(name string) bool { _, ok := n.byName[name]; return ok }

// maxLine is the longest line that is read, in bytes.
const maxLine = 1 << 20

// lines calls fn with each line of a file, which may be compressed with zstd: name,
// or name with .zst.
func lines(dir, name string, fn func(n int, line string) error) (err error) {
	path := filepath.Join(dir, name)
	f, err := os.Open(path) //nolint:gosec // the user names the directory
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.Open(path + ".zst") //nolint:gosec // as above
	}
	if err != nil {
		return fmt.Errorf("cannot open data set: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, done, err := unpack(f)
	if err != nil {
		return fmt.Errorf("cannot decompress %q: %w", f.Name(), err)
	}
	defer done()
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, maxLine)
	n := 0
	for scan.Scan() {
		n++
		if err := fn(n, strings.TrimSuffix(scan.Text(), "\r")); err != nil {
			return fmt.Errorf("cannot read %q: line %d: %w", f.Name(), n, err)
		}
	}
	if err := scan.Err(); err != nil {
		return fmt.Errorf("cannot read %q: line %d: %w", f.Name(), n+1, err)
	}
	return nil
}

func unpack(f io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReaderSize(f, 1<<16)
	magic, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	if !bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return b, func() {}, nil
	}
	d, err := zstd.NewReader(b, zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}

// readRows reads tab-separated SessionId, ItemId, Time (Unix seconds) under a line of
// names.
func readRows(dir, name string) ([]row, error) {
	var rows []row
	err := lines(dir, name, func(n int, line string) error {
		f := strings.Split(line, "\t")
		if n == 1 && f[0] == "SessionId" || line == "" {
			return nil
		}
		if len(f) < 3 || f[0] == "" || f[1] == "" {
			return fmt.Errorf("must be SessionId, ItemId and Time with tabs, not %q", line)
		}
		at, err := strconv.ParseFloat(f[2], 64)
		if err != nil || math.Abs(at) > 1<<40 {
			return fmt.Errorf("time: must be Unix seconds, not %q", f[2])
		}
		rows = append(rows, row{session: f[0], item: f[1], at: int64(math.Round(at * 1000))})
		return nil
	})
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("cannot read %q: there is no click in it", filepath.Join(dir, name))
	}
	return rows, err
}

// byTimeOf sorts clicks by time; equal ones stay in the order of the file.
func byTimeOf(rows []row) {
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.at, b.at) })
}

// bySession gathers the rows of each session, in order of first sight, each by time.
func bySession(rows []row) [][]row {
	var order numbers
	var sessions [][]row
	for _, r := range rows {
		n := order.of(r.session)
		if int(n) == len(sessions) {
			sessions = append(sessions, nil)
		}
		sessions[n] = append(sessions[n], r)
	}
	for _, s := range sessions {
		byTimeOf(s)
	}
	return sessions
}

// readSequences reads lines of ids separated by spaces.
func readSequences(dir, name string) ([][]string, error) {
	var all [][]string
	err := lines(dir, name, func(_ int, line string) error {
		if f := strings.Fields(line); len(f) > 0 {
			all = append(all, f)
		}
		return nil
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("cannot read %q: there is no session in it", filepath.Join(dir, name))
	}
	return all, err
}
