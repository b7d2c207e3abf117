package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// cluster is several engines on one broker and one Redis.
type cluster struct {
	t      *testing.T
	broker *kafka.Embedded
	redis  *miniredis.Miniredis
	nodes  []*clusterNode
}

// clusterNode is one engine of a cluster; stop ends it.
type clusterNode struct {
	*Engine
	stop func()
}

// newCluster starts n engines that take no snapshot but every interval, and waits
// until they share the partitions.
func newCluster(t *testing.T, n int, interval time.Duration, change func(*Config)) *cluster {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	broker, err := kafka.StartEmbedded(ctx, kafka.EmbeddedConfig{Memory: true, Partitions: 4, Prefix: "rapport."})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{t: t, broker: broker, redis: miniredis.RunT(t)}
	for i := range n {
		c.start(fmt.Sprint("node", i), interval, change)
	}
	c.until("each to own its share", func() bool {
		for _, e := range c.nodes {
			if ok, _ := e.Ready(); !ok || len(e.ownedPartitions()) != 4/n {
				return false
			}
		}
		return true
	})
	return c
}

func (c *cluster) start(instance string, interval time.Duration, change func(*Config)) *clusterNode {
	c.t.Helper()
	cfg := DefaultConfig()
	cfg.Data, cfg.Rules, cfg.Partitions, cfg.Instance = c.t.TempDir(), c.t.TempDir()+"/none", 4, instance
	cfg.Kafka.Brokers, cfg.Redis.Addrs, cfg.SnapshotInterval = c.broker.Addrs(), []string{c.redis.Addr()}, interval
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg, Options{MessageLog: io.Discard, Logger: slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stopped := false
	node := &clusterNode{Engine: e, stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("run: %v", err)
		}
	}}
	c.t.Cleanup(node.stop)
	c.nodes = append(c.nodes, node)
	return node
}

// until waits, for a minute at most.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			c.t.Fatalf("waited a minute for %s", what)
		case <-tick.C:
		}
	}
}

// customer is the n-th identifier of that type whose profile node owns.
func (c *cluster) customer(node *clusterNode, typ string, n int) streams.Identifier {
	for i := 0; ; i++ {
		id := streams.Identifier{Type: typ, Value: fmt.Sprint("c", i)}
		if node.partition(streams.Partition(id.String(), 4)) == nil {
			continue
		}
		if n--; n < 0 {
			return id
		}
	}
}

// send logs an event through a node.
func (c *cluster) send(node *clusterNode, name, messageID, properties string, ids ...streams.Identifier) {
	c.t.Helper()
	call := map[string]any{"type": "track", "event": name, "messageId": messageID, "properties": json.RawMessage(properties)}
	for _, id := range ids {
		call[id.Type+"Id"] = id.Value
	}
	value, err := json.Marshal(call)
	if err != nil {
		c.t.Fatal(err)
	}
	rec := streams.Record{Partition: -1, Key: []byte(ids[0].String()), Value: value}
	if err := node.Ingest(c.t.Context(), []streams.Record{rec}); err != nil {
		c.t.Fatal(err)
	}
}

// sees waits until a node answers with a profile that ok accepts.
func (c *cluster) sees(node *clusterNode, what string, id streams.Identifier, ok func(p *profiles.Profile) bool) {
	c.t.Helper()
	c.until(what, func() bool {
		p, age, err := node.ReadProfile(c.t.Context(), id)
		if err != nil && !errors.Is(err, ErrNotFound) || age != 0 {
			c.t.Fatalf("%s: %v, age %v", id, err, age)
		}
		return err == nil && ok(p)
	})
}

