package page

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// Series is a chart of numbers by name: lines over the names, or bars, each name's
// upon each other where Stacked says so, else beside each other.
type Series struct {
	Title   string
	Names   []string // along the axis
	Rows    []Row
	Bars    bool
	Stacked bool
}

// Row is one line of a chart, or one part of each of its bars.
type Row struct {
	Name   string
	Values []float64 // one for each name
}

const (
	legendRow  = 18 // height of a row of the legend
	legendEach = 4  // entries in one
	mostLabels = 12 // names that are written below the axis
)

// SVG draws the chart. It needs no script.
func (s Series) SVG() string {
	top := 34 + legendRow*((len(s.Rows)+legendEach-1)/legendEach)
	all := top + 260 + low
	most := s.most()
	y := func(v float64) float64 { return float64(top) + 260*(1-v/most) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui,sans-serif" font-size="12">`, width, all, width, all)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%d" y="20" font-size="15">%s</text>`, leftMargin, html.EscapeString(s.Title))
	for i := range s.Rows {
		x, line := leftMargin+i%legendEach*(width-leftMargin-rightMargin)/legendEach, 38+i/legendEach*legendRow
		fmt.Fprintf(&b, `<path d="M%d %dh14" stroke="%s" stroke-width="8"/><text x="%d" y="%d">%s</text>`, x, line, s.colour(i), x+20, line+4, html.EscapeString(s.Rows[i].Name))
	}
	for i := range 5 {
		v := most * float64(i) / 4
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			leftMargin, y(v), width-rightMargin, leftMargin-6, y(v)+4, strconv.FormatFloat(v, 'f', -1, 64))
	}
	step := float64(width-leftMargin-rightMargin) / float64(max(len(s.Names), 1))
	every := max((len(s.Names)+mostLabels-1)/mostLabels, 1)
	for i, name := range s.Names {
		if i%every == 0 {
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" font-size="10">%s</text>`, leftMargin+step*(float64(i)+0.5), all-low+16, html.EscapeString(name))
		}
	}
	if s.Bars {
		s.bars(&b, step, y)
	} else {
		s.lines(&b, step, y)
	}
	b.WriteString("</svg>")
	return b.String()
}

func (s Series) lines(b *strings.Builder, step float64, y func(float64) float64) {
	for i, row := range s.Rows {
		points := make([]string, len(row.Values))
		for n, v := range row.Values {
			points[n] = fmt.Sprintf("%.1f,%.1f", leftMargin+step*(float64(n)+0.5), y(v))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`, s.colour(i), strings.Join(points, " "))
	}
}

func (s Series) bars(b *strings.Builder, step float64, y func(float64) float64) {
	wide := 0.7 * step
	if !s.Stacked {
		wide /= float64(max(len(s.Rows), 1))
	}
	for n, name := range s.Names {
		base := 0.0
		for i, row := range s.Rows {
			v, x := row.Values[n], leftMargin+step*(float64(n)+0.15)
			if !s.Stacked {
				base, x = 0, x+wide*float64(i)
			}
			if v > 0 {
				fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s</title></rect>`, x, y(base+v), wide, y(base)-y(base+v), s.colour(i),
					html.EscapeString(fmt.Sprintf("%s, %s: %v", name, row.Name, v)))
			}
			base += v
		}
	}
}

// colour is a row's: those of curves first, then others all around.
func (s Series) colour(i int) string {
	if i < len(colours) {
		return colours[i]
	}
	return fmt.Sprintf("hsl(%d,60%%,45%%)", i*137%360)
}

// most is a round number that no bar or line is above.
func (s Series) most() float64 {
	highest := 1.0
	for n := range s.Names {
		sum := 0.0
		for _, row := range s.Rows {
			if sum += row.Values[n]; s.Stacked {
				highest = max(highest, sum)
			} else {
				highest = max(highest, row.Values[n])
			}
		}
	}
	unit := math.Pow(10, math.Floor(math.Log10(highest)))
	for _, times := range []float64{1, 2, 4, 8} {
		if unit*times >= highest {
			return max(unit*times, 4)
		}
	}
	return max(unit*10, 4)
}
