package engine_test

import (
	"testing"

	"github.com/rapport-engine/rapport/engine"

	"github.com/rapport-engine/rapport/streams"
)

// TestItemsShowWhenWritten reads what was written at once: the next change of an
// item is made of it.
func TestItemsShowWhenWritten(t *testing.T) {
	r := start(t, testConfig(t.TempDir()), engine.Options{})
	for n := range 20 {
		price := float64(n + 1)
		if _, err := r.PutItems(t.Context(), []*streams.Item{{ID: "a", Price: price}}); err != nil {
			t.Fatal(err)
		}
		if got := r.Item("a"); got == nil || got.Price != price {
			t.Fatalf("change %d shows %+v", n, got)
		}
	}
	if err := r.DeleteItem(t.Context(), "a"); err != nil || r.Item("a") != nil {
		t.Errorf("deleted: %v, %+v", err, r.Item("a"))
	}
}
