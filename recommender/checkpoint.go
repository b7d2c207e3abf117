package recommender

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// ErrBadCheckpoint is returned by Load when what it reads is no checkpoint, is
// damaged, or has another version.
var ErrBadCheckpoint = errors.New("not a usable checkpoint")

// checkpointMagic begins a checkpoint; the digit is the format's version. After
// it come the models as encode writes them and an xxhash64 of all before it.
const checkpointMagic = "RPTREC2\n"

// Save writes a checkpoint of the models and positions as of one moment.
// Learning waits while they are copied, not while they are written.
func (r *Recommender) Save(w io.Writer) error {
	body := append(make([]byte, 0, r.saved.Load()+r.saved.Load()/16), checkpointMagic...)
	r.learning.Lock()
	body = r.models.Load().encode(body)
	r.learning.Unlock()
	r.saved.Store(int64(len(body)) + 8)
	body = binary.LittleEndian.AppendUint64(body, xxhash.Sum64(body))
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("cannot write checkpoint: %w", err)
	}
	return nil
}

// Load replaces models and positions with those of a checkpoint; it may have been
// saved under other bounds, then what does not fit is forgotten. On error, which
// wraps ErrBadCheckpoint or is the reader's, the models stay as they were.
func (r *Recommender) Load(rd io.Reader) error {
	all, err := io.ReadAll(rd)
	if err != nil {
		return fmt.Errorf("cannot read checkpoint: %w", err)
	}
	n := len(all) - 8
	if n < len(checkpointMagic) || string(all[:len(checkpointMagic)]) != checkpointMagic {
		return fmt.Errorf("cannot load checkpoint: no checkpoint of this version: %w", ErrBadCheckpoint)
	}
	if binary.LittleEndian.Uint64(all[n:]) != xxhash.Sum64(all[:n]) {
		return fmt.Errorf("cannot load checkpoint: checksum differs: %w", ErrBadCheckpoint)
	}
	m := newModels(&r.cfg, r.catalogue.items)
	if err := m.decode(all[len(checkpointMagic):n]); err != nil {
		return fmt.Errorf("cannot load checkpoint: %w", err)
	}
	r.learning.Lock()
	defer r.learning.Unlock()
	r.models.Store(m)
	return nil
}
