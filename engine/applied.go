package engine

import (
	"context"
	"time"

	"github.com/rapport-engine/rapport/streams/kafka"
)

// WaitApplied returns when all that was on the log is applied, what that
// caused on the log included.
func (e *Engine) WaitApplied(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	quiet := 0
	for quiet < 2 { // once more: what was applied last may have caused records
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		done, err := e.allApplied(ctx)
		if err != nil {
			return err
		}
		if done {
			quiet++
		} else {
			quiet = 0
		}
	}
	return nil
}

func (e *Engine) allApplied(ctx context.Context) (bool, error) {
	owned := e.ownedPartitions()
	if len(owned) < int(e.settings.Partitions) {
		return false, nil
	}
	for _, p := range owned {
		if !p.effectsAcked() {
			return false, nil
		}
	}
	ends, err := kafka.EndOffsets(ctx, e.client, kafka.TopicEvents)
	if err != nil {
		return false, err
	}
	for _, p := range owned {
		if p.applied.Load() < ends[p.id] {
			return false, nil
		}
	}
	return true, nil
}

// effectsAcked reports whether the broker has all that the partition caused.
func (w *worker) effectsAcked() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.outbox.pending) == 0 && w.outbox.acks.upTo() == w.outbox.batches
}

// Stats sums what the fold has done since the process started.
func (e *Engine) Stats() Counts {
	total := newCounts()
	e.mu.RLock()
	total.add(&e.gone)
	e.mu.RUnlock()
	for _, p := range e.ownedPartitions() {
		p.mu.Lock()
		total.add(&p.counts)
		p.mu.Unlock()
	}
	return total
}

// Readiness is the detail of /readyz.
type Readiness struct {
	Ready      bool   `json:"ready"`
	Partitions int    `json:"partitions"` // restored, of Total
	Total      int    `json:"total"`
	Profiles   int    `json:"profiles"`
	Items      int    `json:"items"`
	Live       bool   `json:"live"`
	Snapshots  string `json:"snapshots"` // "ok", or why they wait
	// Waiting says which partitions wait for the snapshot store in the middle of
	// their logs, and why.
	Waiting []string `json:"waiting,omitempty"`
	// Undelivered says which sinks stand still, messages being missing from the
	// log, and why; Failing which do not succeed at present.
	Undelivered []string `json:"undelivered,omitempty"`
	Failing     []string `json:"failing,omitempty"`
}

// Ready says whether every partition that this process is given is restored,
// what its log had then is applied, and the model has read what the logs of the
// other partitions had.
func (e *Engine) Ready() (bool, any) {
	owned := e.ownedPartitions()
	r := Readiness{Partitions: len(owned), Total: int(e.settings.Partitions), Items: e.catalogue.Len(), Live: e.live.Load(), Snapshots: "ok"}
	caughtUp := true
	for _, p := range owned {
		r.Profiles += p.store.Len()
		if why := p.waits.Load(); why != nil {
			r.Waiting = append(r.Waiting, *why)
		}
		caughtUp = caughtUp && p.applied.Load() >= p.tail
	}
	if err := e.snapshotError.Load(); err != nil {
		r.Snapshots = (*err).Error()
	}
	r.Undelivered, r.Failing, _ = e.deliveryStatus()
	e.mu.RLock()
	running := e.running
	e.mu.RUnlock()
	r.Ready = running && caughtUp && len(owned) > 0 && (len(owned) == r.Total || e.modelRead.Load())
	return r.Ready, r
}

// ProfileBytes is the size of this process's profiles at rest, with their ids.
func (e *Engine) ProfileBytes() int64 {
	bytes := int64(0)
	for _, p := range e.ownedPartitions() {
		bytes += p.store.Bytes()
	}
	return bytes
}
