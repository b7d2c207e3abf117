package delivery

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of one sink. A nil registerer leaves them uncollected.
type metrics struct {
	outcomes *prometheus.CounterVec // by outcome; counted once a message
	errors   prometheus.Counter
	seconds  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, sink string) (*metrics, error) {
	labels := prometheus.Labels{"sink": sink}
	m := &metrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rapport_delivery_messages_total", ConstLabels: labels,
			Help: "Messages by what became of them: sent, skipped, failed, duplicate, deadletter, retry, gap."}, []string{"outcome"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{Name: "rapport_delivery_errors_total", ConstLabels: labels,
			Help: "Attempts to send that failed."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rapport_delivery_seconds", ConstLabels: labels,
			Help: "Duration of one attempt to send, in seconds.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8)}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.outcomes, m.errors, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register metrics of sink %q: %w", sink, err)
		}
	}
	return m, nil
}

// label is the outcome as a metric label.
func (o *outcome) label() string { return o.suffix[1:] }
