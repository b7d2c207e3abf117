// Package snapshot is what the engine needs of a store for snapshots: the
// state of each partition with the offset that it stands for, written whole or
// not at all, by one owner at a time; and a few shared objects beside them.
//
// Package pebble is the store of one machine, package redis that of several;
// package snapshottest is the suite that both pass.
package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// Blob is one profile of a partition at rest, or one item of the catalogue.
// Nil Data deletes it.
type Blob = profiles.Blob

// Errors that callers tell apart.
var (
	// ErrFenced is returned when another owner has taken the partition since.
	ErrFenced = errors.New("the partition has a newer owner")
	// ErrDiverged is returned when the store does not hold the snapshot that
	// the new one follows: it has gone back to an older one, or lost it.
	ErrDiverged = errors.New("the store does not hold the snapshot that this one follows")
	// ErrNotFound is returned when there is nothing under that name.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable is returned when the store cannot be reached, or cannot
	// serve now: nothing is lost, the next try may succeed.
	ErrUnavailable = errors.New("the snapshot store is unavailable")
	// ErrPartitions is returned when the store belongs to a log of another
	// number of partitions.
	ErrPartitions = errors.New("the number of partitions has changed")
)

// Meta says what a snapshot is of. Epoch, Number and Offset together name it.
type Meta struct {
	Epoch       int64  `json:"epoch"`        // of the owner that wrote it
	Number      int64  `json:"number"`       // counts a partition's snapshots, from 1; 0 = none yet
	Offset      int64  `json:"offset"`       // the next record to read
	LeaderEpoch int32  `json:"leader_epoch"` // of the record before Offset; -1 unknown
	TopicID     string `json:"topic_id"`
	Fold        int    `json:"fold"` // version of the fold that wrote it
	At          int64  `json:"at"`   // Unix ms when it was taken
	State       []byte `json:"-"`    // the partition's own state, opaque
}

// Same reports whether m and o name the same snapshot.
func (m Meta) Same(o Meta) bool {
	return m.Epoch == o.Epoch && m.Number == o.Number && m.Offset == o.Offset
}

// Store keeps snapshots. All methods may be called by several goroutines, but
// those of one partition's owner follow each other.
type Store interface {
	// Acquire takes a partition over from any earlier owner, whose saves are
	// refused from then on, and returns its latest snapshot with the new
	// owner's Epoch in it: the greater of the last one + 1 and the store's
	// clock in ms. Where there is none, the rest of Meta is zero.
	Acquire(ctx context.Context, partition int32) (Meta, error)
	// Load calls fn with each blob of the latest snapshot, in any order, from
	// one goroutine. fn may keep data, but must not change it. A blob that is
	// saved meanwhile is that of either snapshot.
	Load(ctx context.Context, partition int32, fn func(id string, data []byte) error) error
	// Save replaces snapshot prev, as Acquire or the last Save left it, by
	// next, writing blobs, whole or not at all. next has prev's Epoch and a
	// greater Number. The error is ErrFenced or ErrDiverged where prev is not
	// what the store holds; after any error but these the save may or may not
	// have happened, and may be repeated with the same next and blobs.
	Save(ctx context.Context, partition int32, prev, next Meta, blobs []Blob) error
	// Get reads one blob, by any process, with the Meta (without State) of the
	// snapshot that it belongs to; the Meta comes with ErrNotFound, too.
	Get(ctx context.Context, partition int32, id string) ([]byte, Meta, error)
	// Head is the Meta (without State) of the latest snapshot, with the Epoch of
	// whoever has taken the partition over last; the zero Meta where nobody has.
	Head(ctx context.Context, partition int32) (Meta, error)

	// PutObject keeps data of any size under a name, whole or not at all.
	PutObject(ctx context.Context, name string, data []byte) error
	// GetObject returns it, or ErrNotFound.
	GetObject(ctx context.Context, name string) ([]byte, error)

	// SaveItems writes changed items of the catalogue with the offset that they
	// stand for, whole or not at all; ErrDiverged if the store is not at prevOffset.
	SaveItems(ctx context.Context, prevOffset, nextOffset int64, items []Blob) error
	// LoadItems calls fn with each item and returns the offset that they stand
	// for, 0 where nothing was saved.
	LoadItems(ctx context.Context, fn func(id string, data []byte) error) (offset int64, err error)

	// CheckPartitions records the number of partitions at the first start and
	// afterwards returns ErrPartitions for any other.
	CheckPartitions(ctx context.Context, n int32) error
	Close() error
}

// CheckNext says whether next may follow prev, whatever the store holds.
func CheckNext(prev, next Meta) error {
	if next.Epoch != prev.Epoch || next.Number <= prev.Number {
		return fmt.Errorf("cannot save a snapshot: %d/%d/%d (epoch/number/offset) cannot follow %d/%d/%d",
			next.Epoch, next.Number, next.Offset, prev.Epoch, prev.Number, prev.Offset)
	}
	return nil
}

// Refusal is the error of a save that follows prev where the store holds held;
// nil if held is prev.
func Refusal(partition int32, prev, held Meta) error {
	err := ErrDiverged
	switch {
	case held.Same(prev):
		return nil
	case held.Epoch > prev.Epoch:
		err = ErrFenced
	}
	return fmt.Errorf("cannot save the snapshot of partition %d: it follows %d/%d/%d (epoch/number/offset), the store holds %d/%d/%d: %w",
		partition, prev.Epoch, prev.Number, prev.Offset, held.Epoch, held.Number, held.Offset, err)
}

// PartitionsError is the ErrPartitions of a store made for held partitions, asked for n.
func PartitionsError(held, n int32) error {
	return fmt.Errorf("cannot use the snapshots: they are of %d partitions, the configuration says %d; set partitions: %d, or start with an empty store and replay the log: %w",
		held, n, held, ErrPartitions)
}
