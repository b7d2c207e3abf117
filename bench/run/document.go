package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
)

// Document is the JSON of one benchmark or of all: a report by each name.
type Document map[string]any

// ReadDocument reads what `rapport bench ... --json` printed.
func ReadDocument(data []byte) (Document, error) {
	var d Document
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("is no JSON document of `rapport bench ... --json`: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something after its JSON document: keep what `rapport bench ... --json` prints on standard output only")
	}
	for _, f := range figures() {
		if _, ok := d.spread(f.Figure); ok {
			return d, nil
		}
	}
	return nil, errors.New("has no figure of `rapport bench`, such as recommend.throughput_ratio: it must be what `rapport bench ... --json` printed")
}

// Join adds the reports of another document; a name that both have gets the
// figures of both.
func (d Document) Join(other Document) {
	for name, report := range other {
		mine, ok := d[name].(map[string]any)
		theirs, both := report.(map[string]any)
		if ok && both {
			maps.Copy(mine, theirs)
		} else {
			d[name] = report
		}
	}
}

// at is what a path such as "recommend.gc.pause_p99_ms" leads to, and what it is
// part of.
func (d Document) at(path string) (value any, in map[string]any) {
	value = map[string]any(d)
	for name := range strings.SplitSeq(path, ".") {
		m, ok := value.(map[string]any)
		if !ok {
			return nil, nil
		}
		value, in = m[name], m
	}
	return value, in
}

// spread is the figure at a path with its range, which is a point where the
// document does not say one.
func (d Document) spread(path string) (Spread, bool) {
	value, in := d.at(path)
	switch v := value.(type) {
	case float64:
		s := Spread{Median: v, Low: v, High: v}
		name := path[strings.LastIndexByte(path, '.')+1:]
		if r, ok := in[name+"_range"].([]any); ok && len(r) == 2 {
			low, isLow := r[0].(float64)
			high, isHigh := r[1].(float64)
			if isLow && isHigh {
				s.Low, s.High = low, high
			}
		}
		return s, true
	case map[string]any:
		median, ok := v["median"].(float64)
		low, isLow := v["low"].(float64)
		high, isHigh := v["high"].(float64)
		return Spread{Median: median, Low: low, High: high}, ok && isLow && isHigh
	}
	return Spread{}, false
}

// WriteTable prints what is promised and what came of it. Figures that the
// document does not have are not shown.
func (d Document) WriteTable(w io.Writer) error {
	p := &printer{w: w}
	p.line("%-54s %9s   %-11s %-11s", "", "measured", "must", "aim")
	for i := range promises {
		if s, ok := d.spread(promises[i].Figure); ok {
			p.line("%s", promises[i].line(s.Median))
		}
	}
	return p.err
}

// Parts are the document's reports, by the benchmark's name.
func (d Document) Parts() ([]Part, error) {
	var parts []Part
	for _, b := range []struct {
		name   string
		report Report
	}{
		{"recommend", &RecommendReport{}}, {"mixed", &MixedReport{}}, {"ingest", &IngestReport{}}, {"pipeline", &PipelineReport{}},
		{"e2e", &E2EReport{}}, {"memory", &MemoryReport{}}, {"restart", &RestartReport{}}, {"snapshots", &SnapshotReport{}},
	} {
		if d[b.name] == nil {
			continue
		}
		data, err := json.Marshal(d[b.name])
		if err == nil {
			err = json.Unmarshal(data, b.report)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the report of %s: %w", b.name, err)
		}
		parts = append(parts, Part{Title: b.name, Report: b.report})
	}
	return parts, nil
}

// Table is a document as a report: what is promised and what came of it.
type Table struct{ Document }

// Write prints the table.
func (t Table) Write(w io.Writer) error { return t.WriteTable(w) }
