package run

import (
	"strings"
	"testing"
)

func TestWhatGrewIsNamed(t *testing.T) {
	lines := make([]SoakLine, 9)
	for i := range lines {
		lines[i] = SoakLine{Heap: 500, Resident: 900, Goroutines: 200, Files: 100, RecommendP99: 2, EventP99: 9}
	}
	lines[0].Heap, lines[1].RecommendP99 = 9000, 9000 // the first third warms up
	lines[8].EventP99 = 9000                          // one stall
	if got := grew(lines); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	for i := 6; i < 9; i++ {
		lines[i].Heap, lines[i].Files = 700, 150
	}
	got := strings.Join(grew(lines), ";")
	if !strings.Contains(got, "live heap, MB: 700 in the last third, 500") || !strings.Contains(got, "open files") || strings.Contains(got, "p99") {
		t.Errorf("got %q", got)
	}
}
