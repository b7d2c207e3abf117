package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// Rules reach the partitions through their logs: what runs in one is what its
// log says (DESIGN.md, rule 10). Whoever offers rules writes them to the store
// first, under their number, for partitions that are restored later.

// offeredObject is the store's object that says which rules were last offered;
// those themselves are under it by number.
const offeredObject = "rules"

// offered says which rules were last offered.
type offered struct {
	Number int64  `json:"number"`
	Hash   string `json:"hash"`
	Done   bool   `json:"done"` // every partition's log has them
}

// rulesRecord is the value of a record of rules: their whole text.
type rulesRecord struct {
	Number int64             `json:"number"`
	Files  map[string]string `json:"files"` // none: those built in
}

func rulesObject(number int64) string { return offeredObject + "/" + strconv.FormatInt(number, 10) }

// SetRules offers rules to all partitions, where they are not what was offered
// last. It returns when the logs have them; each partition goes over to them at
// that place.
func (e *Engine) SetRules(ctx context.Context, set *rules.Set) error {
	e.mu.RLock()
	running := e.running
	e.mu.RUnlock()
	if !running {
		return fmt.Errorf("%w: the engine is not running yet", ErrUnavailable)
	}
	if err := e.offerRules(ctx, set); err != nil {
		return err
	}
	e.rules.Store(set)
	e.model.SetPlacements(placements(set))
	return nil
}

// offerRules writes rules to the store and to the log of every partition,
// unless they are what was offered last.
func (e *Engine) offerRules(ctx context.Context, set *rules.Set) error {
	var last offered
	data, err := e.store.GetObject(ctx, offeredObject)
	if err == nil {
		err = json.Unmarshal(data, &last)
	}
	if err != nil && !errors.Is(err, snapshot.ErrNotFound) {
		return fmt.Errorf("cannot read which rules were offered last: %w", err)
	}
	next := rulesRecord{Number: last.Number + 1, Files: map[string]string{}}
	for name, text := range set.Source() {
		next.Files[name] = string(text)
	}
	hash := hashOf(set)
	if last.Done && last.Hash == hash || last.Number == 0 && len(next.Files) == 0 {
		return nil
	}
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("cannot encode rules: %w", err)
	}
	if err := e.store.PutObject(ctx, rulesObject(next.Number), value); err != nil {
		return fmt.Errorf("cannot store rules: %w", err)
	}
	for _, done := range []bool{false, true} {
		if done {
			if err := e.tellRules(ctx, value); err != nil {
				return err
			}
		}
		if err := e.putOffered(ctx, offered{Number: next.Number, Hash: hash, Done: done}); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) putOffered(ctx context.Context, o offered) error {
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("cannot encode which rules are offered: %w", err)
	}
	if err := e.store.PutObject(ctx, offeredObject, data); err != nil {
		return fmt.Errorf("cannot store which rules are offered: %w", err)
	}
	return nil
}

// tellRules writes a record of rules to every partition and waits for the broker.
func (e *Engine) tellRules(ctx context.Context, value []byte) error {
	recs := make([]streams.Record, e.settings.Partitions)
	for p := range recs {
		recs[p] = streams.Record{Topic: kafka.TopicEvents, Partition: int32(p), Value: value,
			Headers: []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindRules)}}}
	}
	if _, err := e.producer.Unlimited().ProduceSync(ctx, recs); err != nil {
		return fmt.Errorf("cannot tell the partitions of the rules: %w", err)
	}
	return nil
}

// hashOf names a set's text.
func hashOf(set *rules.Set) string {
	h := sha256.New()
	for _, name := range set.SourceNames() {
		fmt.Fprintf(h, "%d %s %d ", len(name), name, len(set.Source()[name]))
		h.Write(set.Source()[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// parsedRules remembers sets by their text, so that the partitions of a process
// share one.
type parsedRules struct {
	mu   sync.Mutex
	sets map[string]*rules.Set // guarded by mu
}

// maxParsed bounds the sets remembered.
const maxParsed = 64

// parse compiles the rules of a record.
func (p *parsedRules) parse(value []byte) (*rules.Set, int64, error) {
	var r rulesRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, 0, fmt.Errorf("cannot read rules: %w", err)
	}
	key := sha256.Sum256(value)
	p.mu.Lock()
	defer p.mu.Unlock()
	if set := p.sets[string(key[:])]; set != nil {
		return set, r.Number, nil
	}
	files := make(map[string][]byte, len(r.Files))
	for name, text := range r.Files {
		files[name] = []byte(text)
	}
	set, err := rules.Parse(files)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot use rules %d: %w", r.Number, err)
	}
	if p.sets == nil || len(p.sets) >= maxParsed {
		p.sets = map[string]*rules.Set{}
	}
	p.sets[string(key[:])] = set
	return set, r.Number, nil
}

// onRules lets the rules of a record run from here on; those that the partition
// has already, or newer ones, stay.
func (w *worker) onRules(rec *streams.Record) {
	set, number, err := w.parseRules(rec.Value)
	switch {
	case err != nil:
		w.deadLetter(rec, err)
	case number > w.state.Rules.Number:
		w.adopt(set, number)
	}
}

// restoreRules takes up the rules that a restored partition had, and those that
// its runs began with.
func (w *worker) restoreRules(ctx context.Context, store snapshot.Store) error {
	r := &w.state.Rules
	if r.Number == 0 {
		return nil
	}
	for _, number := range append(r.Past[:len(r.Past):len(r.Past)], r.Number) {
		if number == 0 {
			w.env.Past[0] = rules.BuiltIn()
			continue
		}
		value, err := store.GetObject(ctx, rulesObject(number))
		if errors.Is(err, snapshot.ErrNotFound) && number != r.Number {
			continue // its runs go on by the rules of now
		}
		if err != nil {
			return fmt.Errorf("cannot restore rules %d: %w", number, err)
		}
		set, _, err := w.parseRules(value)
		if err != nil {
			return err
		}
		if number == r.Number {
			w.use(set)
		} else {
			w.env.Past[number] = set
		}
	}
	return nil
}
