package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/goccy/go-json"
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/bench/load"
)

// distinctCalls is how many different requests are made; no answer is cached,
// so that it only bounds memory.
const distinctCalls = 1 << 16

// filters are those that a part of the requests carry.
var filters = []string{
	"item.price < 500.0",
	"item.available && item.price >= 100.0",
	`item.brand != "Brand 7"`,
	"item.stock > 5",
}

// recommendCalls are the request lines of the mix: home 40 %, product 40 %,
// cart 20 %; 85 % by known customers, who are anybody; 25 % with a filter;
// default limit.
func recommendCalls(sh *shop) []string {
	w := sh.walker(2)
	calls := make([]string, distinctCalls)
	for n := range calls {
		q := url.Values{}
		if w.Float64() < 0.85 {
			q.Set("id", customerKey(w.customer()))
		} else {
			q.Set("anonymous_id", fmt.Sprintf("stranger-%d", n))
		}
		switch x := w.Float64(); {
		case x < 0.4:
			q.Set("placement", "home")
		case x < 0.8:
			q.Set("placement", "product")
			q.Set("items", sh.items[w.item()].ID)
		default:
			q.Set("placement", "cart")
			first := w.item()
			q.Set("items", strings.Join([]string{sh.items[first].ID, sh.items[w.near(first)].ID, sh.items[w.near(first)].ID}, ","))
		}
		if w.Float64() < 0.25 {
			q.Set("filter", filters[w.IntN(len(filters))])
		}
		calls[n] = "/v1/recommend?" + q.Encode()
	}
	return calls
}

// getting sends the requests over and over.
func getting(calls []string) func(int, int64, *fasthttp.Request) {
	return func(_ int, n int64, req *fasthttp.Request) { req.SetRequestURI(calls[n%int64(len(calls))]) }
}

// sample is what answers are like.
type sample struct {
	bytes int     // of a body, in the mean
	items float64 // in the mean
}

// sampleAnswers asks for some hundred lists.
func sampleAnswers(ctx context.Context, addr string, calls []string) (sample, error) {
	var mu sync.Mutex
	var bytes, items, n int
	_, err := load.Run(ctx, load.Config{
		Addr: addr, Connections: 1, Duration: 300 * time.Millisecond,
		Fill: getting(calls),
		Answered: func(_ int, _ int64, _ load.Timing, resp *fasthttp.Response) error {
			var answer struct {
				Items []struct{ ID string } `json:"items"`
			}
			if err := json.Unmarshal(resp.Body(), &answer); err != nil {
				return fmt.Errorf("cannot read an answer: %w", err)
			}
			mu.Lock()
			defer mu.Unlock()
			bytes, items, n = bytes+len(resp.Body()), items+len(answer.Items), n+1
			return nil
		},
	})
	if err != nil {
		return sample{}, err
	}
	return sample{bytes: bytes / n, items: float64(items) / float64(n)}, nil
}

// floorServer is a bare handler: what HTTP itself costs here.
type floorServer struct {
	addr   string
	server *fasthttp.Server
	done   chan error
}

// startFloor answers every request with a body of that many bytes.
func startFloor(bytes int) (*floorServer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	body := []byte(`"` + strings.Repeat("x", max(0, bytes-2)) + `"`)
	f := &floorServer{addr: ln.Addr().String(), done: make(chan error, 1), server: &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("application/json")
			ctx.SetBody(body)
		},
		NoDefaultServerHeader: true, CloseOnShutdown: true,
	}}
	go func() { f.done <- f.server.Serve(ln) }()
	return f, nil
}

func (f *floorServer) close() error { return errors.Join(f.server.Shutdown(), <-f.done) }