// No snapshot is taken while this test runs: what the process that does not own a
// customer knows is what it has read.
func TestLastActionsCountAtOnceInEveryProcess(t *testing.T) {
	c := newCluster(t, 2, 10*time.Minute, nil)
	a, b := c.nodes[0], c.nodes[1]
	known := c.customer(a, "user", 0)
	c.send(b, "Product Viewed", "m1", `{"product_id":"p1","price":10}`, known)
	c.send(b, "Product Added", "m2", `{"product_id":"p1","price":10}`, known)
	c.send(a, "Order Completed", "m3", `{"order_id":"o1","total":7,"products":[{"product_id":"p9","price":7}]}`, known)
	c.send(b, "Product Added", "m2", `{"product_id":"p1","price":10}`, known) // again
	for _, node := range c.nodes {
		c.sees(node, "views, cart and orders", known, func(p *profiles.Profile) bool {
			return len(p.Viewed) == 1 && len(p.Cart.GetLines()) == 1 && p.Cart.Lines[0].Quantity == 1 && p.Orders.GetCount() == 1 && p.Events == 3
		})
	}
	answers := make([]recommender.Answer, 1)
	req := &recommender.Request{Placement: "home", Limit: 5}
	if err := b.Recommend(t.Context(), known, []*recommender.Request{req}, true, answers); err != nil || len(req.Customer.Cart) != 1 || len(req.Customer.Recent) != 1 {
		t.Errorf("the recommender is told %+v, %v", req.Customer, err)
	}
	// Whoever asks by a weaker identifier is told of the profile that it was named
	// with, whether the link has come to the store or not.
	visitor := c.customer(a, "anonymous", 1)
	c.send(b, "Product Viewed", "m4", `{"product_id":"p2"}`, visitor)
	c.send(b, "Product Viewed", "m5", `{"product_id":"p3"}`, known, visitor)
	for _, node := range c.nodes {
		c.sees(node, "the login", visitor, func(p *profiles.Profile) bool {
			return p.Id == known.String() && len(p.Viewed) == 3
		})
	}
	if _, _, err := b.ReadProfile(t.Context(), c.customer(a, "user", 7)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a customer nobody knows: %v", err)
	}
	// Each process learns from all of them.
	for p := range int32(4) {
		c.until("the same place in the model", func() bool { return a.model.Position(p) == b.model.Position(p) })
	}
}

func TestLastCopyIsAnsweredWhileRedisIsAway(t *testing.T) {
	c := newCluster(t, 2, 100*time.Millisecond, nil)
	a, b := c.nodes[0], c.nodes[1]
	known, other := c.customer(a, "user", 0), c.customer(a, "user", 1)
	for _, id := range []streams.Identifier{known, other} {
		c.send(a, "Product Viewed", "m-"+id.Value, `{"product_id":"p1","price":10}`, id)
	}
	b.overlay.on.Store(false) // else it knows by itself
	for _, id := range []streams.Identifier{known, other} {
		c.sees(a, "the event", id, func(p *profiles.Profile) bool { return len(p.Viewed) == 1 })
		home := streams.Partition(id.String(), 4)
		c.until("its snapshot", func() bool {
			_, _, err := b.store.Get(t.Context(), home, id.String())
			return err == nil
		})
	}
	c.until("a copy", func() bool { // of a cache that may refuse one
		p, _, err := b.ReadProfile(t.Context(), known)
		b.copies.cache.Wait()
		_, kept := b.copies.cache.Get(known.String())
		return err == nil && len(p.Viewed) == 1 && kept
	})
	c.redis.SetError("LOADING away for the test")
	c.until("the copy, with its age", func() bool {
		p, age, err := b.ReadProfile(t.Context(), known)
		return err == nil && len(p.Viewed) == 1 && age > 0
	})
	if _, _, err := b.ReadProfile(t.Context(), other); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a copy: %v", err)
	}
	if p, age, err := a.ReadProfile(t.Context(), known); err != nil || age != 0 || len(p.Viewed) != 1 {
		t.Errorf("the owner, from memory: %v, age %v, %v", p, age, err)
	}
	c.redis.SetError("")
	for _, id := range []streams.Identifier{known, other} {
		c.until("the store again", func() bool {
			p, age, err := b.ReadProfile(t.Context(), id)
			return err == nil && age == 0 && len(p.Viewed) == 1
		})
	}
}

