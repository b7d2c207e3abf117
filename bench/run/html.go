package run

import (
	"fmt"
	"io"
	"strconv"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"github.com/rapport-engine/rapport/bench/page"
)

// quantiles are the points of a latency curve.
var quantiles = []float64{1, 5, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99, 100}

// WriteHTML writes a page with the table and a latency curve for each rate.
func (r *RecommendReport) WriteHTML(w io.Writer) error {
	var charts []page.Chart
	for _, p := range append(r.Rates[:len(r.Rates):len(r.Rates)], r.HalfPeak) {
		charts = append(charts, p.chart())
	}
	return page.Write(w, "rapport bench recommend", r.Write, charts...)
}

// WriteHTML writes a page with the table and the latency curves.
func (r *IngestReport) WriteHTML(w io.Writer) error {
	return page.Write(w, "rapport bench ingest", r.Write, latencyChart("latency",
		curve{fmt.Sprintf("batches of %d, to the acknowledgement", batchEvents), r.batches},
		curve{"single events, to the acknowledgement", r.singles}))
}

func (p *Point) chart() page.Chart {
	return latencyChart(fmt.Sprintf("%s requests/s", thousands(int64(p.Rate))),
		curve{"rapport", p.Rapport.all}, curve{"bare handler", p.Floor.all})
}

// curve is a line of a latency chart.
type curve struct {
	name string
	of   *hdrhistogram.Histogram
}

// latencyChart has the quantiles on one axis and milliseconds, by powers of
// ten, on the other.
func latencyChart(title string, curves ...curve) page.Chart {
	c := charts.NewLine()
	c.SetGlobalOptions(
		charts.WithTitleOpts(opts.Title{Title: title}),
		charts.WithXAxisOpts(opts.XAxis{Name: "%"}),
		charts.WithYAxisOpts(opts.YAxis{Name: "ms", Type: "log"}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "axis"}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(true), Right: "10%"}),
	)
	names := make([]string, len(quantiles))
	for i, q := range quantiles {
		names[i] = strconv.FormatFloat(q, 'f', -1, 64)
	}
	c.SetXAxis(names)
	for _, line := range curves {
		points := make([]opts.LineData, len(quantiles))
		for i, q := range quantiles {
			points[i].Value = quantile(line.of, q)
		}
		c.AddSeries(line.name, points)
	}
	return c
}

// WriteHTML writes a page with the table and the latency curves.
func (r *E2EReport) WriteHTML(w io.Writer) error {
	return page.Write(w, "rapport bench e2e", r.Write, latencyChart(fmt.Sprintf("%s events/s", thousands(int64(r.Rate))),
		curve{"accepted to the message", r.Message.all}, curve{"accepted to the profile", r.Profile.all}))
}
