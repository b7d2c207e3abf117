package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/rapport-engine/rapport/engine/snapshot"
)

// pieceSize is how much of an object one command carries.
const pieceSize = 1 << 20

// oldPieces is how long pieces of a replaced object, or of one that was never
// finished, stay for those who are reading them.
const oldPieces = 10 * time.Minute

// head of an object: its pieces are under keys of their own, named by the
// write that made them.
type head struct {
	Write  string `json:"write"`
	Pieces int    `json:"pieces"`
	Size   int    `json:"size"`
}

func (s *Store) objectKey(name string) string { return s.prefix + "{o:" + name + "}" }

func (s *Store) pieceKey(name, write string, i int) string {
	return s.objectKey(name) + ":" + write + ":" + strconv.Itoa(i)
}

// PutObject implements snapshot.Store. The pieces are written first; the head
// that points to them makes them count.
func (s *Store) PutObject(ctx context.Context, name string, data []byte) error {
	if err := s.putObject(ctx, name, data); err != nil {
		return fmt.Errorf("cannot save object %q: %w", name, err)
	}
	return nil
}

func (s *Store) putObject(ctx context.Context, name string, data []byte) error {
	h := head{Write: uuid.NewString(), Pieces: (len(data) + pieceSize - 1) / pieceSize, Size: len(data)}
	for i := range h.Pieces {
		piece := data[i*pieceSize : min((i+1)*pieceSize, len(data))]
		if err := s.client.Set(ctx, s.pieceKey(name, h.Write, i), piece, oldPieces).Err(); err != nil {
			return err
		}
	}
	encoded, err := json.Marshal(h)
	if err != nil {
		return err
	}
	var old *redis.StringCmd
	_, err = s.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		old = pipe.Get(ctx, s.objectKey(name))
		for i := range h.Pieces {
			pipe.Persist(ctx, s.pieceKey(name, h.Write, i))
		}
		pipe.Set(ctx, s.objectKey(name), encoded, 0)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if previous, err := old.Bytes(); err == nil {
		return s.expire(ctx, name, previous)
	}
	return nil
}

// expire lets the pieces of a replaced object go.
func (s *Store) expire(ctx context.Context, name string, encoded []byte) error {
	var h head
	if err := json.Unmarshal(encoded, &h); err != nil {
		return err
	}
	pipe := s.client.Pipeline()
	for i := range h.Pieces {
		pipe.Expire(ctx, s.pieceKey(name, h.Write, i), oldPieces)
	}
	_, err := pipe.Exec(ctx)
	return err
}

// GetObject implements snapshot.Store.
func (s *Store) GetObject(ctx context.Context, name string) ([]byte, error) {
	encoded, err := s.client.Get(ctx, s.objectKey(name)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, snapshot.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read object %q: %w", name, err)
	}
	var h head
	if err := json.Unmarshal(encoded, &h); err != nil {
		return nil, fmt.Errorf("cannot read object %q: %w", name, err)
	}
	data := make([]byte, 0, h.Size)
	for i := range h.Pieces {
		piece, err := s.client.Get(ctx, s.pieceKey(name, h.Write, i)).Bytes()
		if err != nil {
			return nil, fmt.Errorf("cannot read piece %d of object %q: %w", i, name, err)
		}
		data = append(data, piece...)
	}
	if len(data) != h.Size {
		return nil, fmt.Errorf("cannot read object %q: %d bytes instead of %d", name, len(data), h.Size)
	}
	return data, nil
}
