package api

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestUnknownPathsAndMethods(t *testing.T) {
	s := start(t, Options{})
	for _, path := range []string{"/", "/v1", "/v2/track", "/v1/track/", "/v1/ranks", "/v1//track", "/v1/../v1/x", "/metrics", "/debug/pprof/"} {
		s.get(path).want(t, 404, "/openapi.json")
	}
	for path, method := range map[string]string{"/v1/track": "GET", "/v1/items": "POST", "/healthz": "DELETE", "/v1/profiles/user:42": "PUT", "/v1/recommend": "PATCH"} {
		if r := s.do(method, path, nil).want(t, 405, "takes"); r.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", method, path)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	s := start(t, Options{})
	if got := s.get("/healthz", "X-Request-ID", "mine-1").header.Get("X-Request-ID"); got != "mine-1" {
		t.Errorf("answered %q", got)
	}
	for _, bad := range []string{"with blank", strings.Repeat("x", 200)} {
		if got := s.get("/healthz", "X-Request-ID", bad).header.Get("X-Request-ID"); len(got) != 26 {
			t.Errorf("answered %q", got)
		}
	}
	var ids []string
	at := time.UnixMilli(1_700_000_000_000)
	for i := range 1000 {
		ids = append(ids, string(appendID(nil, at.Add(time.Duration(i)*time.Millisecond))))
	}
	for i := range ids[1:] {
		if ids[i] >= ids[i+1] {
			t.Fatalf("%s is not before %s", ids[i], ids[i+1])
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	s := start(t, Options{})
	s.get("/healthz").want(t, 200, "alive")
	s.get("/readyz").want(t, 200, `{"ready":true,"detail":{"partitions":4}}`)
	s.engine.notReady = true
	if r := s.get("/readyz"); r.status != 503 || !strings.Contains(string(r.body), `"ready":false`) || r.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %s", r.status, r.body)
	}
}

func TestAdminListener(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := start(t, Options{Registerer: reg, Gatherer: reg})
	s.post("/v1/t", track).want(t, 200, "true")
	s.post("/v1/t", "{").want(t, 400, "JSON")
	s.post("/v1/batch", `{"batch":[{}]}`).want(t, 200, "true")
	get := func(path string) (int, string) {
		resp, err := s.client.Get("http://" + s.server.AdminAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	_, text := get("/metrics")
	for _, want := range []string{
		`rapport_http_requests_total{route="POST /v1/t",status="200"} 1`,
		`rapport_http_requests_total{route="POST /v1/t",status="400"} 1`,
		`rapport_http_request_seconds_count{route="POST /v1/t"} 2`,
		`rapport_http_events_total{result="logged"} 1`, `rapport_http_events_total{result="refused"} 1`,
		`rapport_http_events_total{result="deadlettered"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/debug/pprof/": 200, "/debug/pprof/cmdline": 200, "/v1/t": 404} {
		if got, _ := get(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestABugIsAnAnswerAndNotTheEnd(t *testing.T) {
	s := start(t, Options{})
	s.engine.panics = true
	s.get("/v1/profiles/user:42").want(t, 500, "X-Request-ID")
	s.engine.panics = false
	s.get("/v1/profiles/user:42").want(t, 404, "user:42")
}

// raw sends bytes on a connection of its own and reads what comes until the
// server closes it.
func (s *site) raw(text string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil && len(b) == 0 {
		s.t.Fatal(err)
	}
	return string(b)
}

func TestSlowAndBrokenClientsAreCutOff(t *testing.T) {
	s := start(t, Options{ReadTimeout: 50 * time.Millisecond, IdleTimeout: 50 * time.Millisecond})
	if got := s.raw("POST /v1/t HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"); !strings.Contains(got, " 408 ") {
		t.Errorf("a slow body: %q", got)
	}
	s.raw("POST /v1/t HTTP/1.1\r\nHos") // headers that never end
	if got := s.raw("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n"); !strings.Contains(got, " 431 ") {
		t.Errorf("large headers: %q", clip([]byte(got)))
	}
	if got := s.raw("POST /v1/b HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n"); !strings.Contains(got, " 413 ") {
		t.Errorf("a large body: %q", got)
	}
	if got := s.raw("hello\r\n\r\n"); !strings.Contains(got, " 400 ") || !strings.Contains(got, "X-Request-Id") {
		t.Errorf("not HTTP: %q", got)
	}
	s.get("/healthz").want(t, 200, "alive")
}

func TestShutdownWaitsForRequestsInFlight(t *testing.T) {
	e := &slowEngine{fakeEngine: newFake(), began: make(chan struct{}), finish: make(chan struct{})}
	s, err := New(e, Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr() != "" || s.Listen() != nil || s.Addr() == "" || s.AdminAddr() != "" {
		t.Fatal("the address is not as told")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-e.began
	cancel()
	close(e.finish)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("answered %d", resp.StatusCode)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// slowEngine is asked for readiness and answers when told to.
type slowEngine struct {
	*fakeEngine
	began, finish chan struct{}
}

func (e *slowEngine) Ready() (bool, any) {
	close(e.began)
	<-e.finish
	return true, nil
}

func TestListenSaysWhyNot(t *testing.T) {
	s := start(t, Options{})
	for _, o := range []Options{{Listen: s.server.Addr()}, {Listen: "127.0.0.1:0", AdminListen: s.server.Addr()}} {
		other, err := New(newFake(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "cannot listen") {
			t.Errorf("%+v: %v", o.Listen, err)
		}
	}
}
