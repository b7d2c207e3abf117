package recommender

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// ErrBadCheckpoint is returned by Load when what it reads is no checkpoint, is
// damaged, or has another version.
var ErrBadCheckpoint = errors.New("not a usable checkpoint")

const checkpointMagic = "RPTREC1\n"

// Save writes a checkpoint of the models and positions as of one moment.
// Learning waits while it is copied, not while it is written.
func (r *Recommender) Save(w io.Writer) error {
	r.learning.Lock()
	body := r.encode([]byte(checkpointMagic))
	r.learning.Unlock()
	body = binary.LittleEndian.AppendUint64(body, xxhash.Sum64(body))
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("cannot write checkpoint: %w", err)
	}
	return nil
}

// Load replaces models and positions with those of a checkpoint. On error, which
// wraps ErrBadCheckpoint or is the reader's, nothing is changed.
func (r *Recommender) Load(rd io.Reader) error {
	all, err := io.ReadAll(rd)
	if err != nil {
		return fmt.Errorf("cannot read checkpoint: %w", err)
	}
	n := len(all) - 8
	if n < len(checkpointMagic) || string(all[:len(checkpointMagic)]) != checkpointMagic {
		return fmt.Errorf("cannot load checkpoint: %w", ErrBadCheckpoint)
	}
	if binary.LittleEndian.Uint64(all[n:]) != xxhash.Sum64(all[:n]) {
		return fmt.Errorf("cannot load checkpoint: checksum differs: %w", ErrBadCheckpoint)
	}
	if err := r.decode(all[len(checkpointMagic):n]); err != nil {
		return fmt.Errorf("cannot load checkpoint: %w", err)
	}
	return nil
}

func (r *Recommender) encode(b []byte) []byte {
	parts := make([]int32, 0, len(r.models.Load().positions))
	for p := range r.models.Load().positions {
		parts = append(parts, p)
	}
	slices.Sort(parts)
	b = binary.AppendUvarint(b, uint64(len(parts)))
	for _, p := range parts {
		b = binary.AppendVarint(b, int64(p))
		b = binary.AppendVarint(b, r.models.Load().positions[p])
	}
	return b
}

func (r *Recommender) decode(b []byte) error {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)) {
		return ErrBadCheckpoint
	}
	b = b[k:]
	pos := positions{}
	for range n {
		p, k := binary.Varint(b)
		if k <= 0 {
			return ErrBadCheckpoint
		}
		o, m := binary.Varint(b[k:])
		if m <= 0 {
			return ErrBadCheckpoint
		}
		b = b[k+m:]
		pos[int32(p)] = o
	}
	r.learning.Lock()
	r.models.Load().positions = pos
	r.learning.Unlock()
	return nil
}
