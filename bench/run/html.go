package run

import (
	"fmt"
	"html/template"
	"io"
	"strconv"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

// quantiles are the points of a latency curve.
var quantiles = []float64{1, 5, 10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99, 100}

// page is the report as HTML. The curves need the script of Apache ECharts from
// the network; the figures do not.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title>
<script src="https://go-echarts.github.io/go-echarts-assets/assets/echarts.min.js"></script>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1000px;padding:0 1em}pre{overflow-x:auto;background:#f4f4f4;padding:1em}</style>
</head><body><h1>{{.Title}}</h1><pre>{{.Text}}</pre>
<noscript><p>The curves are drawn by a script.</p></noscript>
{{range .Charts}}{{.Element}}{{.Script}}{{end}}
</body></html>
`))

type pageData struct {
	Title, Text string
	Charts      []chart
}

type chart struct{ Element, Script template.HTML }

// WriteHTML writes a page with the table and a latency curve for each rate.
func (r *RecommendReport) WriteHTML(w io.Writer) error {
	data := pageData{Title: "rapport bench recommend"}
	for _, p := range append(r.Rates[:len(r.Rates):len(r.Rates)], r.HalfPeak) {
		data.Charts = append(data.Charts, p.chart())
	}
	return writePage(w, data, r.Write)
}

// WriteHTML writes a page with the table and the latency curves.
func (r *IngestReport) WriteHTML(w io.Writer) error {
	data := pageData{Title: "rapport bench ingest", Charts: []chart{latencyChart("latency",
		curve{fmt.Sprintf("batches of %d, to the acknowledgement", batchEvents), r.batches},
		curve{"single events, to the acknowledgement", r.singles},
		curve{fmt.Sprintf("accepted to the profile, %s events/s", thousands(int64(r.EndToEnd.Rate))), r.accepted})}}
	return writePage(w, data, r.Write)
}

func writePage(w io.Writer, data pageData, text func(io.Writer) error) error {
	var b textBuilder
	if err := text(&b); err != nil {
		return err
	}
	data.Text = string(b)
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("cannot write the page: %w", err)
	}
	return nil
}

type textBuilder []byte

// Write appends.
func (b *textBuilder) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

func (p *Point) chart() chart {
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
func latencyChart(title string, curves ...curve) chart {
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
	s := c.RenderSnippet()
	return chart{Element: template.HTML(s.Element), Script: template.HTML(s.Script)}
}
