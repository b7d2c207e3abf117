package run

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/engine/snapshot/pebble"
	"github.com/rapport-engine/rapport/engine/snapshot/redis"
	"github.com/rapport-engine/rapport/streams"
)

// seedStep is how many profiles go to the snapshot store at once.
const seedStep = 5000

// seedProfiles writes a snapshot with a profile of every customer of the shop
// to an empty data directory, as an engine that saw a month of them would have:
// of so many events each, or of one to three visits where that is 0.
func seedProfiles(ctx context.Context, s *shop, cfg *engine.Config, events int) (err error) {
	store, err := seedStore(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.CheckPartitions(ctx, int32(cfg.Partitions)); err != nil {
		return err
	}
	homes := make([][]int, cfg.Partitions)
	for c := range s.customers {
		home := streams.Partition(customerKey(c), int32(cfg.Partitions))
		homes[home] = append(homes[home], c)
	}
	now := time.Now().UnixMilli()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for p, customers := range homes {
		g.Go(func() error { return s.seedPartition(ctx, store, int32(p), customers, now, events) })
	}
	return g.Wait()
}

// seedStore opens the snapshot store that an engine with this configuration has.
func seedStore(cfg *engine.Config) (snapshot.Store, error) {
	if len(cfg.Redis.Addrs) > 0 {
		return redis.New(redis.Options{Addrs: cfg.Redis.Addrs, Prefix: cfg.Kafka.Prefix})
	}
	return pebble.Open(filepath.Join(cfg.Data, "snapshots"), pebble.Options{NoSync: true})
}

func (s *shop) seedPartition(ctx context.Context, store snapshot.Store, id int32, customers []int, now int64, events int) error {
	meta, err := store.Acquire(ctx, id)
	if err != nil {
		return fmt.Errorf("cannot write profiles of partition %d: %w", id, err)
	}
	kept := profiles.NewStore()
	past := &past{walker: s.walker(100 + uint64(id)), settings: profiles.DefaultSettings(), now: now, events: events}
	for len(customers) > 0 {
		n := min(seedStep, len(customers))
		for _, c := range customers[:n] {
			past.live(kept, c)
			kept.Publish()
		}
		next := meta
		next.Number++
		if err := store.Save(ctx, id, meta, next, kept.TakeDirty()); err != nil {
			return err
		}
		meta, customers = next, customers[n:]
		kept = profiles.NewStore() // what is saved is not needed any more
	}
	return nil
}

// past makes the profiles of customers by applying events to them.
type past struct {
	*walker
	settings profiles.Settings
	now      int64
	events   int // of each customer; 0 leaves it to the visits
	views    []int
}

// live gives a customer visits within the last month.
func (p *past) live(store *profiles.Store, customer int) {
	profile, _ := store.Open(customerKey(customer))
	at := p.now - p.Int64N(30*24*3600)*1000
	visits, left := 1+p.IntN(3), p.events
	for visit := 0; visit < visits || left > 0; visit++ {
		p.views = p.session(p.views)
		if p.events > 0 {
			p.views = p.views[:min(len(p.views), left)]
			left -= len(p.views)
		}
		for n, item := range p.views {
			e := p.event(customer, item, at, visit*100+n)
			p.settings.Apply(profile, e, at, nil)
			at += 1000 + p.Int64N(60_000)
		}
		at = min(at+p.Int64N(10*24*3600)*1000, p.now-3600_000)
	}
	store.Changed(profile)
}

func (p *past) event(customer, item int, at int64, n int) *streams.Event {
	it := p.items[item]
	line := streams.Line{ID: it.ID, Name: it.Name, Brand: it.Brand, Category: it.Category, Quantity: 1, Price: it.Price, HasQuantity: true}
	e := &streams.Event{
		Kind: streams.Track, Name: p.kind(), MessageID: "past-" + userID(customer) + "-" + strconv.Itoa(n), Channel: "web",
		At: at, LoggedAt: at, Identifiers: []streams.Identifier{{Type: "user", Value: userID(customer)}},
	}
	if e.Name == "Order Completed" {
		e.OrderID, e.Currency, e.Total, e.HasTotal, e.Products = e.MessageID, "UAH", it.Price, true, []streams.Line{line}
	} else {
		e.Product = line
	}
	return e
}
