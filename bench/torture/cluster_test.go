//go:build integration

package torture_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/bench/torture"
	"github.com/rapport-engine/rapport/engine/snapshot/redis"
	"github.com/rapport-engine/rapport/engine/snapshot/redis/redistest"
	"github.com/rapport-engine/rapport/streams/kafka"
	"github.com/rapport-engine/rapport/streams/kafka/kafkatest"
)

var faultsFlag = flag.String("faults", "kill=2,zombie=1,broker=1,redis=1,rolling=1,rollback=1,slowredis=1,slowbroker=1,cutredis=1,cutbroker=1,join=1",
	"how often each fault is injected into the cluster")

// session is after which time of silence a process loses its partitions.
const session = 6 * time.Second

// cluster is three processes on one Kafka and one Redis, which they reach through
// proxies.
type cluster struct {
	*run
	node          *kafkatest.Node
	store         *redistest.Server
	broker, redis *proxy
	processes     []*process
	client        *http.Client

	mu    sync.Mutex
	away  bool      // Kafka or Redis cannot be reached; guarded by mu
	until time.Time // when they last could not; guarded by mu
}

// TestCluster breaks what there is to break around three processes that share a
// Kafka and a Redis, while shoppers shop and other programs write to the log.
func TestCluster(t *testing.T) {
	c := &cluster{run: newRun(t), client: &http.Client{Timeout: 2 * time.Second}}
	c.node = kafkatest.StartProxied(t, func(upstream string) string {
		c.broker = newProxy(t, "kafka", upstream)
		return c.broker.Listen
	})
	c.store = redistest.Start(t)
	c.redis = newProxy(t, "redis", c.store.Addr())
	for _, name := range []string{"one", "two", "three"} {
		c.processes = append(c.processes, c.process(name))
	}
	for _, p := range c.processes {
		p.spawn()
	}
	c.allReady()
	c.load.URL = func(n uint64) string { return c.processes[n%3].address() }
	wild := newWildWriter(c)
	c.during(func() {
		stop := wild.start()
		for _, fault := range c.schedule() {
			c.inject(fault)
			if c.random.IntN(3) > 0 { // else the next one meets a system that recovers
				c.allReady()
			}
			wait(time.Duration(c.random.Int64N(int64(time.Second))), nil)
		}
		c.allReady()
		wait(3*time.Second, nil)
		stop()
	})
	c.allReady()
	c.settle()
	known := c.ask(func(n int) string { return c.processes[n%3].address() })
	for _, p := range c.processes {
		p.stop()
	}
	c.compareCluster(known)
}

// process is one of the cluster, not started yet.
func (c *cluster) process(name string) *process {
	p := newProcess(c.t, name, c.dir, append(c.settings(name), "--instance", name, "--data", filepath.Join(c.dir, name),
		"--kafka-brokers", c.broker.Listen, "--redis-addrs", c.redis.Listen, "--session-timeout", session.String())...)
	p.excused = func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		excused := c.away || time.Since(c.until) < 30*time.Second
		if excused {
			c.count("start that failed as Kafka or Redis was away, tried again")
		}
		return excused
	}
	return p
}

