// Package pebble keeps snapshots on the disk of one machine, in a Pebble
// database. One process at a time; a save is one synced batch.
package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rapport-engine/rapport/engine/snapshot"
)

// Options configure a store; the zero value does.
type Options struct {
	Logger *slog.Logger     // nil = none
	Clock  func() time.Time // nil = time.Now; epochs come from it
	NoSync bool             // saves survive a crash of the process, not of the machine
	Memory bool             // keep nothing on disk
}

// Store is a snapshot.Store in a directory.
type Store struct {
	db    *pebble.DB
	clock func() time.Time
	sync  *pebble.WriteOptions

	// mu orders the saves: what Acquire, Save and SaveItems check still holds
	// when they write. Readers do without.
	mu sync.Mutex
}

var _ snapshot.Store = (*Store)(nil)

// Open opens the store in dir, making it if need be. A directory that another
// process has open is refused.
func Open(dir string, o Options) (*Store, error) {
	opts := &pebble.Options{
		Logger:             logger{o.Logger},
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       32 << 20,
		FS:                 vfs.Default, // without disk health checks, whose goroutine outlives a failed Open
	}
	if o.Memory {
		opts.FS = vfs.NewMem()
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("cannot open the snapshots in %q (is another rapport running there?): %w", dir, err)
	}
	s := &Store{db: db, clock: o.Clock, sync: pebble.Sync}
	if s.clock == nil {
		s.clock = time.Now
	}
	if o.NoSync {
		s.sync = pebble.NoSync
	}
	return s, nil
}

// Close closes the database. The store must not be used afterwards.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("cannot close the snapshots: %w", err)
	}
	return nil
}

// Acquire implements snapshot.Store.
func (s *Store) Acquire(_ context.Context, partition int32) (snapshot.Meta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	meta, err := readMeta(s.db, partition)
	if err != nil {
		return snapshot.Meta{}, err
	}
	if meta.State, err = get(s.db, key(kindState, partition, "")); err != nil && !errors.Is(err, snapshot.ErrNotFound) {
		return snapshot.Meta{}, err
	}
	meta.Epoch = max(meta.Epoch+1, s.clock().UnixMilli())
	b := s.db.NewBatch()
	defer b.Close()
	if err := writeMeta(b, partition, meta); err != nil {
		return snapshot.Meta{}, err
	}
	if err := b.Commit(s.sync); err != nil {
		return snapshot.Meta{}, fmt.Errorf("cannot take over partition %d: %w", partition, err)
	}
	return meta, nil
}

// Load implements snapshot.Store.
func (s *Store) Load(ctx context.Context, partition int32, fn func(id string, data []byte) error) error {
	return s.each(ctx, key(kindBlob, partition, ""), fn)
}

// Save implements snapshot.Store.
func (s *Store) Save(_ context.Context, partition int32, prev, next snapshot.Meta, blobs []snapshot.Blob) error {
	if err := snapshot.CheckNext(prev, next); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	held, err := readMeta(s.db, partition)
	if err != nil {
		return err
	}
	if err := snapshot.Refusal(partition, prev, held); err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := writeBlobs(b, key(kindBlob, partition, ""), blobs); err != nil {
		return err
	}
	if err := writeMeta(b, partition, next); err != nil {
		return err
	}
	if err := b.Set(key(kindState, partition, ""), next.State, nil); err != nil {
		return err
	}
	if err := b.Commit(s.sync); err != nil {
		return fmt.Errorf("cannot save the snapshot of partition %d: %w", partition, err)
	}
	return nil
}

// Get implements snapshot.Store.
func (s *Store) Get(_ context.Context, partition int32, id string) ([]byte, snapshot.Meta, error) {
	snap := s.db.NewSnapshot()
	defer snap.Close()
	meta, err := readMeta(snap, partition)
	if err != nil {
		return nil, snapshot.Meta{}, err
	}
	data, err := get(snap, key(kindBlob, partition, id))
	return data, meta, err
}

// Head implements snapshot.Store.
func (s *Store) Head(_ context.Context, partition int32) (snapshot.Meta, error) {
	return readMeta(s.db, partition)
}

// PutObject implements snapshot.Store.
func (s *Store) PutObject(_ context.Context, name string, data []byte) error {
	if err := s.db.Set(key(kindObject, 0, name), data, s.sync); err != nil {
		return fmt.Errorf("cannot save object %q: %w", name, err)
	}
	return nil
}

// GetObject implements snapshot.Store.
func (s *Store) GetObject(_ context.Context, name string) ([]byte, error) {
	return get(s.db, key(kindObject, 0, name))
}

