package run

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rapport-engine/rapport/bench/page"
)

// Report is what a benchmark ends with; its JSON is a part of a document.
type Report interface {
	Write(w io.Writer) error
}

// Part is a report on a page.
type Part struct {
	Title   string
	Report  Report
	Profile []byte // a CPU profile of the measuring; nil: none was taken
}

// WriteCurves writes the parts' latency curves to a directory, which it makes
// where there is none: recommend-1.svg, recommend-2.svg and so on.
func WriteCurves(dir string, parts []Part) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // pictures for everybody
		return fmt.Errorf("cannot make a directory for the curves: %w", err)
	}
	for _, part := range parts {
		drawn, ok := part.Report.(interface{ charts() []page.Latencies })
		if !ok {
			continue
		}
		for i, chart := range drawn.charts() {
			name := filepath.Join(dir, fmt.Sprintf("%s-%d.svg", part.Title, i+1))
			if err := os.WriteFile(name, []byte(chart.SVG()+"\n"), 0o644); err != nil { //nolint:gosec // pictures for everybody
				return fmt.Errorf("cannot write a curve: %w", err)
			}
		}
	}
	return nil
}

// hottest is how many functions of a profile are shown.
const hottest = 25

// WritePage writes a page with the parts' tables, latency curves and the top of
// their profiles.
func WritePage(w io.Writer, title string, parts []Part) error {
	sections := make([]page.Section, len(parts))
	for i, part := range parts {
		var text strings.Builder
		if err := part.Report.Write(&text); err != nil {
			return err
		}
		sections[i] = page.Section{Title: part.Title, Text: text.String()}
		if drawn, ok := part.Report.(interface{ charts() []page.Latencies }); ok {
			for _, c := range drawn.charts() {
				sections[i].Charts = append(sections[i].Charts, c)
			}
		}
		if len(part.Profile) > 0 {
			var err error
			if sections[i].Hot, err = top(part.Profile, hottest); err != nil {
				return err
			}
		}
	}
	return page.WriteStatic(w, title, sections)
}

func (r *RecommendReport) charts() []page.Latencies { return r.Charts }
func (r *IngestReport) charts() []page.Latencies    { return r.Charts }
func (r *E2EReport) charts() []page.Latencies       { return r.Charts }
func (r *MixedReport) charts() []page.Latencies     { return r.Charts }

// quantiles are the points of a latency curve.
var quantiles = []float64{1, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99}

// curve is that of all rounds' latencies.
func curve(name string, of *hdrhistogram.Histogram) page.Curve {
	c := page.Curve{Name: name}
	if of == nil {
		return c
	}
	for _, q := range quantiles {
		c.Points = append(c.Points, [2]float64{q, quantile(of, q)})
	}
	return c
}
