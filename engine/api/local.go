package api

import (
	"context"
	"errors"
	"sync"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
)

// Local is the Engine of an engine in this process.
func Local(e *engine.Engine) Engine { return &local{Engine: e} }

// local says what the engine says in the API's errors, and makes catalogue
// updates one at a time.
type local struct {
	*engine.Engine

	updating sync.Mutex // held during UpdateItems
}

func translate(err error) error {
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return errors.Join(ErrNotFound, err)
	case errors.Is(err, engine.ErrUnavailable):
		return errors.Join(ErrUnavailable, err)
	}
	return err
}

func (l *local) Ingest(ctx context.Context, records []streams.Record) error {
	return translate(l.Engine.Ingest(ctx, records))
}

func (l *local) DeadLetter(ctx context.Context, letters []streams.DeadLetter) error {
	return translate(l.Engine.DeadLetter(ctx, letters))
}

func (l *local) Profile(ctx context.Context, id streams.Identifier) (*profiles.Profile, error) {
	p, err := l.Engine.Profile(ctx, id)
	return p, translate(err)
}

func (l *local) Recommend(ctx context.Context, id streams.Identifier, reqs []*recommender.Request, dedupe bool, answers []recommender.Answer) error {
	return translate(l.Engine.Recommend(ctx, id, reqs, dedupe, answers))
}

func (l *local) Messages(q MessageQuery) (list []streams.Message, next string) {
	return l.Engine.Messages(q)
}

// UpdateItems writes what each id's item is after all changes to it.
func (l *local) UpdateItems(ctx context.Context, ids []string, change func(i int, old *streams.Item) *streams.Item) error {
	l.updating.Lock()
	defer l.updating.Unlock()
	before, after := map[string]*streams.Item{}, map[string]*streams.Item{}
	for i, id := range ids {
		old, ok := after[id]
		if !ok {
			old = l.Item(id)
			before[id] = old
		}
		after[id] = change(i, old)
	}
	var puts []*streams.Item
	for _, id := range ids {
		item, ok := after[id]
		if !ok {
			continue
		}
		delete(after, id) // an id given twice is written once
		switch {
		case item == before[id]:
		case item != nil:
			puts = append(puts, item)
		default:
			if err := l.DeleteItem(ctx, id); err != nil {
				return translate(err)
			}
		}
	}
	if len(puts) == 0 {
		return nil
	}
	_, err := l.PutItems(ctx, puts)
	return translate(err)
}
