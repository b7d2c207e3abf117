package engine

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// maxCatalogEffect bounds the value of one effect of catalogue changes, bytes.
const maxCatalogEffect = 256 << 10

// catalogOwner folds `catalog`: it notes each change under its number (its
// offset + 1; 0 is before all), and tells every partition of `events`, with old and new values, so
// that conditions read the catalogue as of a place in their own log (rule 10);
// a kafka.Handler.
type catalogOwner struct{ *Engine }

// Assigned reads on after the last batch that was saved, by whichever process.
func (e catalogOwner) Assigned(ctx context.Context, _ int32) (int64, error) {
	err := e.restoreCatalogue(ctx)
	return e.catalogOffset.Load(), err
}

// Process folds a batch of changes.
func (e catalogOwner) Process(ctx context.Context, _ int32, recs []streams.Record) error {
	var changes []streams.CatalogChange
	for i := range recs {
		if c, ok := e.change(&recs[i]); ok {
			e.catalogue.Put(c.Number, c.ID, c.New)
			changes = append(changes, c)
		}
	}
	if err := e.tellPartitions(ctx, changes); err != nil {
		return err
	}
	prev, next := e.catalogOffset.Load(), recs[len(recs)-1].Offset+1
	if err := e.store.SaveItems(ctx, prev, next, e.itemBlobs(changes)); err != nil {
		return fmt.Errorf("cannot save the catalogue: %w", err)
	}
	e.catalogOffset.Store(next)
	e.noteCatalog(next)
	return nil
}

// Revoked has nothing to write: each batch is saved as it is folded.
func (e catalogOwner) Revoked(context.Context, int32) error { return nil }

// Lost has nothing to drop.
func (e catalogOwner) Lost(int32) {}

// change reads one record of `catalog`; ok is false where nothing changes.
func (e catalogOwner) change(rec *streams.Record) (c streams.CatalogChange, ok bool) {
	c = streams.CatalogChange{Number: rec.Offset + 1, ID: string(rec.Key)}
	c.Old = e.catalogue.At(c.ID, c.Number-1)
	if len(rec.Value) > 0 {
		c.New = new(streams.Item)
		if err := json.Unmarshal(rec.Value, c.New); err != nil || c.New.ID != c.ID {
			e.log.Warn("an item that cannot be read is left as it was", "offset", rec.Offset, "error", err)
			return c, false
		}
	}
	return c, !sameItem(c.Old, c.New) && !olderItem(c.New, c.Old)
}

// tellPartitions sends the changes to every partition of `events`, numbered,
// and waits for the broker.
func (e catalogOwner) tellPartitions(ctx context.Context, changes []streams.CatalogChange) error {
	for len(changes) > 0 {
		recs, n, err := catalogEffects(changes, e.settings.Partitions)
		if err != nil {
			return err
		}
		for p := range recs {
			recs[p].Time = time.Now().UnixMilli()
		}
		if _, err := e.producer.Unlimited().ProduceSync(ctx, recs); err != nil {
			return fmt.Errorf("cannot tell the partitions of a catalogue change: %w", err)
		}
		changes = changes[n:]
	}
	return nil
}

// catalogEffects are the records that tell every partition of the first n
// changes: as many as fit one effect, one at least.
func catalogEffects(changes []streams.CatalogChange, partitions int32) (recs []streams.Record, n int, err error) {
	value, n, err := encodeChanges(changes)
	if err != nil {
		return nil, 0, err
	}
	number := streams.EffectNumber{Topic: kafka.TopicCatalog, Offset: changes[n-1].Number - 1}
	recs = make([]streams.Record, partitions)
	for p := range recs {
		recs[p] = streams.Record{
			Topic: kafka.TopicEvents, Partition: int32(p), Value: value,
			Headers: []streams.Header{
				{Key: streams.HeaderKind, Value: []byte(streams.KindCatalog)},
				{Key: streams.HeaderEffect, Value: []byte(number.String())},
			},
		}
	}
	return recs, n, nil
}

// encodeChanges encodes as many changes as fit one effect, one at least.
func encodeChanges(changes []streams.CatalogChange) (value []byte, n int, err error) {
	n = len(changes)
	for {
		value, err = json.Marshal(streams.CatalogChanges{Changes: changes[:n]})
		if err != nil {
			return nil, 0, fmt.Errorf("cannot encode catalogue changes: %w", err)
		}
		if len(value) <= maxCatalogEffect || n == 1 {
			return value, n, nil
		}
		n = max(1, n*maxCatalogEffect/len(value)*9/10)
	}
}

