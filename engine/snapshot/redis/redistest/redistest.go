// Package redistest runs real Redis servers for integration tests.
package redistest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is a redis-server process on loopback.
type Server struct {
	t       testing.TB
	dir     string
	port    int
	cluster bool
	cmd     *exec.Cmd
	exited  chan struct{}
}

// Start starts a server with an append-only file, which survives Kill, and
// stops it at the end of the test. Where there is no redis-server, the test is
// skipped, or fails if RAPPORT_INTEGRATION is "required".
func Start(t testing.TB) *Server { return start(t, false) }

// StartCluster starts a cluster of one node, which has all hash slots.
func StartCluster(t testing.TB) *Server { return start(t, true) }

func start(t testing.TB, cluster bool) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("RAPPORT_INTEGRATION") == "required" {
			t.Fatal("redis-server is not installed, and RAPPORT_INTEGRATION is \"required\"")
		}
		t.Skip("redis-server is not installed: its integration tests are skipped")
	}
	s := &Server{t: t, dir: t.TempDir(), port: freePort(t), cluster: cluster}
	s.Run()
	t.Cleanup(s.Kill)
	if cluster {
		s.takeSlots()
	}
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if port > 55535 { // a cluster's bus has the port 10000 above
		return port - 20000
	}
	return port
}

// Addr is where the server listens.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Dir is the server's directory, with its append-only file.
func (s *Server) Dir() string { return s.dir }

// Run starts the server again, with what it had, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command("redis-server", "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--cluster-enabled", map[bool]string{true: "yes", false: "no"}[s.cluster])
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	s.await("an answer", func(ctx context.Context, c *redis.Client) bool { return c.Ping(ctx).Err() == nil })
}

// Kill ends the server with SIGKILL.
func (s *Server) Kill() { s.signal(syscall.SIGKILL); <-s.exited }

// Pause stops the server with SIGSTOP until Resume.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume continues a paused server.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) { _ = s.cmd.Process.Signal(sig) }

func (s *Server) takeSlots() {
	s.t.Helper()
	s.await("its slots", func(ctx context.Context, c *redis.Client) bool {
		c.ClusterAddSlotsRange(ctx, 0, 16383)
		info, err := c.Do(ctx, "cluster", "info").Text()
		return err == nil && len(info) > 16 && info[:16] == "cluster_state:ok"
	})
}

// await asks until cond holds.
func (s *Server) await(what string, cond func(context.Context, *redis.Client) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, DialerRetries: 1})
	defer c.Close()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !cond(ctx, c) {
		select {
		case <-ticker.C:
		case <-s.exited:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			s.t.Fatalf("redis-server ended:\n%s", log)
		case <-ctx.Done():
			s.t.Fatalf("redis-server on %s: waited in vain for %s", s.Addr(), what)
		}
	}
}