// SaveItems implements snapshot.Store.
func (s *Store) SaveItems(_ context.Context, prevOffset, nextOffset int64, items []snapshot.Blob) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, err := readInt(s.db, key(kindCount, 0, countItems))
	if err != nil {
		return err
	}
	if held != prevOffset {
		return fmt.Errorf("cannot save items: they follow offset %d, the store is at %d: %w", prevOffset, held, snapshot.ErrDiverged)
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := writeBlobs(b, key(kindItem, 0, ""), items); err != nil {
		return err
	}
	if err := b.Set(key(kindCount, 0, countItems), binary.BigEndian.AppendUint64(nil, uint64(nextOffset)), nil); err != nil {
		return err
	}
	if err := b.Commit(s.sync); err != nil {
		return fmt.Errorf("cannot save items: %w", err)
	}
	return nil
}

// LoadItems implements snapshot.Store.
func (s *Store) LoadItems(ctx context.Context, fn func(id string, data []byte) error) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	offset, err := readInt(s.db, key(kindCount, 0, countItems))
	if err != nil {
		return 0, err
	}
	return offset, s.each(ctx, key(kindItem, 0, ""), fn)
}

// CheckPartitions implements snapshot.Store.
func (s *Store) CheckPartitions(_ context.Context, n int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, err := readInt(s.db, key(kindCount, 0, countPartitions))
	switch {
	case err != nil:
		return err
	case held == 0:
		err := s.db.Set(key(kindCount, 0, countPartitions), binary.BigEndian.AppendUint64(nil, uint64(n)), s.sync)
		if err != nil {
			return fmt.Errorf("cannot record the number of partitions: %w", err)
		}
		return nil
	case held != int64(n):
		return snapshot.PartitionsError(int32(held), n)
	}
	return nil
}

// The first byte of a key says what it is of; the partition (big-endian) and
// a name follow.
const (
	kindBlob   = 'b'
	kindCount  = 'c'
	kindItem   = 'i'
	kindMeta   = 'm'
	kindObject = 'o'
	kindState  = 's'
)

// Names under kindCount.
const (
	countPartitions = "partitions"
	countItems      = "items"
)

func key(kind byte, partition int32, name string) []byte {
	k := make([]byte, 0, 5+len(name))
	k = binary.BigEndian.AppendUint32(append(k, kind), uint32(partition))
	return append(k, name...)
}

func writeBlobs(b *pebble.Batch, prefix []byte, blobs []snapshot.Blob) error {
	k := bytes.Clone(prefix)
	for i := range blobs {
		k = append(k[:len(prefix)], blobs[i].ID...)
		var err error
		if blobs[i].Data == nil {
			err = b.Delete(k, nil)
		} else {
			err = b.Set(k, blobs[i].Data, nil)
		}
		if err != nil {
			return fmt.Errorf("cannot write %q: %w", blobs[i].ID, err)
		}
	}
	return nil
}

func writeMeta(b *pebble.Batch, partition int32, meta snapshot.Meta) error {
	encoded, err := json.Marshal(meta)
	if err != nil {
		return fmt.Errorf("cannot encode the head of partition %d: %w", partition, err)
	}
	return b.Set(key(kindMeta, partition, ""), encoded, nil)
}

func readMeta(r pebble.Reader, partition int32) (snapshot.Meta, error) {
	var meta snapshot.Meta
	encoded, err := get(r, key(kindMeta, partition, ""))
	if errors.Is(err, snapshot.ErrNotFound) {
		return meta, nil
	}
	if err != nil {
		return meta, err
	}
	if err := json.Unmarshal(encoded, &meta); err != nil {
		return meta, fmt.Errorf("cannot read the head of partition %d: %w", partition, err)
	}
	return meta, nil
}

// readInt returns 0 where there is nothing.
func readInt(r pebble.Reader, k []byte) (int64, error) {
	v, err := get(r, k)
	switch {
	case errors.Is(err, snapshot.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, err
	case len(v) != 8:
		return 0, fmt.Errorf("cannot read %q: %d bytes instead of 8", k[5:], len(v))
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

// get copies the value, which Pebble would reuse.
func get(r pebble.Reader, k []byte) ([]byte, error) {
	v, closer, err := r.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, snapshot.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", k, err)
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}

// each calls fn with what is under prefix, as of now.
func (s *Store) each(ctx context.Context, prefix []byte, fn func(id string, data []byte) error) (err error) {
	upper := bytes.Clone(prefix)
	for i := len(upper) - 1; i >= 0; i-- { // the next prefix of this length
		if upper[i]++; upper[i] != 0 {
			break
		}
	}
	it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: prefix, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("cannot read the snapshots: %w", err)
	}
	defer func() {
		if e := it.Close(); err == nil && e != nil {
			err = fmt.Errorf("cannot read the snapshots: %w", e)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read the snapshots: %w", err)
		}
		if err := fn(string(it.Key()[len(prefix):]), bytes.Clone(v)); err != nil {
			return err
		}
	}
	return it.Error()
}

// logger passes Pebble's log on; its Fatalf must not return.
type logger struct{ to *slog.Logger }

func (l logger) Infof(format string, args ...any) {
	if l.to != nil {
		l.to.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l logger) Errorf(format string, args ...any) {
	if l.to != nil {
		l.to.Error("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l logger) Fatalf(format string, args ...any) {
	panic("pebble: " + fmt.Sprintf(format, args...))
}
