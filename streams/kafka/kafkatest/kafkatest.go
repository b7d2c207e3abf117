// Package kafkatest runs a real one-node Apache Kafka for integration tests,
// from the jars that deploy/integration/fetch-kafka fetches.
package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams/kafka"
)

// startTimeout is for a machine that is busy with other tests.
const startTimeout = 2 * time.Minute

// Node is a Kafka broker and controller, in one process on loopback.
type Node struct {
	t      testing.TB
	libs   string
	dir    string
	port   int
	proxy  func(upstream string) (addr string) // nil: none
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start starts a node and stops it at the end of the test. Where Java or the
// jars are missing, the test is skipped, or fails if RAPPORT_INTEGRATION is
// "required".
func Start(t testing.TB) *Node {
	t.Helper()
	return start(t, nil)
}

// StartProxied is Start of a node that has a second listener, for clients that
// come through a proxy: proxy is told where that listener is, and returns the
// address, host:port, that such clients shall use.
func StartProxied(t testing.TB, proxy func(upstream string) (addr string)) *Node {
	t.Helper()
	return start(t, proxy)
}

func start(t testing.TB, proxy func(upstream string) (addr string)) *Node {
	t.Helper()
	libs, err := find()
	if err != nil {
		if os.Getenv("RAPPORT_INTEGRATION") == "required" {
			t.Fatalf("%v, and RAPPORT_INTEGRATION is \"required\"", err)
		}
		t.Skipf("%v: integration tests with Kafka are skipped", err)
	}
	n := &Node{t: t, libs: libs, dir: t.TempDir(), proxy: proxy}
	n.format()
	n.Run()
	t.Cleanup(n.Kill)
	return n
}

// find returns the directory of Kafka's jars.
func find() (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("java is not installed")
	}
	dir := os.Getenv("RAPPORT_KAFKA_LIBS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("kafka is not to be found: %w", err)
		}
		dir = filepath.Join(cache, "rapport", "kafka-4.1.1")
	}
	if _, err := os.Stat(filepath.Join(dir, ".complete")); err != nil {
		return "", fmt.Errorf("kafka is not in %s (run deploy/integration/fetch-kafka)", dir)
	}
	return dir, nil
}

// Addr is where the broker listens.
func (n *Node) Addr() string { return loopback(n.port) }

// Config is one for this node, with topics prefixed by "test.".
func (n *Node) Config(partitions int32) kafka.Config {
	return kafka.Config{Brokers: []string{n.Addr()}, Prefix: "test.", Partitions: partitions}
}

// format writes the node's settings and makes its directory ready.
func (n *Node) format() {
	n.t.Helper()
	ports := freePorts(n.t)
	n.port = ports[0]
	proxied, advertised := loopback(ports[2]), loopback(ports[2])
	if n.proxy != nil {
		advertised = n.proxy(proxied)
	}
	settings := fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:%[2]d
listeners=PLAINTEXT://127.0.0.1:%[1]d,PROXIED://%[4]s,CONTROLLER://127.0.0.1:%[2]d
advertised.listeners=PLAINTEXT://127.0.0.1:%[1]d,PROXIED://%[5]s,CONTROLLER://127.0.0.1:%[2]d
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
log.dirs=%[3]s
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
`, ports[0], ports[1], filepath.Join(n.dir, "data"), proxied, advertised)
	if err := os.WriteFile(n.settings(), []byte(settings), 0o644); err != nil {
		n.t.Fatal(err)
	}
	var id [16]byte
	_, _ = rand.Read(id[:])
	cmd := n.java("kafka.tools.StorageTool", "format", "-t", base64.RawURLEncoding.EncodeToString(id[:]), "-c", n.settings(), "--standalone")
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("cannot format kafka's directory: %v\n%s", err, out)
	}
}

func (n *Node) settings() string { return filepath.Join(n.dir, "server.properties") }
func (n *Node) log() string      { return filepath.Join(n.dir, "log") }

func (n *Node) java(args ...string) *exec.Cmd {
	flags := []string{"-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(n.libs, "*")}
	return exec.Command("java", append(flags, args...)...)
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts returns ports that were free a moment ago.
func freePorts(t testing.TB) (ports [3]int) {
	t.Helper()
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// Run starts the node, again with what it had, and waits until it answers.
func (n *Node) Run() {
	n.t.Helper()
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	n.cmd = n.java("kafka.Kafka", n.settings())
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(n.cmd, n.exited)
	n.await()
}

// await returns when the broker answers.
func (n *Node) await() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for !n.answers(ctx) {
		select {
		case <-ticker.C:
		case <-n.exited:
			n.t.Fatalf("kafka ended:\n%s", n.tail())
		case <-ctx.Done():
			n.t.Fatalf("kafka on %s does not answer:\n%s", n.Addr(), n.tail())
		}
	}
}

func (n *Node) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return kafka.Ping(ctx, n.Config(1)) == nil
}

func (n *Node) tail() string {
	log, _ := os.ReadFile(n.log())
	lines := strings.Split(string(log), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// Kill ends the node with SIGKILL.
func (n *Node) Kill() { n.signal(syscall.SIGKILL); <-n.exited }

// Pause stops the node with SIGSTOP until Resume.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP) }

// Resume continues a paused node.
func (n *Node) Resume() { n.signal(syscall.SIGCONT) }

func (n *Node) signal(sig syscall.Signal) { _ = n.cmd.Process.Signal(sig) }
