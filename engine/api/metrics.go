package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// statuses are those that answers can have; others count as 500.
var statuses = [...]int{200, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 500, 503}

// metrics holds the children of every route, resolved once.
type metrics struct {
	routes []routeMetrics // by route.index; the last one is "other"
	// events received, by what became of them
	logged, refused, deadLettered prometheus.Counter
}

type routeMetrics struct {
	requests [len(statuses)]prometheus.Counter
	seconds  prometheus.Observer
}

func newMetrics(reg prometheus.Registerer, routes []route) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rapport_http_requests_total", Help: "Requests answered, by route and status.",
	}, []string{"route", "status"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rapport_http_request_seconds", Help: "Time from a request's last byte to its answer, by route.",
		Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16),
	}, []string{"route"})
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rapport_http_events_total", Help: "Events received over HTTP, by what became of them.",
	}, []string{"result"})
	if reg != nil {
		reg.MustRegister(requests, seconds, events)
	}
	m := &metrics{
		logged: events.WithLabelValues("logged"), refused: events.WithLabelValues("refused"),
		deadLettered: events.WithLabelValues("deadlettered"),
	}
	for i := range len(routes) + 1 {
		name := "other"
		if i < len(routes) {
			name = routes[i].method + " " + routes[i].path
		}
		var rm routeMetrics
		for j, code := range statuses {
			rm.requests[j] = requests.WithLabelValues(name, strconv.Itoa(code))
		}
		rm.seconds = seconds.WithLabelValues(name)
		m.routes = append(m.routes, rm)
	}
	return m
}

func (m *metrics) observe(route, status int, took time.Duration) {
	r := &m.routes[route]
	r.requests[statusIndex(status)].Inc()
	r.seconds.Observe(took.Seconds())
}

func statusIndex(status int) int {
	if status == fasthttp.StatusOK {
		return 0
	}
	for i, s := range statuses {
		if s == status {
			return i
		}
	}
	return statusIndex(fasthttp.StatusInternalServerError)
}
