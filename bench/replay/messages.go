package replay

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	gojson "github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
)

// MessageReader is what has decided messages.
type MessageReader interface {
	ReadMessages(ctx context.Context, visit func([]streams.Record) error) error
}

// decided is a message as it stands on the log, with what it is sorted by.
type decided struct {
	at    time.Time
	id    string
	value []byte
}

// WriteMessages writes every message to a file, one JSON document a line,
// sorted by at, then id; each id once.
func WriteMessages(ctx context.Context, from MessageReader, path string) error {
	var list []decided
	err := from.ReadMessages(ctx, func(records []streams.Record) error {
		for i := range records {
			var m struct {
				ID string    `json:"id"`
				At time.Time `json:"at"`
			}
			if err := gojson.Unmarshal(records[i].Value, &m); err != nil {
				return fmt.Errorf("cannot decode a message: %w", err)
			}
			list = append(list, decided{m.At, m.ID, bytes.Clone(records[i].Value)})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read messages: %w", err)
	}
	slices.SortStableFunc(list, func(a, b decided) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	list = slices.CompactFunc(list, func(a, b decided) bool { return a.id == b.id })
	return writeLines(path, list)
}

func writeLines(path string, list []decided) (err error) {
	f, err := os.Create(path) //nolint:gosec // the user names the file
	if err != nil {
		return fmt.Errorf("cannot write messages: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for _, m := range list {
		_, _ = w.Write(m.value)
		_ = w.WriteByte('\n')
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("cannot write messages: %w", err)
	}
	return nil
}
