package run

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/rapport-engine/rapport/bench/load"
	"github.com/rapport-engine/rapport/bench/page"
)

// GCReport is what the garbage collector costs /v1/recommend at half of its
// peak. Collections are started one after the other, with a rest as long as each
// between them, and do not start by themselves meanwhile: a request either meets
// one or does not.
type GCReport struct {
	P999Ratio      float64    `json:"p999_ratio"` // p99.9 of requests that met a collection / of those that met none
	P999RatioRange [2]float64 `json:"p999_ratio_range"`
	PauseP99       float64    `json:"pause_p99_ms"` // of the pauses in which nothing runs, an upper bound
	PauseMax       float64    `json:"pause_max_ms"`
	Pauses         uint64     `json:"pauses"`
	CycleSeconds   Spread     `json:"cycle_seconds"` // how long a collection takes
	Share          float64    `json:"share"`         // of the requests met one
	During         Latency    `json:"during"`
	Without        Latency    `json:"without"`

	cycles      []float64
	met, others int64
}

// collections measures requests during collections and between them.
func (b *recommendBench) collections(ctx context.Context, rate float64) error {
	g := &GCReport{}
	b.report.GC = g
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	before := readPauses()
	for range b.cfg.Rounds {
		stop := make(chan struct{})
		done := make(chan []window, 1)
		go func() { done <- collectUntil(stop) }()
		r, err := load.RunProcess(ctx, b.cfg.Sender, b.spec(b.addr, rate, true))
		close(stop)
		windows := <-done
		if err == nil {
			err = mostlyAnswered(r)
		}
		if err != nil {
			return err
		}
		g.add(r, windows)
	}
	ratio := spread(ratios(g.During.p999, g.Without.p999))
	g.P999Ratio, g.P999RatioRange = ratio.Median, [2]float64{ratio.Low, ratio.High}
	g.CycleSeconds = spread(g.cycles)
	g.Share = float64(g.met) / float64(max(1, g.met+g.others))
	g.Pauses, g.PauseP99, g.PauseMax = before.until(readPauses())
	return nil
}

func (g *GCReport) chart() page.Latencies {
	return page.Latencies{
		Title:  "/v1/recommend and collections of garbage, at half of the peak",
		Curves: []page.Curve{curve("during one", g.During.all), curve("without", g.Without.all)},
	}
}

// window is a time in which a collection was at work.
type window struct{ from, to time.Time }

// collectUntil runs collections until stop, with rests.
func collectUntil(stop <-chan struct{}) []window {
	var all []window
	rest := 100 * time.Millisecond
	for {
		select {
		case <-stop:
			return all
		case <-time.After(rest):
		}
		w := window{from: time.Now()}
		runtime.GC()
		w.to = time.Now()
		all = append(all, w)
		rest = max(w.to.Sub(w.from), 20*time.Millisecond)
	}
}

// add takes the requests of one round.
func (g *GCReport) add(r *load.Result, windows []window) {
	during, without := load.NewHistogram(), load.NewHistogram()
	at := 0 // the first window that has not ended before the request; both are in order
	for _, t := range r.Each {
		if t.Done.IsZero() {
			continue
		}
		for at < len(windows) && windows[at].to.Before(t.Due) {
			at++
		}
		h := without
		if at < len(windows) && windows[at].from.Before(t.Done) {
			h = during
		}
		load.Record(h, t.Done.Sub(t.Due))
	}
	g.met += during.TotalCount()
	g.others += without.TotalCount()
	for _, w := range windows {
		g.cycles = append(g.cycles, w.to.Sub(w.from).Seconds())
	}
	if during.TotalCount() > 0 && without.TotalCount() > 0 {
		g.During.add(during)
		g.Without.add(without)
	}
}

// pauses are those of the collector since the process began, by length.
type pauses struct {
	counts  []uint64
	buckets []float64 // s; of count n from element n to n+1
}

func readPauses() pauses {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64Histogram {
		return pauses{}
	}
	h := s[0].Value.Float64Histogram()
	return pauses{counts: h.Counts, buckets: h.Buckets}
}

// until is how many pauses came between two readings, and their p99 and longest
// in ms, each rounded up to the bounds that the runtime keeps.
func (p pauses) until(later pauses) (n uint64, p99, longest float64) {
	for i := range later.counts {
		n += later.counts[i] - p.counts[i]
	}
	var seen uint64
	for i := range later.counts {
		c := later.counts[i] - p.counts[i]
		if c == 0 {
			continue
		}
		bound := later.buckets[i+1]
		if math.IsInf(bound, 1) {
			bound = later.buckets[i]
		}
		if longest = bound * 1000; float64(seen) < 0.99*float64(n) {
			p99 = longest
		}
		seen += c
	}
	return n, p99, longest
}

// write prints the report.
func (g *GCReport) write(p *printer) {
	p.line("garbage collection at half of the peak: %s s each, %s pauses, the longest %s ms; ms", g.CycleSeconds, thousands(int64(g.Pauses)), short(g.PauseMax)) //nolint:gosec // not so many
	p.line("%10s  %-20s %-20s %-20s %-20s", "", "during one", g.During.P50, g.During.P99, g.During.P999)
	p.line("%10s  %-20s %-20s %-20s %-20s", "", "without", g.Without.P50, g.Without.P99, g.Without.P999)
}
