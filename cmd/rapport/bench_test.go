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

func TestBenchSoakAndScale(t *testing.T) {
	t.Chdir(t.TempDir())
	got := rapport(t, strings.Fields("bench soak --items 200 --profiles 200 --sessions 50 --connections 2 --duration 900ms --every 300ms")...)
	if got.code == exitUsage || !strings.Contains(got.stdout, "a load that goes on") || (got.code == exitFailed) != strings.Contains(got.stdout, "NOT FLAT") {
		t.Errorf("exit %d, %s\n%s", got.code, got.stderr, got.stdout)
	}
	got = rapport(t, strings.Fields("bench scale --items 200 --profiles 100 --sessions 50 --triggers 1 --events 1000 --rounds 1 --json")...)
	if got.code != exitDone || !strings.Contains(got.stdout, `"event_us"`) {
		t.Errorf("exit %d, %s\n%s", got.code, got.stderr, got.stdout)
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
		"bench e2e --rate -1":               "--rate: must be",
		"bench mixed --sessions -1":         "--sessions: must be",
		"bench scale --profiles 10,5":       "--profiles: must be numbers",
		"bench scale --triggers many":       "invalid argument",
		"bench soak --every 9m":             "--every: must be",
	} {
		if got := rapport(t, strings.Fields(args)...); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("rapport %s: exit %d, %s", args, got.code, got.stderr)
		}
	}
}

func TestBenchAll(t *testing.T) {
	t.Chdir(t.TempDir())
	got := rapport(t, strings.Fields("bench all --items 200 --profiles 1500 --sessions 50 --events 2000 --duration 1s --rounds 1 --json --html all.html --curves pictures")...)
	var whole map[string]map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &whole); err != nil || got.code != 0 {
		t.Fatalf("exit %d, %v\n%s\n%s", got.code, err, got.stdout, got.stderr)
	}
	for part, figure := range map[string]string{
		"recommend": "throughput_ratio", "mixed": "p99_ratio", "ingest": "batch_events_per_s", "e2e": "p99_ms",
		"pipeline": "events_per_s", "memory": "bytes_per_profile", "restart": "seconds", "snapshots": "ratio",
	} {
		if _, ok := whole[part][figure]; !ok {
			t.Errorf("no %s.%s", part, figure)
		}
	}
	for _, figure := range []string{"throughput_ratio", "p99_ratio_half_peak", "p99_ratio_ingest"} {
		if _, ok := whole["recommend"][figure]; !ok {
			t.Errorf("no recommend.%s", figure)
		}
	}
	page, err := os.ReadFile("all.html")
	if err != nil || strings.Count(string(page), "<h2>") != 8 || !strings.Contains(string(page), "Where the time goes") || strings.Contains(string(page), "<script") {
		t.Errorf("%v, a page of %d bytes", err, len(page))
	}
	for _, name := range []string{"recommend-1.svg", "mixed-1.svg", "ingest-1.svg", "e2e-1.svg"} {
		if data, err := os.ReadFile(filepath.Join("pictures", name)); err != nil || !strings.HasPrefix(string(data), "<svg") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile("all.json", []byte(got.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := rapport(t, "bench", "compare", "all.json", "all.json"); got.code != exitDone || !strings.Contains(got.stdout, "0 worse, 0 better") {
		t.Errorf("exit %d\n%s\n%s", got.code, got.stdout, got.stderr)
	}
}

func TestBenchCompare(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"old.json": `{"restart": {"seconds": 4}}`, "slower.json": `{"restart": {"seconds": 5}}`, "faster.json": `{"restart": {"seconds": 3}}`,
		"other.json": `{"memory": {"bytes_per_profile": 3}}`, "none.json": `{"restart"`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"old.json slower.json":        {exitFailed, "1 worse, 0 better"},
		"old.json faster.json --json": {exitDone, `"verdict": "better"`},
		"old.json other.json":         {exitUsage, "no figure in common"},
		"old.json none.json":          {exitUsage, "none.json is no JSON document"},
		"old.json missing.json":       {exitUsage, "open missing.json"},
		"old.json":                    {exitUsage, "accepts 2 arg"},
	} {
		got := rapport(t, append([]string{"bench", "compare"}, strings.Fields(args)...)...)
		if got.code != want.code || !strings.Contains(got.stdout+got.stderr, want.text) {
			t.Errorf("compare %s: exit %d\n%s\n%s", args, got.code, got.stdout, got.stderr)
		}
	}
}
