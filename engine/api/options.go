package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rapport-engine/rapport/streams"
)

// Keys are the API keys by scope. A key of a higher scope (write < read <
// admin) may do what a lower one may.
type Keys struct {
	Write, Read, Admin []string
}

// Options of a Server. The zero value of each field but Listen means its
// default.
type Options struct {
	// Listen is the address of the API, "host:port"; port 0 takes a free one.
	Listen string
	// AdminListen is the address of metrics and pprof; "" serves neither.
	AdminListen string
	// Keys; with none at all everything is open and Listen must be loopback.
	Keys Keys
	// CORSOrigins that browsers may call write routes from; nil: any ("*").
	CORSOrigins []string
	// IdentitySecret signs the identifiers that browsers send; "" believes
	// them unsigned.
	IdentitySecret string
	// Secret has signed the unsubscribe links in messages; "" believes none.
	Secret string
	// Decoder validates events and normalises identifiers; nil: one that
	// reads only phone numbers with a country code.
	Decoder *streams.Decoder
	// CartTTL (30 days) is how long a line stays in a cart.
	CartTTL time.Duration

	// ReadTimeout (15 s) bounds the reading of one request, WriteTimeout
	// (15 s) the writing of its answer, IdleTimeout (75 s) the wait for the
	// next one on a connection.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// CallTimeout (10 s) bounds what a request waits for the engine.
	CallTimeout time.Duration
	// ShutdownTimeout (10 s) bounds the wait for requests in flight.
	ShutdownTimeout time.Duration
	// Concurrency (10,000) is how many connections are served at once.
	Concurrency int

	Logger     *slog.Logger          // nil: none
	Registerer prometheus.Registerer // nil: none
	Gatherer   prometheus.Gatherer   // what /metrics shows; nil: no /metrics
	// Now is the wall clock, for ids and latencies; nil: time.Now.
	Now func() time.Time
}

func (k Keys) empty() bool { return len(k.Write)+len(k.Read)+len(k.Admin) == 0 }

func (o *Options) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.ReadTimeout, 15*time.Second)
	def(&o.WriteTimeout, 15*time.Second)
	def(&o.IdleTimeout, 75*time.Second)
	def(&o.CallTimeout, 10*time.Second)
	def(&o.ShutdownTimeout, 10*time.Second)
	def(&o.CartTTL, 30*24*time.Hour)
	if o.Concurrency == 0 {
		o.Concurrency = 10_000
	}
	if o.Decoder == nil {
		o.Decoder = &streams.Decoder{}
	}
	if o.CORSOrigins == nil {
		o.CORSOrigins = []string{"*"}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// check reports every problem at once.
func (o *Options) check() error {
	var errs []error
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		errs = append(errs, fmt.Errorf("cannot listen on %q: must be host:port", o.Listen))
	} else if o.Keys.empty() && !loopback(host) {
		errs = append(errs, fmt.Errorf("cannot listen on %q without keys: configure keys.write, keys.read and keys.admin, or listen on 127.0.0.1", o.Listen))
	}
	if o.AdminListen != "" {
		if _, _, err := net.SplitHostPort(o.AdminListen); err != nil {
			errs = append(errs, fmt.Errorf("cannot listen on admin %q: must be host:port", o.AdminListen))
		}
	}
	seen := map[string]string{}
	for _, l := range []struct {
		name string
		keys []string
	}{{"write", o.Keys.Write}, {"read", o.Keys.Read}, {"admin", o.Keys.Admin}} {
		for _, k := range l.keys {
			if k == "" || strings.ContainsAny(k, ": \t\r\n") {
				errs = append(errs, fmt.Errorf("cannot use a key in keys.%s: must not be empty nor contain ':' or blanks", l.name))
				continue
			}
			if in, ok := seen[k]; ok && in != l.name {
				errs = append(errs, fmt.Errorf("cannot use one key in keys.%s and keys.%s: scopes need keys of their own", in, l.name))
			}
			seen[k] = l.name
		}
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
