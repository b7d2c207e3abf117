package recommender

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/cespare/xxhash/v2"
)

// ErrBadCheckpoint is returned by Load when what it reads is no checkpoint, is
// damaged, or has another version.
var ErrBadCheckpoint = errors.New("not a usable checkpoint")

// checkpointMagic begins a checkpoint; the digit is the format's version. After
// it come the models as encode writes them and an xxhash64 of all before it.
const checkpointMagic = "RPTREC6\n"

// maxWaiting is how many lessons wait for a checkpoint to be copied before
// learning does.
const maxWaiting = 1 << 20

// drainBatch is how many of them are learned at a time.
const drainBatch = 256

// backlog is what was read while the models were copied.
type backlog struct {
	positions positions // as read
	lessons   []lesson
	limit     int
}

// Save writes a checkpoint of the models and positions as of one moment. While
// they are copied, requests are answered from them, and what Observe is given
// waits to be learned: nobody waits for Save.
func (r *Recommender) Save(w io.Writer) error {
	r.saving.Lock()
	defer r.saving.Unlock()
	size := r.saved.Load()
	body := append(make([]byte, 0, size+size/16), checkpointMagic...)
	m := r.freeze()
	body = m.encode(body)
	r.drain(m)
	r.saved.Store(int64(len(body)) + 8)
	body = binary.LittleEndian.AppendUint64(body, xxhash.Sum64(body))
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("cannot write checkpoint: %w", err)
	}
	return nil
}

// freeze stops learning; what is observed waits.
func (r *Recommender) freeze() *models {
	r.learning.Lock()
	defer r.learning.Unlock()
	m := r.models.Load()
	r.waiting = &backlog{positions: maps.Clone(m.positions), limit: maxWaiting}
	return m
}

// drain learns what waited, some at a time, until learning goes on by itself.
func (r *Recommender) drain(m *models) {
	for from := 0; ; {
		r.learning.Lock()
		list := r.waiting.lessons[from:]
		list = list[:min(len(list), drainBatch)]
		for k := range list {
			l := &list[k]
			m.positions[l.partition] = l.next
			m.learn(l)
		}
		from += len(list)
		done := from == len(r.waiting.lessons)
		if done {
			m.positions = r.waiting.positions
			r.waiting = nil
			r.drained.Broadcast()
		}
		r.learning.Unlock()
		if done {
			return
		}
	}
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
	r.saving.Lock()
	defer r.saving.Unlock()
	r.learning.Lock()
	defer r.learning.Unlock()
	r.models.Store(m)
	return nil
}
