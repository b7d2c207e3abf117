package run_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/bench/run"
)

func TestRecommendMeasuresBothSides(t *testing.T) {
	var told []string
	r, err := run.Recommend(t.Context(), run.RecommendConfig{
		Items: 500, Profiles: 300, Sessions: 200, Seed: 1, Connections: 4, Rates: []float64{200}, Rounds: 2,
		Duration: 200 * time.Millisecond, Progress: func(s string) { told = append(told, s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.ReplyItems != 10 || r.ReplyBytes < 300 {
		t.Errorf("answers have %v items and %d bytes: lists of ten were asked for", r.ReplyItems, r.ReplyBytes)
	}
	if r.ThroughputRatio <= 0 || r.P99RatioHalfPeak <= 0 || len(r.Rates) != 1 || r.Rates[0].Rapport.P99.Median <= 0 || r.Rates[0].Floor.P99.Median <= 0 {
		t.Errorf("%+v", r)
	}
	if g := r.GC; g.Pauses == 0 || g.During.P999.Median <= 0 || g.PauseMax < g.PauseP99 || g.Share <= 0 || g.Share >= 1 {
		t.Errorf("collections: %+v", g)
	}
	if len(told) == 0 {
		t.Error("nobody was told what happens")
	}
	checkOutput(t, r, "bare handler", "throughput_ratio", "p99_ratio_half_peak")
}

func TestRecommendStepsUpToSaturation(t *testing.T) {
	cfg := run.RecommendConfig{
		Items: 100, Profiles: 1, Connections: 1, Rounds: 1, Duration: 100 * time.Millisecond,
	}
	r, err := run.Recommend(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range r.Rates[:len(r.Rates)-1] {
		if p.Rapport.Saturated || r.Rates[i+1].Rate != 2*p.Rate {
			t.Errorf("%v requests/s, saturated: %t; then %v", p.Rate, p.Rapport.Saturated, r.Rates[i+1].Rate)
		}
	}
}

func TestIngestMeasuresEachWay(t *testing.T) {
	r, err := run.Ingest(t.Context(), run.IngestConfig{
		Items: 200, Profiles: 400, Seed: 1, Connections: 4, Rounds: 1, Duration: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.ThroughputRatio <= 0 || r.BatchEventsPerSecond <= 0 || r.SingleEvents <= 0 {
		t.Errorf("%+v", r)
	}
	checkOutput(t, r, "consume and decode", "batch_events_per_s", "single_events_per_s", "throughput_ratio")
}

func TestEndToEndSeesEachMessage(t *testing.T) {
	r, err := run.EndToEnd(t.Context(), run.E2EConfig{
		Items: 200, Profiles: 2000, Seed: 1, Connections: 4, Rate: 200, Rounds: 2, Duration: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Lost != 0 || r.Messages < 10 || r.Message.P99.Median <= 0 || r.Capacity.Low <= 0 {
		t.Errorf("%+v", r)
	}
	checkOutput(t, r, "accepted to the message", "p99_ms", "profile_p99_ms", "rate")
}

func TestMixedMeasuresWithAndWithout(t *testing.T) {
	r, err := run.Mixed(t.Context(), run.MixedConfig{
		Items: 200, Profiles: 300, Sessions: 100, Seed: 1, Connections: 2, Rounds: 1, Duration: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.P99Ratio <= 0 || r.Ingest.P99.Median <= 0 || r.IngestRate <= 0 || r.RecommendRate >= r.RecommendPeak.High {
		t.Errorf("%+v", r)
	}
	checkOutput(t, r, "beside ingest", "p99_ratio")
}

func TestScaleMeasuresGrowth(t *testing.T) {
	cfg := run.ScaleConfig{
		Items: 200, Profiles: []int{100, 3000}, Sessions: []int{50, 500}, Triggers: []int{1, 20}, Events: 1000, Seed: 1, Rounds: 1,
	}
	r, err := run.Scale(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, axis := range [][]run.ScalePoint{r.Profiles, r.Sessions, r.Triggers} {
		if len(axis) != 2 || axis[0].Growth != 1 || axis[1].Growth <= 0 || axis[1].Event.Median <= 0 || axis[1].RecommendP50 <= 0 {
			t.Errorf("%+v", axis)
		}
	}
	if len(r.Model) != 2 || r.Model[1].Events < 1000 || r.Model[1].ItemBytes <= 0 {
		t.Errorf("%+v", r.Model)
	}
	checkOutput(t, r, "the model and the catalogue alone", "items")
	for want, change := range map[string]func(*run.ScaleConfig){
		"items:":    func(c *run.ScaleConfig) { c.Items = 5 },
		"events:":   func(c *run.ScaleConfig) { c.Events = 5 },
		"profiles:": func(c *run.ScaleConfig) { c.Profiles = nil },
		"sessions:": func(c *run.ScaleConfig) { c.Sessions = []int{5, 5} },
		"triggers:": func(c *run.ScaleConfig) { c.Triggers = []int{0} },
		"rounds:":   func(c *run.ScaleConfig) { c.Rounds = 0 },
	} {
		bad := cfg
		change(&bad)
		if _, err := run.Scale(t.Context(), bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s got %v", want, err)
		}
	}
}

func TestSoakTellsEachInterval(t *testing.T) {
	cfg := run.SoakConfig{
		Items: 200, Profiles: 300, Sessions: 100, Seed: 1, Connections: 2, Duration: 900 * time.Millisecond, Every: 300 * time.Millisecond,
	}
	r, err := run.Soak(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Lines) < 3 {
		t.Fatalf("%+v", r)
	}
	for _, l := range r.Lines {
		if l.Heap <= 0 || l.Goroutines <= 0 || l.RecommendP99 <= 0 || l.EventP99 <= 0 {
			t.Errorf("%+v", l)
		}
	}
	checkOutput(t, r, "a load that goes on", "recommend_rate", "ingest_rate")
	cfg.Every = cfg.Duration
	if _, err := run.Soak(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "every:") {
		t.Errorf("got %v", err)
	}
}

// checkOutput looks for words in the table and for keys in the JSON.
func checkOutput(t *testing.T, r run.Report, words string, keys ...string) {
	t.Helper()
	var text, page bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	if err := run.WritePage(&page, "a title", []run.Part{{Report: r}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), words) || !strings.Contains(page.String(), words) {
		t.Errorf("no %q:\n%s\n%s", words, &text, &page)
	}
	switch r.(type) {
	case *run.RecommendReport, *run.IngestReport, *run.E2EReport, *run.MixedReport:
		if !strings.Contains(page.String(), "<polyline") {
			t.Errorf("no curve:\n%s", &page)
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if v, ok := document[key].(float64); !ok || v <= 0 {
			t.Errorf("%s is %v", key, document[key])
		}
	}
}

func TestImpossibleConfigs(t *testing.T) {
	good := run.RecommendConfig{Items: 100, Profiles: 1, Connections: 1, Rounds: 1, Duration: time.Second}
	for want, change := range map[string]func(*run.RecommendConfig){
		"items:":       func(c *run.RecommendConfig) { c.Items = 5 },
		"profiles:":    func(c *run.RecommendConfig) { c.Profiles = 0 },
		"sessions:":    func(c *run.RecommendConfig) { c.Sessions = -1 },
		"rate:":        func(c *run.RecommendConfig) { c.Rates = []float64{0} },
		"connections:": func(c *run.RecommendConfig) { c.Connections = 0 },
		"rounds:":      func(c *run.RecommendConfig) { c.Rounds = 0 },
		"duration:":    func(c *run.RecommendConfig) { c.Duration = 0 },
	} {
		cfg := good
		change(&cfg)
		if _, err := run.Recommend(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s got %v", want, err)
		}
	}
	e2e := run.E2EConfig{Items: 100, Profiles: 100, Connections: 1, Rounds: 1, Duration: time.Second, Rate: -1}
	if _, err := run.EndToEnd(t.Context(), e2e); err == nil || !strings.Contains(err.Error(), "rate:") {
		t.Errorf("a rate of -1: %v", err)
	}
}

func TestPipelineMeasuresBothSides(t *testing.T) {
	r, err := run.Pipeline(t.Context(), run.PipelineConfig{Items: 200, Profiles: 300, Events: 3000, Seed: 1, Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r.ThroughputRatio <= 0 || r.EventsPerSecond <= 0 || r.Floor.Low <= 0 {
		t.Errorf("%+v", r)
	}
	checkOutput(t, r, "consume and decode", "throughput_ratio", "events_per_s")
}

func TestProfilesAtRest(t *testing.T) {
	cfg := run.RestConfig{Items: 200, Profiles: 3000, Seed: 1, Rounds: 2}
	restart, err := run.Restart(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if restart.Seconds <= 0 {
		t.Errorf("%+v", restart)
	}
	checkOutput(t, restart, "until ready", "seconds")
	memory, err := run.Memory(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if memory.EncodedBytes < 300 || memory.EncodedBytes > 10_000 {
		t.Errorf("%+v", memory)
	}
	checkOutput(t, memory, "bytes a profile", "encoded_bytes")
}

func TestSnapshotCostMeasuresBothSides(t *testing.T) {
	r, err := run.Snapshots(t.Context(), run.PipelineConfig{Items: 200, Profiles: 300, Events: 3000, Seed: 1, Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r.Ratio <= 0 || r.With.Low <= 0 || r.Without.Low <= 0 {
		t.Errorf("%+v", r)
	}
	checkOutput(t, r, "a snapshot every 2s", "ratio")
}

func TestRestartFromRedisAndHandOver(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	r, err := run.Restart(t.Context(), run.RestConfig{Items: 200, Profiles: 3000, Seed: 1, Rounds: 1, Redis: run.RedisStart})
	if err != nil {
		t.Fatal(err)
	}
	if r.Seconds <= 0 || r.Store != "redis" || r.HandOver.Seconds <= 0 || r.HandOver.Partitions != 8 {
		t.Errorf("%+v, %+v", r, r.HandOver)
	}
	checkOutput(t, r, "hand-over of 8 of 16", "seconds")
}
