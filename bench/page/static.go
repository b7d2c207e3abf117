package page

import (
	"fmt"
	"html/template"
	"io"
)

// Section is a part of a page that needs neither script nor network.
type Section struct {
	Title  string
	Text   string // shown as it is
	Charts []Chart
	Hot    []Hot // a CPU profile's top; none: not shown
}

// Hot is a function in which time was spent.
type Hot struct {
	Function   string
	Flat, Full float64 // % of all time, in it and with what it called
}

var static = template.Must(template.New("static").Funcs(template.FuncMap{
	"svg": func(c Chart) template.HTML { return template.HTML(c.SVG()) }, //nolint:gosec // SVG escapes what it embeds
}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1100px;padding:0 1em}pre{overflow-x:auto;background:#f4f4f4;padding:1em}svg{max-width:100%;height:auto}td,th{padding:0 1em 0 0;text-align:left}td.n,th.n{text-align:right}</style>
</head><body><h1>{{.Title}}</h1>
{{range .Sections}}{{with .Title}}<h2>{{.}}</h2>
{{end}}<pre>{{.Text}}</pre>
{{range .Charts}}<p>{{svg .}}</p>
{{end}}{{if .Hot}}<h3>Where the time goes</h3>
<table><tr><th class="n">in it, %</th><th class="n">with calls, %</th><th>function</th></tr>
{{range .Hot}}<tr><td class="n">{{printf "%.1f" .Flat}}</td><td class="n">{{printf "%.1f" .Full}}</td><td><code>{{.Function}}</code></td></tr>
{{end}}</table>
{{end}}{{end}}</body></html>
`))

// WriteStatic writes a page of sections.
func WriteStatic(w io.Writer, title string, sections []Section) error {
	data := struct {
		Title    string
		Sections []Section
	}{title, sections}
	if err := static.Execute(w, data); err != nil {
		return fmt.Errorf("cannot write the page: %w", err)
	}
	return nil
}
