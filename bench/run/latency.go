package run

import "github.com/HdrHistogram/hdrhistogram-go"

// Latency is how long something took, in ms, in several rounds.
type Latency struct {
	P50  Spread `json:"p50_ms"`
	P99  Spread `json:"p99_ms"`
	P999 Spread `json:"p999_ms"`

	p50, p99, p999 []float64 // by round
	all            *hdrhistogram.Histogram
}

// add takes what one round measured.
func (l *Latency) add(h *hdrhistogram.Histogram) {
	if l.all == nil {
		l.all = hdrhistogram.New(h.LowestTrackableValue(), h.HighestTrackableValue(), int(h.SignificantFigures()))
	}
	l.all.Merge(h)
	l.p50, l.p99, l.p999 = append(l.p50, quantile(h, 50)), append(l.p99, quantile(h, 99)), append(l.p999, quantile(h, 99.9))
	l.P50, l.P99, l.P999 = spread(l.p50), spread(l.p99), spread(l.p999)
}

// quantile is one of a histogram, in ms.
func quantile(h *hdrhistogram.Histogram, q float64) float64 {
	return float64(h.ValueAtQuantile(q)) / 1000
}
