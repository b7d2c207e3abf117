package engine_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
)

// A log that was deleted under its snapshots is refused, with an explanation;
// with --accept-log-loss its profiles and items stay, and all goes on.
func TestADeletedLogIsRefusedUntilThatIsAccepted(t *testing.T) {
	cfg := testConfig(t.TempDir())
	r := start(t, cfg, engine.Options{MessageLog: io.Discard})
	if _, err := r.PutItems(t.Context(), []*streams.Item{{ID: "p1", Name: "One", Price: 9}}); err != nil {
		t.Fatal(err)
	}
	r.eventually("folded", func() bool { return r.Item("p1") != nil })
	r.history(at(1, "10:10"), track(at(1, "10:05"), "a", "Product Viewed", map[string]any{"product_id": "p1"}),
		track(at(1, "10:06"), "b", "Product Viewed", map[string]any{"product_id": "p1"}))
	r.stop()
	if err := os.RemoveAll(filepath.Join(cfg.Data, "log")); err != nil {
		t.Fatal(err)
	}

	e, err := engine.New(cfg, engine.Options{MessageLog: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	err = e.Run(context.Background())
	if !errors.Is(err, engine.ErrLogLost) || !strings.Contains(err.Error(), "--accept-log-loss") {
		t.Fatalf("run: %v", err)
	}

	r = start(t, cfg, engine.Options{MessageLog: io.Discard, AcceptLogLoss: true})
	if p := r.profile("anonymous:a"); p.Events != 1 {
		t.Errorf("the profile: %v", p)
	}
	if item := r.Item("p1"); item == nil || item.Name != "One" {
		t.Errorf("the item: %v", item)
	}
	if _, err := r.PutItems(t.Context(), []*streams.Item{{ID: "p1", Name: "Two", Price: 9}}); err != nil {
		t.Fatal(err)
	}
	r.eventually("folded", func() bool { return r.Item("p1").Name == "Two" })
	r.history(at(1, "11:00"), track(at(1, "10:50"), "a", "Product Added", map[string]any{"product_id": "p1"}))
	r.stop()

	r = start(t, cfg, engine.Options{MessageLog: io.Discard}) // accepted for good
	if p := r.profile("anonymous:a"); p.Events != 2 {
		t.Errorf("the profile: %v", p)
	}
	r.history(at(1, "13:00"))
	if n := r.Stats().Messages["abandoned_cart"]; n != 1 {
		t.Errorf("%d messages", n)
	}
}
