package page_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/bench/page"
)

func TestStaticPageIsWhole(t *testing.T) {
	sections := []page.Section{
		{Title: "a < b", Text: "1 < 2", Hot: []page.Hot{{Function: "main.(*T).f", Flat: 12.34, Full: 50}}, Charts: []page.Chart{
			page.Latencies{Title: "curves & more", Curves: []page.Curve{
				{Name: "<ours>", Points: [][2]float64{{50, 0.1}, {99, 3}, {100, 250}}},
				{Name: "none"},
				{Name: "nothing", Points: [][2]float64{{50, 0}}},
			}},
			page.Latencies{Title: "empty"},
			page.Series{Title: "days & nights", Names: []string{"mon", "<tue>"}, Rows: []page.Row{{Name: "<all>", Values: []float64{3, 7}}, {Name: "some", Values: []float64{0, 2}}}},
			page.Series{Title: "bars", Bars: true, Names: []string{"a"}, Rows: []page.Row{{Name: "x", Values: []float64{1200}}, {Name: "y", Values: []float64{300}}}},
			page.Series{Title: "stacked", Bars: true, Stacked: true, Names: []string{"a"}, Rows: []page.Row{{Name: "x", Values: []float64{1}}, {Name: "y", Values: []float64{0}}}},
			page.Series{Title: "nothing", Bars: true},
		}},
		{Text: "second"},
	}
	var b bytes.Buffer
	if err := page.WriteStatic(&b, "a page", sections); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 &lt; 2", "a &lt; b", "&lt;ours&gt;", "curves &amp; more", "<polyline", "12.3", "main.(*T).f", "1000 ms", "99.9 %", "second", "days &amp; nights", "&lt;tue&gt;", "a, x: 1200", ">2000<"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for _, not := range []string{"<script", "src=", "href=", "NaN", "Inf"} {
		if strings.Contains(b.String(), not) {
			t.Errorf("%q in\n%s", not, b.String())
		}
	}
	for _, l := range sections[0].Charts {
		d := xml.NewDecoder(strings.NewReader(l.SVG()))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", l.SVG(), err)
			}
		}
	}
}
