// Package reference is the engine's conscience: a slow and obvious model of
// what the built-in triggers abandoned_cart and viewed_item decide over a
// ga360 file. It shares no code with the engine: plain maps, one visitor at a
// time, the file's own columns. Tests compare the two, message by message.
package reference

import (
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
	day    = 24 * hour
	never  = int64(-1 << 62)
)

// Decision is a message that was sent, or a send that was not made.
type Decision struct {
	Profile string // "anonymous:<visitor>"
	Trigger string
	Step    int
	At      int64    // Unix ms
	Reason  string   // why not; "" for a message
	ID      string   // of a message
	Items   []string // of a message: "<sku> x<quantity>" (0: only seen), sorted
}

// row is one line of the file.
type row struct {
	line             int
	at               int64
	visitor, event   string
	sku, qty, detail string
}

// Run reads ga360 rows in the order of the file, up to before until (Unix ms),
// and returns every decision in order of profile, then time, then trigger.
func Run(file io.Reader, until int64) ([]Decision, error) {
	reader := csv.NewReader(file)
	reader.FieldsPerRecord = -1
	if _, err := reader.Read(); err != nil {
		return nil, fmt.Errorf("cannot read the header: %w", err)
	}
	visitors := map[string]*visitor{}
	last := int64(0)
	for line := 2; ; line++ {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read line %d: %w", line, err)
		}
		at, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: ts_ms: %w", line, err)
		}
		if at >= until {
			break
		}
		last = max(last, at)
		r := row{line: line, at: at, visitor: fields[1], event: fields[5], sku: fields[6], qty: fields[12], detail: fields[13]}
		v := visitors[r.visitor]
		if v == nil {
			v = newVisitor(r.visitor)
			visitors[r.visitor] = v
		}
		v.passTime(at)
		v.take(r)
	}
	return collect(visitors, last), nil
}

// collect lets the time of all visitors pass to the end of the file.
func collect(visitors map[string]*visitor, end int64) []Decision {
	names := make([]string, 0, len(visitors))
	for name := range visitors {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []Decision
	for _, name := range names {
		visitors[name].passTime(end)
		all = append(all, visitors[name].decisions...)
	}
	return all
}

// messageID is the start of SHA-256 over profile, step and the messageId of
// the event that started the run.
func messageID(trigger string, step int, profile, startedBy string) string {
	sum := sha256.Sum256([]byte(profile + "\x00" + strconv.Itoa(step) + "\x00" + startedBy))
	return fmt.Sprintf("%s.%d.%x", trigger, step, sum[:8])
}