// schedule is every fault so often as asked for, in an order that the seed chooses.
func (c *cluster) schedule() (list []string) {
	for _, entry := range strings.Split(*faultsFlag, ",") {
		name, text, _ := strings.Cut(entry, "=")
		n, err := strconv.Atoi(text)
		if err != nil {
			c.t.Fatalf("-faults: %v", err)
		}
		for range n {
			list = append(list, name)
		}
	}
	c.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// inject injects one fault and returns when its cause is over.
func (c *cluster) inject(fault string) {
	c.t.Helper()
	p := c.processes[c.random.IntN(len(c.processes))]
	d := 500*time.Millisecond + time.Duration(c.random.Int64N(int64(3*time.Second)))
	began := time.Now()
	switch fault {
	case "kill":
		c.killOnce(p)
		if c.random.IntN(4) == 0 { // the others take over
			wait(session+time.Second, nil)
		}
		p.spawn()
		return
	case "zombie":
		p.send(syscall.SIGSTOP)
		wait(session+d, nil)
		p.send(syscall.SIGCONT)
		wait(3*time.Second, nil) // until it has noticed
		c.allReady()
		c.fault("process paused for longer than its session", began)
	case "broker":
		c.outage(func() { c.node.Kill(); wait(d, nil); c.node.Run() })
		c.fault("kill -9 of Kafka and restart", began)
	case "redis":
		c.outage(func() { c.store.Kill(); wait(d, nil); c.store.Run() })
		c.count("kill -9 of Redis and restart")
	case "rollback":
		c.outage(func() { c.rollback(d) })
		c.allReady()
		c.count("Redis restarted with the data of some seconds before")
	case "slowredis":
		c.redis.slow(300*time.Millisecond, 2*d)
		c.count("Redis answers 0.2 to 0.4 s late, for seconds")
	case "slowbroker":
		c.broker.slow(300*time.Millisecond, 2*d)
		c.fault("Kafka answers 0.2 to 0.4 s late, for seconds", began)
	case "cutredis":
		c.outage(func() { c.redis.cut(d) })
		c.count("all connections to Redis cut")
	case "cutbroker":
		c.outage(func() { c.broker.cut(d) })
		c.fault("all connections to Kafka cut", began)
	case "rolling":
		for _, p := range c.processes {
			p.stop()
			p.spawn()
			c.allReady()
		}
		c.count("rolling restart of all processes")
	case "join":
		joined := c.process("joins")
		joined.spawn()
		c.ready(joined)
		wait(d, nil)
		joined.stop()
		c.count("process joined and left")
	default:
		c.t.Fatalf("-faults: %q is none", fault)
	}
}

// outage runs what keeps processes from Kafka or Redis.
func (c *cluster) outage(f func()) {
	c.setAway(true)
	f()
	c.setAway(false)
}

func (c *cluster) setAway(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away, c.until = away, time.Now()
}

// rollback is a failover to a replica that had fallen behind: what was acknowledged
// within d is gone.
func (c *cluster) rollback(d time.Duration) {
	c.t.Helper()
	kept := filepath.Join(c.dir, fmt.Sprint("redis-", time.Now().UnixNano()))
	data := filepath.Join(c.store.Dir(), "appendonlydir")
	if err := os.CopyFS(kept, os.DirFS(data)); err != nil {
		c.t.Error(err)
		return
	}
	wait(d, nil)
	c.store.Kill()
	if err := os.RemoveAll(data); err != nil {
		c.t.Error(err)
	}
	if err := os.Rename(kept, data); err != nil {
		c.t.Error(err)
	}
	c.store.Run()
}

// allReady waits until every process says that it is ready.
func (c *cluster) allReady() {
	c.t.Helper()
	for _, p := range c.processes {
		c.ready(p)
	}
}

func (c *cluster) ready(p *process) {
	c.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !c.isReady(p) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s is not ready after three minutes", p.name)
		}
		wait(50*time.Millisecond, nil)
	}
}

func (c *cluster) isReady(p *process) bool {
	url := p.address()
	if url == "" {
		return false
	}
	resp, err := c.client.Get(url + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wasReady = true
	return true
}

// compareCluster reads the log and the snapshots, and compares.
func (c *cluster) compareCluster(known map[string]*torture.Known) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Minute)
	defer cancel()
	log, err := torture.ReadLog(ctx, kafka.Config{Brokers: []string{c.node.Addr()}, Prefix: "rapport.", Partitions: 4})
	if err != nil {
		c.t.Fatal(err)
	}
	store, err := redis.New(redis.Options{Addrs: []string{c.store.Addr()}, Prefix: "rapport."})
	if err != nil {
		c.t.Fatal(err)
	}
	defer store.Close()
	c.compare(log, known, store)
}