// A process that has lost a partition without knowing does not answer from what
// it remembers.
func TestZombieDoesNotAnswerFromMemory(t *testing.T) {
	c := newCluster(t, 1, 50*time.Millisecond, nil)
	a := c.nodes[0]
	id := c.customer(a, "user", 0)
	c.send(a, "Product Viewed", "m1", `{"product_id":"p1"}`, id)
	c.sees(a, "the event", id, func(p *profiles.Profile) bool { return len(p.Viewed) == 1 })
	home := streams.Partition(id.String(), 4)
	c.until("a snapshot", func() bool {
		_, _, err := a.store.Get(t.Context(), home, id.String())
		return err == nil
	})
	a.saving.Lock() // it is paused
	defer a.saving.Unlock()
	owner := a.partition(home)
	c.until("ticks of its own", func() bool { return owner.belief.ticked.Load() > 0 && a.live.Load() })
	meta, err := a.store.Acquire(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	next := meta
	next.Number++
	if err := a.store.Save(t.Context(), home, meta, next, []profiles.Blob{{ID: id.String()}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Profile(t.Context(), id); err != nil {
		t.Errorf("with ticks: %v", err)
	}
	// The next owner ticks with another epoch, and this one no more.
	owner.noteTicks([]streams.Record{tickOf(home, meta.Epoch, 1)})
	silent := time.Now().Add(-silence).UnixMilli() - 1
	owner.belief.ticked.Store(silent)
	a.copies.cache.Clear()
	a.overlay.on.Store(false)
	c.redis.SetError("LOADING away for the test")
	if _, err := a.Profile(t.Context(), id); err != nil {
		t.Errorf("nobody says that there is a newer owner: %v", err)
	}
	c.redis.SetError("")
	c.until("the store to be asked", func() bool {
		owner.belief.ticked.Store(silent) // until the tick that was under way is read, too
		_, err := a.Profile(t.Context(), id)
		return errors.Is(err, ErrNotFound)
	})
}

// Profiles that were evicted come back from Redis with their next event, wherever
// it is sent, and a partition that cannot have one back says so.
func TestEvictedProfilesComeBackFromRedis(t *testing.T) {
	c := newCluster(t, 2, 50*time.Millisecond, func(cfg *Config) { cfg.Memory = 1 })
	a, b := c.nodes[0], c.nodes[1]
	id := c.customer(a, "user", 0)
	owner := a.partition(streams.Partition(id.String(), 4))
	evicted := func() bool {
		a.trim()
		return owner.store.Place(id.String()) == profiles.Evicted
	}
	views := func(n int) func(p *profiles.Profile) bool {
		return func(p *profiles.Profile) bool { return len(p.Viewed) == n && int(p.Events) == n }
	}
	c.send(a, "Product Viewed", "m1", `{"product_id":"p1"}`, id)
	c.until("it to be evicted", evicted)
	for _, node := range c.nodes {
		c.sees(node, "one view", id, views(1))
	}
	c.send(b, "Product Viewed", "m2", `{"product_id":"p2"}`, id)
	for _, node := range c.nodes {
		c.sees(node, "two views", id, views(2))
	}
	c.until("it to be evicted again", evicted)
	c.redis.SetError("LOADING away for the test")
	c.send(b, "Product Viewed", "m3", `{"product_id":"p3"}`, id)
	c.until("the partition to wait", func() bool {
		_, detail := a.Ready()
		return len(detail.(Readiness).Waiting) == 1 //nolint:forcetypeassert // as documented
	})
	_ = a.Stats() // does not wait
	c.redis.SetError("")
	for _, node := range c.nodes {
		c.sees(node, "three views", id, views(3))
	}
}
