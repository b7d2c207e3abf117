package reference_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/rapport-engine/rapport/bench/reference"
)

// dataFile returns a file of the real data, and skips the test where there is none.
func dataFile(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real data: %v; set RAPPORT_DATA", err)
	}
	return path
}

// sevenDays is the end of the first seven days of the file.
var sevenDays = time.Date(2016, 8, 8, 0, 0, 0, 0, time.UTC)

func TestEngineDecidesAsTheReferenceOverSevenDays(t *testing.T) {
	path := dataFile(t, "ga360-events.csv.zst")
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	want, err := reference.Run(plain, sevenDays.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	got := engineDecisions(t, path, sevenDays)
	for _, list := range [][]reference.Decision{want, got} {
		slices.SortFunc(list, func(a, b reference.Decision) int {
			return compareText(key(a), key(b))
		})
	}
	if len(want) < 1000 {
		t.Fatalf("the reference made only %d decisions", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("engine differs from the reference (-reference +engine):\n%.4000s", diff)
	}
	t.Logf("%d decisions agree", len(want))
}

func key(d reference.Decision) string {
	return fmt.Sprintf("%s %d %s %d %s", d.Profile, d.At, d.Trigger, d.Step, d.Reason)
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// skips collects the sends not made from the engine's log.
type skips struct {
	slog.Handler
	take func(slog.Record)
}

func (s skips) Enabled(context.Context, slog.Level) bool { return true }

func (s skips) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "not sent" {
		s.take(r)
	}
	return nil
}

var _ = errors.Is
var _ = io.EOF
