//go:build integration

package torture_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// proxy is a way to a server that can be slow, or cut.
type proxy struct {
	t *testing.T
	*toxiproxy.Proxy
}

func newProxy(t *testing.T, name, upstream string) *proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := &proxy{t, toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// slow delays what the server answers, for a while.
func (p *proxy) slow(latency, d time.Duration) {
	p.t.Helper()
	toxic := fmt.Sprintf(`{"name":"slow","type":"latency","stream":"downstream","attributes":{"latency":%d,"jitter":%d}}`,
		latency.Milliseconds(), latency.Milliseconds()/3)
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.t.Error(err)
		return
	}
	wait(d, nil)
	if err := p.Toxics.RemoveToxic(context.Background(), "slow"); err != nil {
		p.t.Error(err)
	}
}

// cut closes every connection, and refuses new ones for a while.
func (p *proxy) cut(d time.Duration) {
	p.t.Helper()
	p.Stop()
	wait(d, nil)
	if err := p.Start(); err != nil {
		p.t.Error(err)
	}
}
