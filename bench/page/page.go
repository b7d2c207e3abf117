// Package page writes a report as an HTML page: its text as it is, and charts.
// The charts need the script of Apache ECharts from the network; the figures
// do not.
package page

import (
	"fmt"
	"html/template"
	"io"

	"github.com/go-echarts/go-echarts/v2/render"
)

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title>
<script src="https://go-echarts.github.io/go-echarts-assets/assets/echarts.min.js"></script>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1000px;padding:0 1em}pre{overflow-x:auto;background:#f4f4f4;padding:1em}</style>
</head><body><h1>{{.Title}}</h1><pre>{{.Text}}</pre>
<noscript><p>The charts are drawn by a script.</p></noscript>
{{range .Charts}}{{.Element}}{{.Script}}{{end}}
</body></html>
`))

// Chart is a chart of go-echarts.
type Chart interface{ RenderSnippet() render.ChartSnippet }

type snippet struct{ Element, Script template.HTML }

// Write writes a page with what text writes, and the charts below it.
func Write(w io.Writer, title string, text func(io.Writer) error, charts ...Chart) error {
	var b builder
	if err := text(&b); err != nil {
		return err
	}
	data := struct {
		Title, Text string
		Charts      []snippet
	}{Title: title, Text: string(b)}
	for _, c := range charts {
		s := c.RenderSnippet()
		data.Charts = append(data.Charts, snippet{Element: template.HTML(s.Element), Script: template.HTML(s.Script)}) //nolint:gosec // go-echarts escapes what it embeds
	}
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("cannot write the page: %w", err)
	}
	return nil
}

type builder []byte

// Write appends.
func (b *builder) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
