package torture

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// JunkKey is the key of records that are no events.
const JunkKey = "junk"

// Wild makes records as programs write them that know nothing of Rapport: under
// any key, in any order, some twice, and some that are no events at all.
type Wild struct {
	random *rand.Rand
	sender sender
}

// NewWild returns one whose shoppers are not those of a Load with the same seed.
func NewWild(seed uint64) *Wild {
	r := rand.New(rand.NewPCG(seed, 1<<33)) //nolint:gosec // repeatable on purpose
	return &Wild{random: r, sender: sender{load: &Load{Seed: seed}, number: 1000, random: r}}
}

// Records makes some records, and returns the events in them.
func (w *Wild) Records() (records []streams.Record, events []*Event) {
	now := time.Now().UnixMilli()
	for range batchSize {
		e := w.sender.shopper().next(now)
		events = append(events, e)
		rec := streams.Record{Topic: kafka.TopicEvents, Partition: -1, Key: []byte(w.key(e)), Value: e.JSON()}
		records = append(records, rec)
		if !e.Ahead && w.random.IntN(10) == 0 { // of one ahead, the first of two counts, wherever that is
			rec.Key = []byte(w.key(e))
			records = append(records, rec)
		}
	}
	for range w.random.IntN(3) {
		records = append(records, streams.Record{Topic: kafka.TopicEvents, Partition: -1, Key: []byte(JunkKey), Value: w.junk()})
	}
	w.random.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	return records, events
}

// key is mostly what the event's key should be.
func (w *Wild) key(e *Event) string {
	switch w.random.IntN(4) {
	case 0:
		return fmt.Sprint("any", w.random.IntN(100))
	case 1:
		return e.Identifiers[len(e.Identifiers)-1]
	}
	return e.Identifiers[0]
}

// junk is no event.
func (w *Wild) junk() []byte {
	switch w.random.IntN(5) {
	case 0: // bytes of any kind
		b := make([]byte, 1+w.random.IntN(300))
		for i := range b {
			b[i] = byte(w.random.Uint32())
		}
		b[0] = 0xff // never UTF-8
		return b
	case 1: // larger than an event may be
		return fmt.Appendf(nil, `{"type":"page","userId":"big","properties":{"x":%q}}`, strings.Repeat("x", 40_000+w.random.IntN(800_000)))
	case 2: // deep
		return append(bytes.Repeat([]byte(`{"a":`), 5000), '1')
	case 3: // cut off
		return []byte(`{"type":"track","event":"Product Added","userId":"cut","prop`)
	}
	return []byte(`{"type":"track","event":"Product Added","userId":"wrong","properties":{"product_id":"p1","quantity":"many"}}`)
}

// Junk lists records that are no events and have no dead letter, or a letter each
// that nobody sent.
func (l *Log) Junk() (count int, differences []string) {
	letters := map[string]bool{}
	for number := range l.Letters {
		if n, err := streams.ParseEffect(number); err == nil {
			letters[fmt.Sprintf("%d/%d", n.Partition, n.Offset)] = true
			continue
		}
		differences = append(differences, "a dead letter with another number: "+number)
	}
	for p := range l.Events {
		for i := range l.Events[p] {
			rec := &l.Events[p][i]
			if string(rec.Key) != JunkKey {
				continue
			}
			count++
			at := fmt.Sprintf("%d/%d", rec.Partition, rec.Offset)
			if !letters[at] {
				differences = append(differences, "no dead letter: record "+at)
			}
			delete(letters, at)
		}
	}
	for at := range letters {
		differences = append(differences, "a dead letter of what is no junk: record "+at)
	}
	slices.Sort(differences)
	return count, differences
}
