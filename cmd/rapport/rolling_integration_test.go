//go:build integration

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine/snapshot/redis/redistest"
	"github.com/rapport-engine/rapport/streams/kafka/kafkatest"
)

// rolling is two processes of one cluster, and clients that know both.
type rolling struct {
	t         *testing.T
	processes [2]*child
	urls      [2]atomic.Pointer[string] // of those that listen
	http      *http.Client
	sent      atomic.Int64
	asked     atomic.Int64
	again     atomic.Int64 // requests that were answered 503, or not at all
}

// TestRollingRestart restarts each of two processes, twice, while clients send
// events and ask for profiles and recommendations. A client that tries again, at
// the other process, when it is answered 503 or not at all, sees no error, and
// finds what it has sent.
func TestRollingRestart(t *testing.T) {
	node, store := kafkatest.Start(t), redistest.Start(t)
	config := filepath.Join(t.TempDir(), "rapport.yaml")
	text := fmt.Sprintf("partitions: 4\nkafka: {brokers: [%q], prefix: roll.}\nredis: {addrs: [%q]}\nsnapshot_interval: 0.5s\n", node.Addr(), store.Addr())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &rolling{t: t, http: &http.Client{Timeout: 20 * time.Second}}
	t.Cleanup(r.http.CloseIdleConnections)
	for i := range r.processes {
		r.processes[i] = newChild(t, "--config", config, "--instance", fmt.Sprint("process", i))
		r.begin(i)
	}
	ctx, stop := context.WithCancel(t.Context())
	failures := make(chan error, 4)
	for worker := range cap(failures) {
		go func() { failures <- r.shop(ctx, worker) }()
	}
	r.progress() // both are asked before the first goes
	for range 2 {
		for i := range r.processes {
			r.urls[i].Store(nil)
			r.processes[i].stop()
			r.begin(i)
			r.progress()
		}
	}
	stop()
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d events, %d questions; %d tries were answered 503 or not at all", r.sent.Load(), r.asked.Load(), r.again.Load())
}

// begin starts a process and returns when it is ready.
func (r *rolling) begin(i int) {
	r.t.Helper()
	c := r.processes[i]
	c.start()
	r.await("ready", func() bool {
		resp, err := r.http.Get(c.url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	r.urls[i].Store(&c.url)
}

// progress waits until the clients have got on.
func (r *rolling) progress() {
	r.t.Helper()
	events, questions := r.sent.Load(), r.asked.Load()
	r.await("clients to get on", func() bool { return r.sent.Load() > events+200 && r.asked.Load() > questions+200 })
}

func (r *rolling) await(what string, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("not %s in two minutes\n%s\n%s", what, r.processes[0].said.String(), r.processes[1].said.String())
		case <-ticker.C:
		}
	}
}

// shop is one client until ctx ends: customers of its own view items, one after
// the other, and are asked for.
func (r *rolling) shop(ctx context.Context, worker int) error {
	for n := 0; ctx.Err() == nil; n++ {
		user := fmt.Sprintf("w%d-%d", worker, n%50)
		body := fmt.Sprintf(`{"batch":[{"type":"track","event":"Product Viewed","userId":%q,"messageId":"m%d-%d","properties":{"product_id":"p%d"}}]}`, user, worker, n, n%20)
		if _, err := r.request(n, http.MethodPost, "/v1/batch", body); err != nil {
			return err
		}
		r.sent.Add(1)
		if _, err := r.request(n+1, http.MethodGet, "/v1/recommend?limit=3&id=user:"+user, ""); err != nil {
			return err
		}
		r.asked.Add(1)
		if n%10 > 0 {
			continue
		}
		if err := r.finds(ctx, n, user, n/50+1); err != nil {
			return err
		}
	}
	return nil
}

// finds asks until a customer has so many events, at once or shortly after.
func (r *rolling) finds(ctx context.Context, n int, user string, want int) error {
	deadline, got := time.Now().Add(time.Minute), 0
	for try := 0; ; try++ {
		answer, err := r.request(n+try, http.MethodGet, "/v1/profiles/user:"+user, "")
		if err != nil {
			return err
		}
		var p struct{ Events int }
		if answer != nil {
			if err := json.Unmarshal(answer, &p); err != nil {
				return err
			}
		}
		if got = max(got, p.Events); got == want || ctx.Err() != nil {
			return nil
		}
		if p.Events > want || time.Now().After(deadline) {
			return fmt.Errorf("user:%s has %d events, want %d", user, got, want)
		}
	}
}

// request asks a process, then the other, until one answers; nil for 404.
func (r *rolling) request(at int, method, path, body string) ([]byte, error) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); at++ {
		url := r.urls[at%2].Load()
		if url == nil {
			continue
		}
		req, err := http.NewRequest(method, *url+path, bytes.NewReader([]byte(body)))
		if err != nil {
			return nil, err
		}
		resp, err := r.http.Do(req)
		if err != nil { // it was stopped meanwhile
			r.again.Add(1)
			continue
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		switch {
		case resp.StatusCode == http.StatusServiceUnavailable, err != nil:
			r.again.Add(1)
		case resp.StatusCode == http.StatusNotFound:
			return nil, nil
		case resp.StatusCode != http.StatusOK:
			return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
		default:
			return answer, nil
		}
	}
	return nil, fmt.Errorf("%s %s: no answer in two minutes", method, path)
}
