package run

import "fmt"

// Promise is a figure that the product is to reach.
type Promise struct {
	Figure string // the path in JSON: "recommend.throughput_ratio"
	What   string
	Must   float64
	Aim    float64
	AtMost bool // lower is better
}

// promises are those of DESIGN.md section 8 and the benchmarks' own, in the
// order of the table.
var promises = []Promise{
	{"recommend.throughput_ratio", "recommend: requests/s at the peak / bare handler's", 0.15, 0.30, false},
	{"recommend.p99_ratio_half_peak", "recommend: p99 at half of the peak / bare handler's", 3, 1.5, true},
	{"recommend.p99_ratio_ingest", "recommend: p99 beside ingest / without", 2, 1.2, true},
	{"recommend.gc.p999_ratio", "recommend: p99.9 during a collection / without", 3, 1.5, true},
	{"recommend.gc.pause_p99_ms", "recommend: pauses of the collector, p99, ms", 1, 0.5, true},
	{"pipeline.throughput_ratio", "pipeline: events/s applied / consumed and decoded", 0.15, 0.30, false},
	{"pipeline.events_per_s", "pipeline: events/s applied", 300_000, 500_000, false},
	{"ingest.batch_events_per_s", "ingest: events/s in batches of 100", 120_000, 250_000, false},
	{"ingest.single_events_per_s", "ingest: events/s one each", 20_000, 40_000, false},
	{"ingest.throughput_ratio", "ingest: events/s in batches / consumed and decoded", 0.15, 0.30, false},
	{"e2e.p99_ms", "e2e: accepted to the message, p99, ms", 50, 15, true},
	{"memory.bytes_per_profile", "memory: bytes a profile of 20 events", 1536, 717, true},
	{"snapshots.ratio", "snapshots: events/s with / without", 0.85, 0.95, false},
	{"restart.seconds", "restart: seconds until ready", 15, 5, true},
}

// promised finds the promise of a figure.
func promised(figure string) *Promise {
	for i := range promises {
		if promises[i].Figure == figure {
			return &promises[i]
		}
	}
	panic("BUG: nothing is promised of " + figure)
}

// verdict is "aim met", "met" or "NOT MET".
func (p *Promise) verdict(value float64) string {
	reaches := func(limit float64) bool { return value >= limit }
	if p.AtMost {
		reaches = func(limit float64) bool { return value <= limit }
	}
	switch {
	case reaches(p.Aim):
		return "aim met"
	case reaches(p.Must):
		return "met"
	}
	return "NOT MET"
}

// line is the promise with what came of it.
func (p *Promise) line(value float64) string {
	word := "at least"
	if p.AtMost {
		word = "at most"
	}
	return fmt.Sprintf("%-54s %9s   must be %-8s %-8s aim %-8s %s", p.What, short(value), word, short(p.Must), short(p.Aim), p.verdict(value))
}

// asks prints a promise with what came of it.
func (p *printer) asks(figure string, value float64) { p.line("%s", promised(figure).line(value)) }
