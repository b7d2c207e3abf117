package backtest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rapport-engine/rapport/bench/replay"
)

// Write prints the report as tables.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s events of %s customers, %s to %s, in %.1f s: %s events/s, with both sets of rules\n",
		replay.Thousands(r.Events), replay.Thousands(r.Profiles), r.From.Format(time.DateTime), r.To.Format(time.DateTime),
		r.Seconds, replay.Thousands(int64(r.EventsPerSec)))
	for _, reason := range names(r.DeadLetters, nil) {
		fmt.Fprintf(&b, "dead letters, %s: %s\n", reason, replay.Thousands(r.DeadLetters[reason]))
	}
	fmt.Fprintf(&b, "new: %s\nin force: %s\n\n", r.New.Rules, r.InForce.Rules)
	r.writeDecisions(&b)
	r.writeDays(&b)
	r.writeSamples(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// row writes what both sides have and the difference.
func row(b *strings.Builder, name string, fresh, inForce int64) {
	columns(b, name, replay.Thousands(fresh), replay.Thousands(inForce), signed(fresh-inForce))
}

func columns(b *strings.Builder, name, fresh, inForce, difference string) {
	b.WriteString(strings.TrimRight(fmt.Sprintf("%-48s %10s %10s %11s", name, fresh, inForce, difference), " ") + "\n")
}

// signed is a difference: +1,234, -5, or nothing.
func signed(n int64) string {
	switch {
	case n > 0:
		return "+" + replay.Thousands(n)
	case n < 0:
		return "-" + replay.Thousands(-n)
	}
	return ""
}

func (r *Report) writeDecisions(b *strings.Builder) {
	columns(b, "", "new", "in force", "difference")
	for _, trigger := range r.triggers() {
		row(b, trigger+": runs", r.New.Runs[trigger], r.InForce.Runs[trigger])
		row(b, "  messages", r.New.Messages[trigger], r.InForce.Messages[trigger])
		for _, reason := range names(r.New.Skipped[trigger], r.InForce.Skipped[trigger]) {
			row(b, "  not sent, "+reason, r.New.Skipped[trigger][reason], r.InForce.Skipped[trigger][reason])
		}
		for _, kind := range names(r.New.Failures[trigger], r.InForce.Failures[trigger]) {
			row(b, "  conditions that could not be told, "+kind, r.New.Failures[trigger][kind], r.InForce.Failures[trigger][kind])
		}
	}
	for _, channel := range names(r.New.Channels, r.InForce.Channels) {
		row(b, "messages by "+channel, r.New.Channels[channel], r.InForce.Channels[channel])
	}
	row(b, "customers with a message", r.New.Customers, r.InForce.Customers)
	for i := 1; i < max(len(r.New.Weekly), len(r.InForce.Weekly)); i++ {
		row(b, fmt.Sprintf("customers with more than %d in 7 days", i), over(r.New.Weekly, i), over(r.InForce.Weekly, i))
	}
	d := &r.Difference
	fmt.Fprintf(b, "\nthe same messages: %s; only new: %s; only in force: %s\n",
		replay.Thousands(d.Both), replay.Thousands(d.OnlyNew), replay.Thousands(d.OnlyInForce))
}

// over is how many customers have more than n messages.
func over(list []Over, n int) int64 {
	for _, o := range list {
		if o.MoreThan == n {
			return o.Customers
		}
	}
	return 0
}

// names lists the names in either map, the most of both first.
func names(a, b map[string]int64) []string {
	sum := maps.Clone(a)
	if sum == nil {
		sum = map[string]int64{}
	}
	for name, n := range b {
		sum[name] += n
	}
	return slices.SortedFunc(maps.Keys(sum), func(x, y string) int { return cmp.Or(cmp.Compare(sum[y], sum[x]), cmp.Compare(x, y)) })
}

// total is a day's messages of all triggers.
func (s *Side) total(day string) int64 {
	var n int64
	for _, days := range s.Days {
		n += days[day]
	}
	return n
}

func (r *Report) writeDays(b *strings.Builder) {
	days, triggers := r.days(), slices.Sorted(maps.Keys(r.New.Days))
	if len(days) == 0 {
		return
	}
	b.WriteString("\nmessages a day\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\t%s\tall, new\tall, in force\t\n", strings.Join(triggers, "\t"))
	for _, day := range days {
		fmt.Fprintf(t, "%s\t", day)
		for _, trigger := range triggers {
			fmt.Fprintf(t, "%s\t", replay.Thousands(r.New.Days[trigger][day]))
		}
		fmt.Fprintf(t, "%s\t%s\t\n", replay.Thousands(r.New.total(day)), replay.Thousands(r.InForce.total(day)))
	}
	_ = t.Flush() // to a buffer
}

func (r *Report) writeSamples(b *strings.Builder) {
	if len(r.Samples) > 0 {
		fmt.Fprintf(b, "\n%d customers with the new rules, from the first decision on\n", len(r.Samples))
	}
	for _, sample := range r.Samples {
		fmt.Fprintf(b, "\n%s\n", sample.Customer)
		for _, step := range sample.Steps {
			fmt.Fprintf(b, "  %s  %-8s  %s\n", step.At.Format(time.DateTime), step.What, step.Text)
		}
		if sample.Cut {
			b.WriteString("  ...\n")
		}
	}
}
