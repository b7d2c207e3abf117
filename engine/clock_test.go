package engine

import (
	"testing"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// A live event makes its partition's owner tick, also an owner that starts from
// a snapshot taken after the event and before the first tick: without ticks, no
// timer that the event set would ever fire.
func TestLiveEventBeforeTheFirstTickOutlivesARestart(t *testing.T) {
	s := newSimulation(t, 1)
	s.append(0, streams.Record{Topic: kafka.TopicEvents, Key: []byte("user:1"), Time: 1_780_000_000_000,
		Value: []byte(`{"type":"track","event":"Product Added","messageId":"1","userId":"1","properties":{"product_id":"p1"}}`)})
	if err := s.workers[0].process(t.Context(), s.logs[0]); err != nil {
		t.Fatal(err)
	}
	s.snapshot(t, 0)
	s.e.live.Store(false) // another process
	s.restart(t, 0)
	if !s.e.Live() {
		t.Error("nobody would tick after the restart")
	}
}
