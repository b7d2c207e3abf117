//go:build integration

package torture_test

import (
	"context"
	"flag"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/bench/torture"
	"github.com/rapport-engine/rapport/engine/snapshot/pebble"
	"github.com/rapport-engine/rapport/streams/kafka"
)

var killsFlag = flag.Int("kills", 10, "how often the process with everything in it is killed")

// TestEmbedded kills a process that has its broker and its snapshots in it, over
// and over, while shoppers shop.
func TestEmbedded(t *testing.T) {
	r := newRun(t)
	data := filepath.Join(r.dir, "data")
	p := newProcess(t, "one", r.dir, append(r.settings("one"), "--data", data)...)
	r.load.URL = func(uint64) string { return p.address() }
	p.spawn()
	if !p.listening() {
		t.FailNow()
	}
	r.during(func() {
		for range *killsFlag {
			r.killOnce(p)
			p.spawn()
		}
		if !p.listening() {
			t.FailNow()
		}
		wait(3*time.Second, nil)
	})
	r.settle()
	known := r.ask(func(int) string { return p.address() })
	p.stop()

	log := readEmbedded(t, data)
	store, err := pebble.Open(filepath.Join(data, "snapshots"), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r.compare(log, known, store)
}

// killOnce kills the process at a moment that the seed chooses: any, in its start,
// or when a message is before or behind the receiver's answer.
func (r *run) killOnce(p *process) {
	began := time.Now()
	switch n := r.random.IntN(10); {
	case n < 2:
		wait(time.Duration(r.random.Int64N(int64(300*time.Millisecond))), nil)
		p.kill()
		r.fault("kill -9 in a start", began)
		return
	case n < 4 && p.listening():
		r.killAtMessage(p, &r.receiver.Before, "kill -9 before a receiver's answer")
		return
	case n < 6 && p.listening():
		r.killAtMessage(p, &r.receiver.After, "kill -9 after a receiver's answer")
		return
	}
	if p.listening() {
		wait(time.Duration(r.random.Int64N(int64(3*time.Second))), nil)
	}
	killed := time.Now()
	p.kill()
	r.fault("kill -9 at a random moment", killed)
}

// killAtMessage kills the process when a message of its own is there, at the latest
// after some seconds.
func (r *run) killAtMessage(p *process, moment *torture.Hook, what string) {
	began := time.Now()
	came := make(chan struct{})
	var once sync.Once
	moment.Set(func(_, path string) {
		if path == p.hook() {
			p.kill()
			once.Do(func() { close(came) })
		}
	})
	wait(4*time.Second, came)
	moment.Set(nil)
	p.kill()
	r.fault(what, began)
}

// readEmbedded reads the log of a process that has ended.
func readEmbedded(t *testing.T, data string) *torture.Log {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	broker, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{Dir: filepath.Join(data, "log"), Prefix: "rapport.", Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	log, err := torture.ReadLog(ctx, kafka.Config{Brokers: broker.Addrs(), Prefix: "rapport.", Partitions: 4, Embedded: broker})
	if err != nil {
		t.Fatal(err)
	}
	return log
}
