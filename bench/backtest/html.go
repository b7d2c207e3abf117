package backtest

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"

	"github.com/rapport-engine/rapport/bench/page"
)

// WriteHTML writes a page with the tables and charts of the messages a day,
// why messages were not sent, and how many a customer gets.
func (r *Report) WriteHTML(w io.Writer) error {
	return page.Write(w, "rapport backtest", r.Write, r.dayChart(), r.reasonChart(), r.weekChart())
}

func options(title, axis string) []charts.GlobalOpts {
	return []charts.GlobalOpts{
		charts.WithTitleOpts(opts.Title{Title: title}),
		charts.WithYAxisOpts(opts.YAxis{Name: axis}),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "axis"}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(true), Top: "8%"}),
		charts.WithGridOpts(opts.Grid{Top: "22%"}),
	}
}

func (r *Report) dayChart() page.Chart {
	c := charts.NewLine()
	c.SetGlobalOptions(options("Messages a day", "messages")...)
	days := r.days()
	c.SetXAxis(days)
	series := func(name string, of func(day string) int64) {
		points := make([]opts.LineData, len(days))
		for i, day := range days {
			points[i].Value = of(day)
		}
		c.AddSeries(name, points)
	}
	for _, trigger := range slices.Sorted(maps.Keys(r.New.Days)) {
		series(trigger, func(day string) int64 { return r.New.Days[trigger][day] })
	}
	series("all, new", r.New.total)
	series("all, in force", r.InForce.total)
	return c
}

// reasonChart has a bar for each trigger: what was sent, and each reason why
// not.
func (r *Report) reasonChart() page.Chart {
	c := charts.NewBar()
	c.SetGlobalOptions(options("What became of each send, new rules", "sends")...)
	triggers := r.triggers()
	c.SetXAxis(triggers)
	reasons := map[string]int64{}
	for _, skipped := range r.New.Skipped {
		for reason, n := range skipped {
			reasons[reason] += n
		}
	}
	series := func(name string, of func(trigger string) int64) {
		bars := make([]opts.BarData, len(triggers))
		for i, trigger := range triggers {
			bars[i].Value = of(trigger)
		}
		c.AddSeries(name, bars, charts.WithBarChartOpts(opts.BarChart{Stack: "sends"}))
	}
	series("sent", func(trigger string) int64 { return r.New.Messages[trigger] })
	for _, reason := range names(reasons, nil) {
		series(reason, func(trigger string) int64 { return r.New.Skipped[trigger][reason] })
	}
	return c
}

func (r *Report) weekChart() page.Chart {
	c := charts.NewBar()
	c.SetGlobalOptions(options("Customers with more than so many messages in any 7 days", "customers")...)
	n := max(len(r.New.Weekly), len(r.InForce.Weekly))
	axis, fresh, inForce := make([]string, n), make([]opts.BarData, n), make([]opts.BarData, n)
	for i := range n {
		axis[i] = fmt.Sprintf("more than %d", i)
		fresh[i].Value, inForce[i].Value = over(r.New.Weekly, i), over(r.InForce.Weekly, i)
	}
	c.SetXAxis(axis)
	c.AddSeries("new", fresh)
	c.AddSeries("in force", inForce)
	return c
}
