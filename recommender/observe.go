package recommender

import "github.com/rapport-engine/rapport/streams"

// Observe learns from one event where it was first logged. Offsets below the
// partition's position were learned before and are ignored. It keeps nothing of
// e's memory.
func (r *Recommender) Observe(partition int32, offset int64, e *streams.Event) {
	r.learning.Lock()
	defer r.learning.Unlock()
	if offset < r.positions[partition] {
		return
	}
	r.positions[partition] = offset + 1
	r.learn(e)
}

func (r *Recommender) learn(*streams.Event) {}
