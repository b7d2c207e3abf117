package page

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// Latencies is a chart of latency curves.
type Latencies struct {
	Title  string  `json:"title"`
	Curves []Curve `json:"curves"`
}

// Curve is one of them.
type Curve struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"` // the share of requests in %, rising, and ms
}

// The drawing: its size, and the margins that the axes' labels take.
const (
	width, height                           = 720, 330
	leftMargin, rightMargin, topMargin, low = 60, 20, 60, 40
	mostNines                               = 4 // the share axis ends at 99.99 %
)

var colours = []string{"#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed"}

// SVG draws the chart: shares by their nines (90 %, 99 %, 99.9 %) from left to
// right, milliseconds by powers of ten upwards. It needs no script.
func (l Latencies) SVG() string {
	floor, ceiling := l.decades()
	x := func(share float64) float64 {
		nines := min(-math.Log10(max(1-share/100, 1e-9)), mostNines)
		return leftMargin + nines/mostNines*(width-leftMargin-rightMargin)
	}
	y := func(ms float64) float64 {
		part := (math.Log10(max(ms, 1e-3)) - floor) / (ceiling - floor)
		return height - low - part*(height-low-topMargin)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui,sans-serif" font-size="12">`, width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="20" font-size="15">%s</text>`, leftMargin, html.EscapeString(l.Title))
	for decade := floor; decade <= ceiling; decade++ {
		ms := math.Pow(10, decade)
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s ms</text>`,
			leftMargin, y(ms), width-rightMargin, leftMargin-6, y(ms)+4, strconv.FormatFloat(ms, 'g', -1, 64))
	}
	for _, share := range []string{"0", "90", "99", "99.9", "99.99"} {
		at, _ := strconv.ParseFloat(share, 64)
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%s %%</text>`,
			x(at), topMargin, height-low, x(at), height-low+18, share)
	}
	for i, c := range l.Curves {
		colour := colours[i%len(colours)]
		points := make([]string, len(c.Points))
		for n, p := range c.Points {
			points[n] = fmt.Sprintf("%.1f,%.1f", x(p[0]), y(p[1]))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`, colour, strings.Join(points, " "))
		at := leftMargin + i*(width-leftMargin-rightMargin)/len(l.Curves)
		fmt.Fprintf(&b, `<path d="M%d 38h18" stroke="%s" stroke-width="3"/><text x="%d" y="42">%s</text>`, at, colour, at+24, html.EscapeString(c.Name))
	}
	b.WriteString("</svg>")
	return b.String()
}

// decades are the powers of ten that hold all latencies.
func (l Latencies) decades() (floor, ceiling float64) {
	floor, ceiling = math.Inf(1), math.Inf(-1)
	for _, c := range l.Curves {
		for _, p := range c.Points {
			if p[1] > 0 {
				floor, ceiling = min(floor, math.Floor(math.Log10(p[1]))), max(ceiling, math.Ceil(math.Log10(p[1])))
			}
		}
	}
	if floor > ceiling {
		return -1, 1
	}
	return max(floor, -3), max(ceiling, max(floor, -3)+1)
}
