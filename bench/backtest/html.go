package backtest

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/rapport-engine/rapport/bench/page"
)

// WriteHTML writes a page with the tables and charts of the messages a day,
// why messages were not sent, and how many a customer gets.
func (r *Report) WriteHTML(w io.Writer) error {
	var text strings.Builder
	if err := r.Write(&text); err != nil {
		return err
	}
	return page.WriteStatic(w, "rapport backtest", []page.Section{{Text: text.String(), Charts: []page.Chart{r.dayChart(), r.reasonChart(), r.weekChart()}}})
}

// points is a row of a chart over names.
func points(name string, names []string, of func(name string) int64) page.Row {
	r := page.Row{Name: name, Values: make([]float64, len(names))}
	for i, name := range names {
		r.Values[i] = float64(of(name))
	}
	return r
}

func (r *Report) dayChart() page.Series {
	days := r.days()
	c := page.Series{Title: "Messages a day", Names: days}
	for _, trigger := range slices.Sorted(maps.Keys(r.New.Days)) {
		c.Rows = append(c.Rows, points(trigger, days, func(day string) int64 { return r.New.Days[trigger][day] }))
	}
	c.Rows = append(c.Rows, points("all, new", days, r.New.total), points("all, in force", days, r.InForce.total))
	return c
}

// reasonChart has a bar for each trigger: what was sent, and each reason why
// not.
func (r *Report) reasonChart() page.Series {
	triggers := r.triggers()
	c := page.Series{Title: "What became of each send, new rules", Names: triggers, Bars: true, Stacked: true}
	reasons := map[string]int64{}
	for _, skipped := range r.New.Skipped {
		for reason, n := range skipped {
			reasons[reason] += n
		}
	}
	c.Rows = append(c.Rows, points("sent", triggers, func(trigger string) int64 { return r.New.Messages[trigger] }))
	for _, reason := range names(reasons, nil) {
		c.Rows = append(c.Rows, points(reason, triggers, func(trigger string) int64 { return r.New.Skipped[trigger][reason] }))
	}
	return c
}

func (r *Report) weekChart() page.Series {
	c := page.Series{Title: "Customers with more than so many messages in any 7 days", Bars: true}
	fresh, inForce := page.Row{Name: "new"}, page.Row{Name: "in force"}
	for i := range max(len(r.New.Weekly), len(r.InForce.Weekly)) {
		c.Names = append(c.Names, fmt.Sprint("> ", i))
		fresh.Values = append(fresh.Values, float64(over(r.New.Weekly, i)))
		inForce.Values = append(inForce.Values, float64(over(r.InForce.Weekly, i)))
	}
	c.Rows = []page.Row{fresh, inForce}
	return c
}
