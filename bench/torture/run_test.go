//go:build integration

package torture_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rapport-engine/rapport/bench/torture"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/rules"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the shoppers and of the faults; 0 takes a new one")
	rateFlag = flag.Int("rate", 400, "events in a second")
	tableOut = flag.String("table", "", "file to append the table to")
)

// ruleFile has waits of seconds, so that in each second many are under way.
const ruleFile = `triggers:
  abandoned_cart:
    start: {event: [Product Added, Product Removed], if: "size(profile.cart.items) > 0"}
    restart: true
    while: "size(profile.cart.items) > 0"
    exit: [{event: Order Completed}]
    steps:
      - wait: {idle: 2s}
      - send: {template: abandoned_cart, channels: [webhook], items: cart, recommend: {placement: cart, limit: 3}}
      - wait: 3s
      - send: {template: abandoned_cart_2, channels: [webhook], items: cart}
    reentry: 4s
  viewed_item:
    start: {event: Product Viewed}
    restart: true
    while: "size(profile.cart.items) == 0"
    exit: [{event: [Product Added, Order Completed]}]
    steps:
      - wait: {idle: 1s}
      - send: {template: viewed_item, channels: [webhook], items: event}
    reentry: 3s
  thanks:
    start: {event: Order Completed, key: order_id}
    steps:
      - send: {template: thanks, channels: [webhook], if: "event.properties.total > 20.0"}
    reentry: 1s
    late: 5m
  shipped:
    start: {event: Order Shipped}
    steps: [{wait: 1s}, {send: {template: shipped, channels: [sms, webhook]}}]
    reentry: 2s
  welcome_buyer:
    start: {segment: buyers, when: enter}
    steps: [{wait: 1s}, {send: {template: welcome_buyer, channels: [webhook]}}]
segments:
  buyers: {if: "profile.orders.count >= 2"}
policy:
  caps: [{channel: "*", times: 12, per: 1h}]
  holdout: 0.05
`

// inFlight is how many messages of a partition may be under way at once, and so
// come again where a process dies or loses the partition.
const inFlight = 16

// run is one test run: shoppers, the receiver of messages, and what was injected.
type run struct {
	t        *testing.T
	seed     uint64
	dir      string
	random   *rand.Rand // of the faults
	load     *torture.Load
	receiver *torture.Receiver
	hook     *httptest.Server
	began    time.Time

	mu     sync.Mutex
	faults []torture.Fault // guarded by mu
	counts []count         // of the table; guarded by mu
}

type count struct {
	what string
	n    int
}

func newRun(t *testing.T) *run {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (make torture SEED=%[1]d repeats it)", seed)
	r := &run{t: t, seed: seed, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, 1<<40)), receiver: torture.NewReceiver(), began: time.Now()}
	r.load = &torture.Load{Seed: seed, Senders: 6, Rate: *rateFlag}
	r.hook = httptest.NewServer(r.receiver)
	t.Cleanup(r.hook.Close)
	if err := os.MkdirAll(filepath.Join(r.dir, "rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "rules", "torture.yaml"), []byte(ruleFile), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// settings are the arguments of a process, beside where its data are.
func (r *run) settings(name string) []string {
	return []string{"--rules", filepath.Join(r.dir, "rules"), "--partitions", "4", "--snapshot-interval", "0.2s", "--sinks-webhook-url", r.hook.URL + "/" + name}
}

// fault notes that something was injected, from a time until now, which may make a
// message come again.
func (r *run) fault(what string, from time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, torture.Fault{What: what, At: from, Until: time.Now()})
	r.add(what)
}

// count counts what was injected, or happened.
func (r *run) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(what)
}

func (r *run) add(what string) {
	for i := range r.counts {
		if r.counts[i].what == what {
			r.counts[i].n++
			return
		}
	}
	r.counts = append(r.counts, count{what, 1})
}

// during runs faults while the shoppers shop.
func (r *run) during(faults func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.load.Run(ctx) }()
	faults()
	cancel()
	if err := <-done; err != nil {
		r.t.Error(err)
	}
}

// wait waits for at most d, less if ctx's channel closes.
func wait(d time.Duration, or <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-or:
	}
}

// settle waits until every wait of a trigger is over and no message comes any more.
func (r *run) settle() {
	r.t.Helper()
	wait(10*time.Second, nil) // longer than all waits of one run, and a tick
	deadline := time.Now().Add(3 * time.Minute)
	for n, quiet := r.receiver.Count(); quiet < 4*time.Second; n, quiet = r.receiver.Count() {
		if time.Now().After(deadline) {
			r.t.Fatalf("messages still come after three minutes, %d so far", n)
		}
		wait(200*time.Millisecond, nil)
	}
}

