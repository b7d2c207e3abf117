//go:build integration

package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/bench/datasets"
)

// TestKilledServerLosesNothingOfTwoDays sends the first two days of a real
// shop through a server that is killed twenty times.
func TestKilledServerLosesNothingOfTwoDays(t *testing.T) {
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, "ga360-events.csv.zst")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real data: %v; set RAPPORT_DATA", err)
	}
	file, err := datasets.Open(path, "ga360")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	twoDays := func(first, at int64) bool { return at >= first+48*time.Hour.Milliseconds() }
	f, err := readFeed(file, twoDays, crashSeed(t))
	if err != nil {
		t.Fatal(err)
	}
	want := f.undisturbed(t)
	t.Run("default settings", func(t *testing.T) { f.compare(t, want, 20) })
	t.Run("many snapshots", func(t *testing.T) { f.compare(t, want, 20, "--snapshot-interval", "0.1s") })
}
