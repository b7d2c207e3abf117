package engine

import (
	"context"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

func TestAcknowledgementsCountWithoutGaps(t *testing.T) {
	o := outbox{prev: map[string]string{}, source: streams.EffectNumber{Topic: "events"}}
	var done []func(error)
	produce := func(_ context.Context, _ []streams.Record, f func(error)) { done = append(done, f) }
	for i := range 3 {
		o.begin(&streams.Record{Offset: int64(i)})
		o.event(0, "user:1", []byte("{}"), nil)
		if err := o.flush(t.Context(), produce); err != nil {
			t.Fatal(err)
		}
	}
	for i, step := range []struct{ ack, want int }{{2, 0}, {0, 1}, {1, 3}} {
		done[step.ack](nil)
		if got := o.acks.upTo(); got != int64(step.want) {
			t.Errorf("step %d: acknowledged up to %d, want %d", i, got, step.want)
		}
	}
}