// ask asks for all shoppers by all their identifiers; url chooses a process for
// each.
func (r *run) ask(url func(n int) string) map[string]*torture.Known {
	r.t.Helper()
	events, _ := r.load.Sent()
	ids := map[string]bool{}
	for _, e := range events {
		for _, id := range e.Identifiers {
			ids[id] = true
		}
	}
	got := map[string]*torture.Known{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(8)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	n := 0
	for id := range ids {
		n++
		at := url(n)
		g.Go(func() error {
			known, err := torture.Ask(r.t.Context(), client, at, id)
			mu.Lock()
			defer mu.Unlock()
			got[id] = known
			return err
		})
	}
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
	return got
}

// compare holds what is known, what was received and what the log says against
// each other, and prints the table.
func (r *run) compare(log *torture.Log, known map[string]*torture.Known, store snapshot.Store) {
	r.t.Helper()
	sent, acked := r.load.Sent()
	happened := log.Happened(sent)
	cfg := engine.DefaultConfig()
	cfg.Partitions, cfg.Rules = 4, filepath.Join(r.dir, "rules")
	set, err := rules.Load(cfg.Rules)
	if err != nil {
		r.t.Fatal(err)
	}
	folded, err := torture.CompareFold(r.t.Context(), cfg, set, log, store)
	if err != nil {
		r.t.Error(err)
	}
	repeats := torture.Repeats(r.receiver.Received(), log.Where(), r.faults)
	if repeats.Most > inFlight {
		r.t.Errorf("%d messages of a partition came again by one fault, at most %d were in flight", repeats.Most, inFlight)
	}
	junk, noLetters := log.Junk()
	differences := 0
	for _, d := range []struct {
		what string
		list []string
	}{
		{"events", log.Lost(sent, acked)},
		{"dead letters", noLetters},
		{"profiles", torture.CompareKnown(torture.Model(happened), known)},
		{"messages received", torture.CompareReceived(log.Messages, r.receiver.Received())},
		{"the fold of the log", folded},
		{"messages repeated without a reason", repeats.Unexplained},
	} {
		differences += len(d.list)
		if len(d.list) > 0 {
			r.t.Errorf("%s: %d differences\n%s", d.what, len(d.list), strings.Join(d.list[:min(len(d.list), 5)], "\n"))
		}
	}
	for _, diff := range torture.CompareKnown(torture.Model(happened), known) {
		id, _, _ := strings.Cut(diff, ":\n")
		r.t.Logf("%s did:\n%s", id, log.Story(happened, id))
		break
	}
	r.table(log, len(happened), len(acked), junk, repeats, differences, len(known))
}

// table prints what was injected and what came of it.
func (r *run) table(log *torture.Log, happened, acked, junk int, repeats torture.Repeated, differences, customers int) {
	ok, away, _, none := r.load.Answers()
	var b strings.Builder
	row := func(what string, n any) { fmt.Fprintf(&b, "| %s | %v |\n", what, n) }
	fmt.Fprintf(&b, "| %s, seed %d, %v | |\n|---|---|\n", r.t.Name(), r.seed, time.Since(r.began).Round(time.Second))
	for _, c := range r.counts {
		row(c.what, c.n)
	}
	row("batches answered 200 / 503 / not at all", fmt.Sprintf("%d / %d / %d", ok, away, none))
	row("events acknowledged / in the log", fmt.Sprintf("%d / %d", acked, happened))
	row("identifiers asked for", customers)
	if junk > 0 {
		row("records that are no events / dead letters", fmt.Sprintf("%d / %d", junk, len(log.Letters)))
	}
	row("messages decided / received", fmt.Sprintf("%d / %d", len(log.Messages), len(r.receiver.Received())))
	row("messages received again / at most of a partition after one fault", fmt.Sprintf("%d / %d", repeats.Count, repeats.Most))
	for _, what := range slices.Sorted(maps.Keys(repeats.By)) {
		row("- after "+what, repeats.By[what])
	}
	row("differences", differences)
	r.t.Logf("\n%s", b.String())
	if *tableOut == "" {
		return
	}
	file, err := os.OpenFile(*tableOut, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer file.Close()
	fmt.Fprintln(file, b.String())
}
