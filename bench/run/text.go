package run

import (
	"fmt"
	"io"
	"strings"
)

// printer writes lines and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// Write prints the report as tables.
func (r *RecommendReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("/v1/recommend: %s items, %s profiles, %s sessions learned; %d bytes and %.1f items an answer",
		thousands(int64(r.Items)), thousands(int64(r.Profiles)), thousands(int64(r.Sessions)), r.ReplyBytes, r.ReplyItems)
	p.line("%s; %d rounds of %gs, %d connections; medians with range", r.Machine.String(), r.Rounds, r.Seconds, r.Connections)
	p.line("")
	p.line("latency from the time a request was due, ms")
	p.line("%10s  %-20s %-20s %-20s %-20s", "requests/s", "", "p50", "p99", "p99.9")
	for _, point := range append(r.Rates[:len(r.Rates):len(r.Rates)], r.HalfPeak) {
		point.write(p)
	}
	p.line("")
	r.GC.write(p)
	p.line("")
	p.line("peak, closed loop: rapport %s, bare handler %s requests/s", r.PeakPerSecond, r.FloorPeakPerSecond)
	p.line("")
	p.asks("recommend.throughput_ratio", r.ThroughputRatio)
	p.asks("recommend.p99_ratio_half_peak", r.P99RatioHalfPeak)
	p.asks("recommend.gc.p999_ratio", r.GC.P999Ratio)
	p.asks("recommend.gc.pause_p99_ms", r.GC.PauseP99)
	return p.err
}

func (point *Point) write(p *printer) {
	rate := thousands(int64(point.Rate))
	for _, row := range []struct {
		name string
		side *Side
	}{{"rapport", &point.Rapport}, {"bare handler", &point.Floor}} {
		s := row.side
		p.line("%10s  %-20s %-20s %-20s %-20s%s", rate, row.name, s.P50, s.P99, s.P999, s.remarks())
		rate = ""
	}
	p.line("%10s  %-20s %-20s %-20s %-20s", "", "ratio", point.Ratio.P50, point.Ratio.P99, point.Ratio.P999)
	p.line("%10s  %-20s %-20s %-20s", "", "rapport, from sending", point.Rapport.SentP50, point.Rapport.SentP99)
}

// remarks say what a latency does not.
func (s *Side) remarks() string {
	var list []string
	if s.Saturated {
		list = append(list, fmt.Sprintf("saturated at %s/s", s.PerSecond))
	}
	if s.Failed > 0 {
		list = append(list, fmt.Sprintf("%d failed", s.Failed))
	}
	if s.Unsent > 0 {
		list = append(list, fmt.Sprintf("%d still due at the end", s.Unsent))
	}
	return strings.Join(list, ", ")
}

// Write prints the report as tables.
func (r *IngestReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("events over HTTP: %s customers, %s items, %d bytes an event; embedded broker, synced writes", thousands(int64(r.Profiles)), thousands(int64(r.Items)), r.EventBytes)
	p.line("%s; %d rounds of %gs, %d connections; medians with range", r.Machine.String(), r.Rounds, r.Seconds, r.Connections)
	p.line("")
	p.line("%-46s %-26s %-20s %-20s", "", "events/s", "p50, ms", "p99, ms")
	p.line("%-46s %-26s %-20s %-20s", fmt.Sprintf("batches of %d, acknowledged", batchEvents), r.Batch, r.BatchP50, r.BatchP99)
	p.line("%-46s %-26s", "... until all is applied", r.Applied)
	p.line("%-46s %-26s", "floor: only consume and decode the same", r.Floor)
	p.line("%-46s %-26s %-20s %-20s", "single events, acknowledged", r.Single, r.SingleP50, r.SingleP99)
	if r.Failed > 0 {
		p.line("%d requests failed", r.Failed)
	}
	p.line("")
	p.asks("ingest.batch_events_per_s", r.BatchEventsPerSecond)
	p.asks("ingest.single_events_per_s", r.SingleEvents)
	p.asks("ingest.throughput_ratio", r.ThroughputRatio)
	p.line("%-46s %-26s", "... applied, beside the senders / the same", r.AppliedRatio)
	return p.err
}
