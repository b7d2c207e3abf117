// Package datasets reads recorded behaviour in several formats as Segment
// calls in JSON, ready for the log. Readers stream: memory does not grow with
// the file. A row that cannot be read is an error of that row only.
package datasets

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// Event is one event of a data set. Its slices are valid until the next call
// of Next with the same Event.
type Event struct {
	JSON []byte // one Segment call
	Key  []byte // the strongest identifier, "type:value": the record's key
	At   int64  // when it happened, Unix ms; 0 where the row does not say
	Line int    // in the uncompressed file, from 1, where the event begins

	// Of an event of a log: the record's HeaderTrust, and HeaderKind, which makes
	// it a record of Rapport's own that every partition has.
	Trust []byte
	Kind  string
}

// RowError is returned by Next for a row that is no event; reading can go on.
type RowError struct {
	Line int    // from 1
	Text string // what is wrong
}

// Error is "line 7: text".
func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Reader reads the events of a data set in the order of the file.
type Reader interface {
	// Next reads the next event into ev, using its memory again. It returns
	// io.EOF after the last one and a *RowError for a row that is no event.
	Next(ev *Event) error
}

var formats = map[string]func(*lineReader) Reader{
	"segment":       newSegment,
	"ga360":         newGA360,
	"retailrocket":  newRetailRocket,
	"online-retail": newOnlineRetail,
}

// Formats lists the names that NewReader knows.
func Formats() []string {
	names := make([]string, 0, len(formats))
	for name := range formats {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ErrFormat is returned for a format that there is not.
var ErrFormat = errors.New("unknown format")

// NewReader reads uncompressed rows of the named format.
func NewReader(r io.Reader, format string) (Reader, error) {
	open, ok := formats[format]
	if !ok {
		return nil, fmt.Errorf("%w %q: use one of %s", ErrFormat, format, strings.Join(Formats(), ", "))
	}
	return open(newLineReader(r)), nil
}

// File is a data set in a file, which may be compressed.
type File struct {
	Reader
	Size int64 // of the file on disk, in bytes

	file   *os.File
	read   atomic.Int64
	unpack func()
}

// Open opens a file of the named format; zstd and gzip are recognised by what
// the file begins with.
func Open(path, format string) (*File, error) {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("cannot open data set: %w", err)
	}
	file := &File{file: f, unpack: func() {}}
	if err := file.start(format); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (f *File) start(format string) error {
	info, err := f.file.Stat()
	if err != nil {
		return fmt.Errorf("cannot open data set: %w", err)
	}
	if info.IsDir() {
		return fmt.Errorf("cannot open data set: %q is a directory", f.file.Name())
	}
	f.Size = info.Size()
	r, err := f.decompress(bufio.NewReaderSize(&countingReader{f.file, &f.read}, 1<<18))
	if err != nil {
		return fmt.Errorf("cannot decompress %q: %w", f.file.Name(), err)
	}
	f.Reader, err = NewReader(r, format)
	return err
}

// maxWindow is the memory that a zstd frame may ask for.
const maxWindow = 128 << 20

func (f *File) decompress(r *bufio.Reader) (io.Reader, error) {
	magic, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		f.unpack = d.Close
		return d, nil
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(r)
	}
	return r, nil
}

// Offset is how many bytes of the file have been read, of Size. It may be
// called while another goroutine reads.
func (f *File) Offset() int64 { return f.read.Load() }

// Close closes the file.
func (f *File) Close() error {
	f.unpack()
	return f.file.Close()
}

type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
