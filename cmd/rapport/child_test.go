package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// asProgram in the environment makes the test's binary the program itself, so
// that tests can kill a process of it.
const asProgram = "RAPPORT_TEST_AS_PROGRAM"

// child is a `rapport serve` in a process of its own, and the one connection
// that talks to it.
type child struct {
	t    *testing.T
	dir  string // its data directory
	args []string

	url     string
	metrics string // where its metrics are
	http    *http.Client
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended
	// spawned is told when a process begins; nil: nobody.
	spawned func(*child)
	said    tail // the end of its standard error
}

// newChild makes a child with an empty data directory; start starts it.
func newChild(t *testing.T, args ...string) *child {
	t.Helper()
	transport := &http.Transport{MaxConnsPerHost: 1}
	c := &child{t: t, dir: filepath.Join(t.TempDir(), "data"), args: args, http: &http.Client{Transport: transport, Timeout: time.Minute}}
	t.Cleanup(func() {
		c.kill()
		transport.CloseIdleConnections()
	})
	return c
}

// start starts the program and returns when it listens; again where a process
// is killed before that.
func (c *child) start() {
	c.t.Helper()
	for !c.listens() {
	}
}

// listens starts a process; false when it was killed before it listened.
func (c *child) listens() bool {
	c.t.Helper()
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", c.dir}, c.args...)
	c.cmd = exec.Command(os.Args[0], args...) //nolint:gosec // the test's own binary
	c.cmd.Dir = filepath.Dir(c.dir)
	c.cmd.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.done = make(chan struct{})
	if c.spawned != nil {
		c.spawned(c)
	}
	listening := make(chan string, 1)
	go func() {
		defer close(c.done)
		lines := bufio.NewScanner(io.TeeReader(stderr, &c.said))
		for lines.Scan() {
			if _, url, ok := strings.Cut(lines.Text(), "metrics on "); ok {
				c.metrics = url // said before it listens
			}
			if _, url, ok := strings.Cut(lines.Text(), "listening on "); ok {
				listening <- url
			}
		}
		_ = c.cmd.Wait() // how it ended is asked of ProcessState
	}()
	select {
	case c.url = <-listening:
		return true
	case <-c.done:
		if c.cmd.ProcessState.ExitCode() < 0 { // by a signal
			return false
		}
		c.t.Fatalf("the server ended by itself: %v\n%s", c.cmd.ProcessState, c.said.String())
	case <-time.After(time.Minute):
		c.t.Fatalf("the server does not listen after a minute\n%s", c.said.String())
	}
	return false
}

// ended reports whether the process has ended.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// kill ends the process as a power cut would, kill -9, and waits for its end.
func (c *child) kill() {
	if c.done == nil {
		return
	}
	_ = c.cmd.Process.Kill() // it may be gone already
	<-c.done
}

// stop ends the process as an operator would.
func (c *child) stop() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		c.t.Fatal(err)
	}
	<-c.done
	if code := c.cmd.ProcessState.ExitCode(); code != exitDone {
		c.t.Fatalf("the server ended with %d\n%s", code, c.said.String())
	}
}

// do sends one request; an error means that there was no answer.
func (c *child) do(method, path string, header http.Header, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	if closing := resp.Body.Close(); err == nil {
		err = closing
	}
	return resp.StatusCode, answer, err
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte // guarded by mu
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - 8<<10; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
