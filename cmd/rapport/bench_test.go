package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBenchRecommend(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	got := rapport(t, strings.Fields("bench recommend --items 200 --profiles 100 --sessions 50 --connections 2 --rate 100 --rounds 1 --duration 200ms --json --html page.html --cpuprofile cpu.pprof")...)
	if got.code != exitDone {
		t.Fatalf("exit %d, %s", got.code, got.stderr)
	}
	var document struct {
		Recommend struct {
			ThroughputRatio float64 `json:"throughput_ratio"`
			P99Ratio        float64 `json:"p99_ratio_half_peak"`
		}
	}
	if err := json.Unmarshal([]byte(got.stdout), &document); err != nil || document.Recommend.ThroughputRatio <= 0 || document.Recommend.P99Ratio <= 0 {
		t.Errorf("%v: %s", err, got.stdout)
	}
	for _, name := range []string{"page.html", "cpu.pprof"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat("data"); err == nil {
		t.Error("a benchmark writes to ./data")
	}
}

func TestBenchIngest(t *testing.T) {
	t.Chdir(t.TempDir())
	got := rapport(t, strings.Fields("bench ingest --items 200 --profiles 200 --connections 2 --rounds 1 --duration 1s")...)
	if got.code != exitDone || !strings.Contains(got.stdout, "consumed and decoded") || !strings.Contains(got.stderr, "round 1 of 1") {
		t.Fatalf("exit %d, %s\n%s", got.code, got.stderr, got.stdout)
	}
}

func TestBenchUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"bench recommend --rate fast":       "--rate: must be numbers",
		"bench recommend --rate 0":          "--rate: must be from 1",
		"bench recommend --items 3":         "--items: must be",
		"bench ingest --rounds 0":           "--rounds: must be",
		"bench ingest --html missing/x.htm": "--html: open missing",
		"bench everything":                  `unknown command "everything"`,
	} {
		if got := rapport(t, strings.Fields(args)...); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("rapport %s: exit %d, %s", args, got.code, got.stderr)
		}
	}
}

func TestBenchAll(t *testing.T) {
	got := rapport(t, strings.Fields("bench all --items 200 --profiles 1500 --sessions 50 --events 2000 --duration 1s --json")...)
	var whole map[string]map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &whole); err != nil || got.code != 0 {
		t.Fatalf("exit %d, %v\n%s\n%s", got.code, err, got.stdout, got.stderr)
	}
	for part, figure := range map[string]string{
		"recommend": "throughput_ratio", "ingest": "batch_events_per_s", "e2e": "p99_ms",
		"pipeline": "events_per_s", "memory": "bytes_per_profile", "restart": "seconds",
	} {
		if _, ok := whole[part][figure]; !ok {
			t.Errorf("no %s.%s", part, figure)
		}
	}
}
