package kafka

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the client, shared by all clients of one registerer.
type metrics struct {
	produced prometheus.Counter
	failed   *prometheus.CounterVec // by kind
	consumed *prometheus.CounterVec // by topic
	lag      *prometheus.GaugeVec   // by group, topic, partition
}

func newMetrics(r prometheus.Registerer) *metrics {
	return &metrics{
		produced: register(r, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rapport_kafka_produced_records_total", Help: "Records acknowledged by the broker.",
		})),
		failed: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rapport_kafka_produce_errors_total", Help: "Produce calls that failed, by kind of error.",
		}, []string{"kind"})),
		consumed: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rapport_kafka_consumed_records_total", Help: "Records read, by topic.",
		}, []string{"topic"})),
		lag: register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rapport_kafka_lag_records", Help: "Records of a partition not yet processed by a group, as of its last read.",
		}, []string{"group", "topic", "partition"})),
	}
}

// register registers c, or returns what is registered in its place.
func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	if r == nil {
		return c
	}
	err := r.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	if err != nil {
		panic("BUG: cannot register a metric: " + err.Error())
	}
	return c
}

func (m *metrics) produceError(err error) {
	kind := "other"
	switch {
	case errors.Is(err, ErrUnavailable):
		kind = "unavailable"
	case errors.Is(err, ErrTooLarge):
		kind = "too_large"
	}
	m.failed.WithLabelValues(kind).Inc()
}
