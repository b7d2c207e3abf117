package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// Item returns an item's newest version, nil where the catalogue has none.
func (e *Engine) Item(id string) *streams.Item { return e.catalogue.Get(id) }

// Items lists the catalogue by id, from after on; next is empty at the end.
func (e *Engine) Items(after string, limit int) (items []*streams.Item, next string) {
	var ids []string
	e.catalogue.Range(func(id string, versions []recommender.Version) bool {
		if id > after && len(versions) > 0 && versions[len(versions)-1].Item != nil {
			ids = append(ids, id)
		}
		return true
	})
	slices.Sort(ids)
	if len(ids) > limit {
		ids, next = ids[:limit], ids[limit-1]
	}
	for _, id := range ids {
		if item := e.catalogue.Get(id); item != nil {
			items = append(items, item)
		}
	}
	return items, next
}

// PutItems writes the items that differ from what the catalogue has and are
// not older, and says how many did not.
func (e *Engine) PutItems(ctx context.Context, items []*streams.Item) (unchanged int, err error) {
	recs := make([]streams.Record, 0, len(items))
	for _, item := range items {
		known := e.catalogue.Get(item.ID)
		if sameItem(known, item) || olderItem(item, known) {
			unchanged++
			continue
		}
		value, err := json.Marshal(item)
		if err != nil {
			return 0, fmt.Errorf("cannot encode item %q: %w", item.ID, err)
		}
		recs = append(recs, catalogRecord(item.ID, value))
	}
	return unchanged, e.writeItems(ctx, recs)
}

// writeItems writes to `catalog` and waits until the catalogue shows it.
func (e *Engine) writeItems(ctx context.Context, recs []streams.Record) error {
	offsets, err := e.write(ctx, recs)
	if err != nil || len(offsets) == 0 {
		return err
	}
	last := slices.Max(offsets) + 1
	timeout := time.NewTimer(catalogPatience)
	defer timeout.Stop()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for e.catalogSeen.Load() < last {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout.C:
			return nil // it is durable, and will show
		case <-ticker.C:
		}
	}
	return nil
}

// catalogPatience bounds the wait for a durable change to show.
const catalogPatience = 2 * time.Second

// DeleteItem removes an item, known or not.
func (e *Engine) DeleteItem(ctx context.Context, id string) error {
	if e.catalogue.Get(id) == nil {
		return nil
	}
	return e.writeItems(ctx, []streams.Record{catalogRecord(id, nil)})
}

func catalogRecord(id string, value []byte) streams.Record {
	return streams.Record{Topic: kafka.TopicCatalog, Partition: 0, Key: []byte(id), Value: value, Time: time.Now().UnixMilli()}
}
