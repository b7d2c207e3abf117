package api

import (
	"context"
	"errors"
	"time"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

var (
	// ErrNotFound is returned by an Engine when nothing is known under an id.
	ErrNotFound = engine.ErrNotFound
	// ErrUnavailable is returned when the broker or the store is away; nothing
	// was stored, or nobody knows. It is answered as 503.
	ErrUnavailable = engine.ErrUnavailable
	// ErrOverloaded is returned when more is asked for than can be done. It is
	// answered as 429.
	ErrOverloaded = errors.New("overloaded")
)

// InvalidError is returned when the caller must change what it asked; answered
// as 400.
type InvalidError struct{ Detail string }

// Error is the detail: what to change.
func (e *InvalidError) Error() string { return e.Detail }

// Engine is what the API needs. All methods may be called by many goroutines.
type Engine interface {
	Ingester
	Customers
	CatalogueStore

	// Now is the time that answers are given at, Unix ms: the wall clock on a
	// live log, the greatest tick on one of history.
	Now() int64
	// Rules is what runs now.
	Rules() *rules.Set
	// TriggerStats is what a trigger did and earned; ErrNotFound where nothing
	// is known of it.
	TriggerStats(name string) (*engine.TriggerStats, error)
	// SegmentSizes is how many customers are in each segment.
	SegmentSizes() map[string]int64
	// Earned is what each strategy of each placement did, by placement, then
	// strategy, and the names of all placements.
	Earned() (list []recommender.Earned, placements []string)
	// Ready reports whether all partitions of this process are assigned and
	// restored, with a document that says what is missing.
	Ready() (ok bool, detail any)
}

var _ Engine = (*engine.Engine)(nil)

// Ingester writes to the log.
type Ingester interface {
	// Ingest appends the records in their order and returns nil once the
	// broker has acknowledged them all; ErrUnavailable where it is away.
	Ingest(ctx context.Context, records []streams.Record) error
	// DeadLetter stores refused events as durably.
	DeadLetter(ctx context.Context, letters []streams.DeadLetter) error
	// DeadLetters lists the newest refused events first, at most limit, of
	// one reason or of all ("").
	DeadLetters(limit int, reason string) []streams.DeadLetter
	// Partitions is the number of partitions of `events`.
	Partitions() int32
	// Live reports whether the log has had a live event: it takes no history
	// any more.
	Live() bool
}

// Customers answers for customers.
type Customers interface {
	// ReadProfile returns the profile of an identifier, that of a stronger one
	// where it points there, as a copy of the caller's; ErrNotFound where
	// nothing is known. age is how old a copy is that is answered because its
	// store is away, 0 for all others.
	ReadProfile(ctx context.Context, id streams.Identifier) (p *profiles.Profile, age time.Duration, err error)
	// Recommend answers reqs[i] in answers[i]. It fills Request.Customer from
	// the profile of id; the zero Identifier is a stranger, and so is a
	// customer whose profile cannot be had. Answer.Age is as of ReadProfile. An
	// error is
	// recommender.ErrUnknownPlacement, wrapped.
	Recommend(ctx context.Context, id streams.Identifier, reqs []*recommender.Request, dedupe bool, answers []recommender.Answer) error
	// Rank puts req.Items in order in answer, otherwise as Recommend.
	Rank(ctx context.Context, id streams.Identifier, req *recommender.Request, answer *recommender.Answer) error
	// Messages lists messages, newest first, and the cursor of the next page,
	// "" at the end.
	Messages(ctx context.Context, q MessageQuery) (list []streams.Message, next string)
}

// MessageQuery selects messages; the zero value of a field selects all.
type MessageQuery = engine.MessageQuery

// CatalogueStore holds the items.
type CatalogueStore interface {
	// Item returns an item, nil where it is unknown.
	Item(id string) *streams.Item
	// Items lists at most limit items after an id, in order of their ids, and
	// the id to go on after, "" at the end.
	Items(after string, limit int) (list []*streams.Item, next string)
	// PutItems replaces items, in order, and returns once that is durable and
	// Item shows it. One that equals what the catalogue has, or says in
	// updated_at that it is older, writes nothing and counts as unchanged.
	PutItems(ctx context.Context, items []*streams.Item) (unchanged int, err error)
	// DeleteItem removes an item, and returns as PutItems does; an unknown one
	// is no error.
	DeleteItem(ctx context.Context, id string) error
}
