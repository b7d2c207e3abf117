package engine

import (
	"bytes"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// told makes a record of a call, with a tick of history at a time.
func told(at int64, call string) streams.Record {
	return streams.Record{Partition: -1, Key: []byte("any"), Value: []byte(call),
		Headers: []streams.Header{{Key: streams.HeaderClock, Value: HistoryTick(at)}}}
}

// A timer that is still queued for an identifier which has become an alias does
// nothing: a process that starts in between has no such timer, and must come to
// the same state.
func TestTimersOfAnAliasDoNothing(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Partitions = 1
	const start = 1_780_000_000_000
	fold := func(restart bool) (state []byte, blobs map[string]string) {
		f := NewFold(cfg, FoldOptions{})
		f.SetRules(rules.BuiltIn())
		for _, rec := range []streams.Record{
			told(start, `{"type":"track","event":"Product Added","messageId":"1","anonymousId":"a","properties":{"product_id":"p1"}}`),
			told(start+1000, `{"type":"identify","messageId":"2","userId":"1","anonymousId":"a"}`),
			told(start+86_400_000, `{"type":"page","messageId":"3","userId":"1"}`),
		} {
			if err := f.Apply(t.Context(), []streams.Record{rec}); err != nil {
				t.Fatal(err)
			}
			if restart {
				f.Restart()
			}
		}
		state, list, err := f.Snapshot(0)
		if err != nil {
			t.Fatal(err)
		}
		blobs = map[string]string{}
		for _, b := range list {
			blobs[b.ID] = string(b.Data)
		}
		return state, blobs
	}
	state, blobs := fold(false)
	again, others := fold(true)
	if diff := cmp.Diff(string(state), string(again)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(blobs, others); diff != "" || blobs["anonymous:a"] == "" {
		t.Errorf("profiles (-at once +restarted):\n%s", diff)
	}
}

// A fold that follows the logs of several partitions, one after the other, comes
// to the state that the partitions had.
func TestFoldFollowsLogs(t *testing.T) {
	logs := foldedLogs(t, 5)
	want := refold(t, logs, 5, 0, new(atomic.Int64))
	cfg := DefaultConfig()
	cfg.Partitions = len(logs)
	f := NewFold(cfg, FoldOptions{})
	for p, log := range logs {
		for i := range log {
			log[i].Partition, log[i].Offset = int32(p), int64(i)
		}
		if err := f.Follow(t.Context(), slices.Clone(log)); err != nil {
			t.Fatal(err)
		}
		state, blobs, err := f.Snapshot(int32(p))
		if err != nil {
			t.Fatal(err)
		}
		if string(state) != want[p].State {
			t.Errorf("partition %d: state\n%s\nwant\n%s", p, state, want[p].State)
		}
		for _, b := range blobs {
			if !bytes.Equal(b.Data, []byte(want[p].Profiles[b.ID])) {
				t.Errorf("partition %d: profile %s differs", p, b.ID)
			}
		}
		if len(blobs) != len(want[p].Profiles) {
			t.Errorf("partition %d: %d profiles, want %d", p, len(blobs), len(want[p].Profiles))
		}
	}
}
