package run_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/bench/run"
)

func document(t *testing.T, text string) run.Document {
	t.Helper()
	d, err := run.ReadDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCompareKnowsBetterFromWorse(t *testing.T) {
	old := document(t, `{
		"recommend": {"throughput_ratio": 0.2, "throughput_ratio_range": [0.18, 0.22], "p99_ratio_half_peak": 3, "p99_ratio_half_peak_range": [2, 4], "items": 100},
		"pipeline": {"events_per_s": 100, "ours": {"median": 100, "low": 90, "high": 110}, "machine": {"cores": 2}},
		"memory": {"bytes_per_profile": 1000},
		"restart": {"seconds": 4, "spread": {"median": 4, "low": 4, "high": 4}}}`)
	later := document(t, `{
		"recommend": {"throughput_ratio": 0.3, "throughput_ratio_range": [0.23, 0.32], "p99_ratio_half_peak": 3.9, "p99_ratio_half_peak_range": [3, 5], "items": 100},
		"pipeline": {"events_per_s": 80, "ours": {"median": 80, "low": 70, "high": 89}, "machine": {"cores": 4}},
		"memory": {"bytes_per_profile": 1030},
		"e2e": {"p99_ms": 7},
		"restart": {"seconds": 5, "spread": {"median": 5, "low": 5, "high": 5}}}`)
	c, err := run.Compare(old, later)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"recommend.throughput_ratio": "better", "recommend.p99_ratio_half_peak": "same", "pipeline.events_per_s": "worse",
		"memory.bytes_per_profile": "same", "restart.seconds": "worse",
	}
	for _, x := range c.Changes {
		if x.Verdict != want[x.Figure] {
			t.Errorf("%s is %s, want %s: %+v", x.Figure, x.Verdict, want[x.Figure], x)
		}
	}
	if len(c.Changes) != len(want) || c.Worse != 2 || c.Better != 1 {
		t.Errorf("%+v", c)
	}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"2 worse, 1 better", "e2e.p99_ms is only in the new document", "cores 2 in the old document, 4 in the new one", "-20.0%"} {
		if !strings.Contains(b.String(), text) {
			t.Errorf("no %q in\n%s", text, b.String())
		}
	}
}

func TestCompareRefusesOtherSizes(t *testing.T) {
	old := document(t, `{"memory": {"bytes_per_profile": 1000, "profiles": 2000000}}`)
	later := document(t, `{"memory": {"bytes_per_profile": 1000, "profiles": 1000}}`)
	if _, err := run.Compare(old, later); err == nil || !strings.Contains(err.Error(), "memory was measured with 2,000,000 profiles") {
		t.Errorf("got %v", err)
	}
	later = document(t, `{"restart": {"seconds": 1}}`)
	if _, err := run.Compare(old, later); err == nil || !strings.Contains(err.Error(), "no figure in common") {
		t.Errorf("got %v", err)
	}
}

func TestDocumentsThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "no JSON document",
		"recommend: 5":              "no JSON document",
		"[1]":                       "no JSON document",
		"{}":                        "no figure",
		"null":                      "no figure",
		`{"recommend": 5}`:          "no figure",
		`{"recommend": {"x": "y"}}`: "no figure",
		`{"memory": {"bytes_per_profile": "much"}}`: "no figure",
		`{"restart": {"seconds": 1}} {}`:            "after its JSON document",
		`{"restart": {"seconds": 1}} writing ...`:   "after its JSON document",
	} {
		if _, err := run.ReadDocument([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestDocumentsJoinAndPrintTheTable(t *testing.T) {
	d := document(t, `{"recommend": {"throughput_ratio": 0.31}}`)
	d.Join(document(t, `{"recommend": {"p99_ratio_ingest": 1.5}, "mixed": {"p99_ratio": 1.5}}`))
	d.Join(document(t, `{"e2e": {"p99_ms": 51}}`))
	var b bytes.Buffer
	if err := d.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 4 || !strings.HasSuffix(lines[1], " aim met") || !strings.HasSuffix(lines[2], " met") || !strings.HasSuffix(lines[3], " NOT MET") {
		t.Errorf("got\n%s", b.String())
	}
	parts, err := d.Parts()
	if err != nil || len(parts) != 3 {
		t.Errorf("%d parts, %v", len(parts), err)
	}
	d["memory"] = "much"
	if _, err := d.Parts(); err == nil {
		t.Error("a report that is none is read")
	}
}

func FuzzReadDocument(f *testing.F) {
	f.Add(`{"recommend": {"throughput_ratio": 0.2, "throughput_ratio_range": [0.18, 0.22]}}`)
	f.Add(`{"restart": {"spread": {"median": 4, "low": 4, "high": 4}}}`)
	f.Add(`{"memory": {"bytes_per_profile": 1e300, "profiles": null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := run.ReadDocument([]byte(text))
		if err != nil {
			return
		}
		if c, err := run.Compare(d, d); err == nil && c.Worse+c.Better > 0 {
			t.Errorf("a document differs from itself: %+v", c)
		}
	})
}