// onCatalog moves the place at which this partition's conditions read the
// catalogue.
func (w *worker) onCatalog(rec *streams.Record) {
	var c streams.CatalogChanges
	if err := json.Unmarshal(rec.Value, &c); err != nil {
		w.deadLetter(rec, fmt.Errorf("cannot read catalogue changes: %w", err))
		return
	}
	for _, change := range c.Changes {
		w.catalogue.Put(change.Number, change.ID, change.New) // known already where this process owns `catalog`
		w.state.Catalog = max(w.state.Catalog, change.Number)
		if w.state.Work.On {
			w.tellLater(&change)
		} else {
			w.tellInterested(&change)
		}
	}
	w.ask()
	w.onCatalogue(w.state.Catalog)
}

// tellInterested evaluates a change for the customers who may be interested.
func (w *worker) tellInterested(c *streams.CatalogChange) {
	w.state.Work.Told = w.state.Catalog
	if !w.rules.HasItemStarts() || !w.rules.Concerns(c) {
		return
	}
	for _, id := range w.interests.Find(c.ID) {
		w.tellOne(id, c)
	}
}

// tellOne evaluates a change for a customer who may be interested.
func (w *worker) tellOne(id string, c *streams.CatalogChange) {
	p := w.store.Lookup(id)
	if p == nil || p.AliasOf != "" {
		return
	}
	t := w.turn(p, nil)
	w.rules.Before(t)
	w.rules.OnItem(t, c)
	if len(t.Started)+len(t.Flips)+len(t.Skips) > 0 || t.Changed {
		w.store.Changed(p)
		w.emit(t)
	}
}

// itemVersion is one version of an item in the snapshot store.
type itemVersion struct {
	Number int64         `json:"n"`
	Item   *streams.Item `json:"item,omitempty"` // nil: deleted
}

func (e *Engine) itemBlobs(changes []streams.CatalogChange) []snapshot.Blob {
	seen := map[string]bool{}
	blobs := make([]snapshot.Blob, 0, len(changes))
	for _, c := range changes {
		if seen[c.ID] {
			continue
		}
		seen[c.ID] = true
		var versions []itemVersion
		for _, v := range e.catalogue.Versions(c.ID) {
			versions = append(versions, itemVersion{Number: v.Number, Item: v.Item})
		}
		data, err := json.Marshal(versions)
		if err != nil {
			panic("BUG: cannot encode an item: " + err.Error())
		}
		blobs = append(blobs, snapshot.Blob{ID: c.ID, Data: data})
	}
	return blobs
}

// restoreCatalogue loads the items that the store holds.
func (e *Engine) restoreCatalogue(ctx context.Context) error {
	offset, err := e.store.LoadItems(ctx, func(id string, data []byte) error {
		var versions []itemVersion
		if err := json.Unmarshal(data, &versions); err != nil {
			return fmt.Errorf("cannot read item %q: %w", id, err)
		}
		for _, v := range versions {
			e.catalogue.Put(v.Number, id, v.Item)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot restore the catalogue: %w", err)
	}
	e.catalogOffset.Store(offset)
	e.noteCatalog(offset)
	return nil
}

// noteCatalog notes that the catalogue shows every change up to number.
func (e *Engine) noteCatalog(number int64) {
	for seen := e.catalogSeen.Load(); number > seen; seen = e.catalogSeen.Load() {
		if e.catalogSeen.CompareAndSwap(seen, number) {
			return
		}
	}
}

// pruneCatalogue drops versions that no restored partition would read again.
func (e *Engine) pruneCatalogue() {
	lowest := int64(-1)
	for _, p := range e.ownedPartitions() {
		var s state
		if json.Unmarshal(p.saver.last.State, &s) != nil {
			return
		}
		read := min(s.Catalog, s.Work.Told) // of what comes after it old values are read
		if lowest < 0 || read < lowest {
			lowest = read
		}
	}
	if lowest > 0 && len(e.ownedPartitions()) == int(e.settings.Partitions) {
		e.catalogue.Prune(lowest)
	}
}

func sameItem(a, b *streams.Item) bool { return reflect.DeepEqual(a, b) }

// olderItem reports whether a new version says of itself that it is older than
// what is known.
func olderItem(item, known *streams.Item) bool {
	if item == nil || known == nil || item.UpdatedAt == "" || known.UpdatedAt == "" {
		return false
	}
	a, errA := time.Parse(time.RFC3339, item.UpdatedAt)
	b, errB := time.Parse(time.RFC3339, known.UpdatedAt)
	return errA == nil && errB == nil && a.Before(b)
}
