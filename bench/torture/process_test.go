//go:build integration

package torture_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// program is the path of the binary under test, built once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "rapport")
	cmd := exec.Command("go", "build", "-o", path, "../../cmd/rapport")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build the program: %w\n%s", err, out)
	}
	return path, nil
})

// scratch is a directory for the binary.
var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "rapport-torture"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// process is a `rapport serve`, and its next ones after it died.
type process struct {
	t    *testing.T
	name string
	args []string
	said string // the file with its standard error
	// excused is asked whether a process that was never ready may end by itself;
	// nil: it may not.
	excused func() bool

	url  atomic.Pointer[string] // where it listens; "" while it does not
	mu   sync.Mutex             // guards what follows
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	// stopping says that its end is wanted; wasReady that it was ready once.
	stopping, wasReady bool
}

func newProcess(t *testing.T, name, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, args: args, said: filepath.Join(dir, name+".log")}
	p.url.Store(new(string))
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, p.tail())
		}
	})
	return p
}

// address is where it listens, "" while it does not.
func (p *process) address() string { return *p.url.Load() }

// spawn starts a process, which may not listen yet.
func (p *process) spawn() {
	p.t.Helper()
	path, err := program()
	if err != nil {
		p.t.Fatal(err)
	}
	said, err := os.OpenFile(p.said, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopping, p.wasReady = false, false
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, p.args...)
	p.cmd = exec.Command(path, args...)
	p.cmd.Stdout = io.Discard
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	fmt.Fprintf(said, "--- %v process %d\n", time.Now().Format(time.StampMilli), p.cmd.Process.Pid)
	p.done = make(chan struct{})
	go p.watch(p.cmd, p.done, stderr, said)
}

// watch reads what a process says until it ends.
func (p *process) watch(cmd *exec.Cmd, done chan struct{}, stderr io.Reader, said *os.File) {
	defer said.Close()
	lines := bufio.NewReader(io.TeeReader(stderr, said))
	for {
		line, err := lines.ReadString('\n')
		if _, url, ok := strings.Cut(strings.TrimSpace(line), "listening on "); ok {
			p.url.Store(&url)
		}
		if err != nil {
			break
		}
	}
	p.url.Store(new(string))
	_ = cmd.Wait() // how it ended is asked of ProcessState
	close(done)
	p.mu.Lock()
	wanted, ready := p.cmd != cmd || p.stopping, p.wasReady
	p.mu.Unlock()
	switch {
	case wanted:
	case !ready && p.excused != nil && p.excused():
		wait(500*time.Millisecond, nil)
		p.spawn() // as whoever runs it would
	default:
		p.t.Errorf("%s ended by itself: %v", p.name, cmd.ProcessState)
	}
}

// hook is the path that it posts its messages to.
func (p *process) hook() string { return "/" + p.name }

// listening waits until it listens; false when it ended before.
func (p *process) listening() bool {
	p.t.Helper()
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(2 * time.Minute)
	for p.address() == "" {
		select {
		case <-ticker.C:
		case <-done:
			return false
		case <-deadline:
			p.t.Errorf("%s does not listen after two minutes", p.name)
			return false
		}
	}
	return true
}

// send sends a signal; an end by it is wanted.
func (p *process) send(sig syscall.Signal) (done chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	if sig == syscall.SIGKILL || sig == syscall.SIGINT {
		p.stopping = true
	}
	_ = p.cmd.Process.Signal(sig) // it may be gone already
	return p.done
}

// kill ends the process as a power cut would, and waits for its end.
func (p *process) kill() {
	if done := p.send(syscall.SIGKILL); done != nil {
		<-done
	}
}

// stop ends the process as an operator would.
func (p *process) stop() {
	p.t.Helper()
	done := p.send(syscall.SIGINT)
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		p.t.Errorf("%s does not stop", p.name)
		p.kill()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s ended with %d", p.name, code)
	}
}

// tail is the end of what it said.
func (p *process) tail() string {
	data, err := os.ReadFile(p.said)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-6000):])
}
