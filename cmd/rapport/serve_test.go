package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serving starts `rapport serve` with args and returns its URL and a stop that
// gives the exit code.
func serving(t *testing.T, args ...string) (url string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	p := &program{stdin: strings.NewReader(""), stdout: io.Discard, stderr: write}
	code := make(chan int, 1)
	go func() {
		code <- p.run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--partitions", "2"}, args...))
		_ = write.Close()
	}()
	lines := bufio.NewScanner(read)
	for url == "" && lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), "listening on "); ok {
			url = after
		}
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	if url == "" {
		t.Fatal("not listening")
	}
	return url, func() int {
		cancel()
		return <-code
	}
}

// eventually asks until the answer is as wanted.
func eventually(t *testing.T, url string, good func(status int, body string) bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err == nil && good(resp.StatusCode, string(body)) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: last answer %d %s", url, resp.StatusCode, body)
		case <-ticker.C:
		}
	}
}

func TestServeTakesAnEventAndKeepsIt(t *testing.T) {
	t.Chdir(t.TempDir())
	url, stop := serving(t)
	eventually(t, url+"/readyz", func(status int, _ string) bool { return status == http.StatusOK })
	resp, err := http.Post(url+"/v1/track", "application/json", strings.NewReader(
		`{"userId":"42","event":"Product Added","properties":{"product_id":"p1","price":5}}`)) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %d", err, resp.StatusCode)
	}
	inCart := func(_ int, body string) bool {
		var profile struct {
			Cart struct{ Items []struct{ ID string } }
		}
		return json.Unmarshal([]byte(body), &profile) == nil && len(profile.Cart.Items) == 1 && profile.Cart.Items[0].ID == "p1"
	}
	eventually(t, url+"/v1/profiles/user:42", inCart)
	if code := stop(); code != exitDone {
		t.Fatalf("exit %d", code)
	}
	url, stop = serving(t)
	eventually(t, url+"/readyz", func(status int, _ string) bool { return status == http.StatusOK })
	eventually(t, url+"/v1/profiles/user:42", inCart)
	if code := stop(); code != exitDone {
		t.Errorf("exit %d after the second start", code)
	}
}

func TestServeRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := rapport(t, "serve", "--listen", "0.0.0.0:0"); got.code != exitUsage || !strings.Contains(got.stderr, "loopback") {
		t.Errorf("open to everybody: %+v", got)
	}
	write(t, "rules/a.yaml", "triggers: {x: {}}\n")
	if got := rapport(t, "serve", "--listen", "127.0.0.1:0"); got.code != exitUsage || !strings.Contains(got.stderr, "a.yaml:1:") {
		t.Errorf("bad rules: %+v", got)
	}
}
