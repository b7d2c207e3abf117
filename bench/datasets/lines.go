package datasets

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"unicode/utf8"
)

// maxLine bounds a line, so that a file that is none of ours takes no memory.
const maxLine = 1 << 20

// lineReader reads lines and rows of separated values.
type lineReader struct {
	r      *bufio.Reader
	line   int // number of the line last read, from 1
	fields [][]byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<18)}
}

// next returns the next line without its end, valid until the next call. A
// line that is too long is skipped and a *RowError.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = l.long(line)
	}
	var row *RowError
	if errors.As(err, &row) {
		return nil, err
	}
	if err != nil && (!errors.Is(err, io.EOF) || len(line) == 0) {
		return nil, err
	}
	l.line++
	if l.line == 1 {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
}

// long puts together a line that is longer than the buffer.
func (l *lineReader) long(start []byte) ([]byte, error) {
	whole := bytes.Clone(start)
	for {
		part, err := l.r.ReadSlice('\n')
		if len(whole) <= maxLine {
			whole = append(whole, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if len(whole) > maxLine {
			l.line++
			return nil, &RowError{Line: l.line, Text: "the line is longer than 1 MiB"}
		}
		return whole, err
	}
}

// row reads a line of n values and returns its number. Quotes as in RFC 4180
// when the separator is a comma. The values are valid until the next call.
func (l *lineReader) row(separator byte, n int) (fields [][]byte, number int, err error) {
	line, err := l.next()
	if err != nil {
		return nil, l.line, err
	}
	if separator == ',' && bytes.IndexByte(line, '"') >= 0 {
		err = l.quoted(line)
	} else {
		l.fields = split(l.fields[:0], line, separator)
	}
	switch {
	case err != nil:
		return nil, l.line, err
	case len(l.fields) != n:
		return nil, l.line, &RowError{Line: l.line, Text: "has " + itoa(len(l.fields)) + " values, not " + itoa(n)}
	}
	for _, field := range l.fields {
		if !utf8.Valid(field) {
			return nil, l.line, &RowError{Line: l.line, Text: "is not valid UTF-8"}
		}
	}
	return l.fields, l.line, nil
}

func split(fields [][]byte, line []byte, separator byte) [][]byte {
	for {
		i := bytes.IndexByte(line, separator)
		if i < 0 {
			return append(fields, line)
		}
		fields = append(fields, line[:i])
		line = line[i+1:]
	}
}

// quoted reads a row with quotes. They close on the same line: a stray quote
// costs one row and not the rest of the file.
func (l *lineReader) quoted(line []byte) error {
	r := csv.NewReader(bytes.NewReader(line))
	r.FieldsPerRecord = -1
	values, err := r.Read()
	if err != nil {
		return &RowError{Line: l.line, Text: "has a quote that does not close on its line, or one inside a value"}
	}
	l.fields = l.fields[:0]
	for _, value := range values {
		l.fields = append(l.fields, []byte(value))
	}
	return nil
}
