package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rapport-engine/rapport/bench/datasets"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
)

// crashBatch is how many events go to the server at once.
const crashBatch = 100

// TestKilledServerLosesNothing sends invented events through a server that is
// killed four times, and compares with one that is not. It saves snapshots so
// often that each start finds new ones.
func TestKilledServerLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	f := inventedFeed(3000, crashSeed(t))
	f.compare(t, f.undisturbed(t), 4, "--snapshot-interval", "0.1s")
}

// crashSeed is the seed of the run: printed, and given by RAPPORT_SEED to
// repeat one.
func crashSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("RAPPORT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RAPPORT_SEED: %v", err)
		}
	}
	t.Logf("RAPPORT_SEED=%d", seed)
	return seed
}

// feed is what a test sends: batches of Segment calls in their order, and the
// identifiers of all customers in them.
type feed struct {
	batches   [][]byte
	customers []string
	seed      uint64
}

// readFeed reads events to the end, or to the first one that until says is too
// late.
func readFeed(events datasets.Reader, until func(first, at int64) bool, seed uint64) (*feed, error) {
	f := &feed{seed: seed}
	customers := map[string]bool{}
	var ev datasets.Event
	var batch [][]byte
	var first int64
	for {
		err := events.Next(&ev)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if first == 0 {
			first = ev.At
		}
		end := err != nil || until(first, ev.At)
		if len(batch) > 0 && (end || len(batch) == crashBatch) {
			f.batches = append(f.batches, slices.Concat([]byte(`{"batch":[`), bytes.Join(batch, []byte(",")), []byte("]}")))
			batch = nil
		}
		if end {
			f.customers = slices.Sorted(maps.Keys(customers))
			return f, nil
		}
		customers[string(ev.Key)] = true
		batch = append(batch, bytes.Clone(ev.JSON))
	}
}

// undisturbed sends f to a server that is not killed.
func (f *feed) undisturbed(t *testing.T) state {
	t.Helper()
	c := newChild(t)
	f.send(c, 0)
	c.stop()
	got := readState(t, c.dir, f.customers)
	if len(got.profiles) != len(f.customers) || len(got.messages) == 0 {
		t.Fatalf("undisturbed: %d profiles of %d customers, %d messages", len(got.profiles), len(f.customers), len(got.messages))
	}
	return got
}

// compare sends f to a server with args that is killed at random moments, and
// compares what it knows and what it sent with what want says.
func (f *feed) compare(t *testing.T, want state, kills int, args ...string) {
	t.Helper()
	c := newChild(t, args...)
	f.send(c, kills)
	c.stop()
	got := readState(t, c.dir, f.customers)
	if diff := diffText(want.messages, got.messages); diff != "" {
		t.Errorf("messages differ (-undisturbed +killed):\n%.4000s", diff)
	}
	if diff := diffText(want.profiles, got.profiles); diff != "" {
		t.Errorf("profiles differ (-undisturbed +killed):\n%.4000s", diff)
	}
	if diff := diffText(want.inside, got.inside); diff != "" {
		t.Errorf("what profiles hold differs (-undisturbed +killed):\n%.4000s", diff)
	}
	t.Logf("%d profiles and %d messages compared", len(want.profiles), len(want.messages))
}

// diffText compares entry by entry; cmp alone is slow with thousands.
func diffText(want, got map[string]string) string {
	differ := map[string]string{}
	for key, text := range want {
		if got[key] != text {
			differ[key] = text
		}
	}
	others := map[string]string{}
	for key, text := range got {
		if want[key] != text {
			others[key] = text
		}
	}
	return cmp.Diff(differ, others)
}

// send sends every batch in order until it is acknowledged. The server is
// killed so often, at moments that the seed chooses.
func (f *feed) send(c *child, kills int) {
	c.t.Helper()
	began := time.Now()
	k := newKiller(f.seed, kills, len(f.batches))
	c.spawned = k.spawned
	c.start()
	for i, batch := range f.batches {
		if again, ok := k.at[i]; ok {
			f.settle(c, k, f.batches[i-1])
			k.kill(c)
			k.again = again
		}
		f.sendOne(c, batch)
	}
	f.settle(c, k, f.batches[len(f.batches)-1])
	c.t.Logf("sent %d batches in %v, killed %d times", len(f.batches), time.Since(began).Round(time.Millisecond), k.count)
}

// settle waits until the killer is done and the server alive. A batch that is
// known already wakes the next process; its events count once.
func (f *feed) settle(c *child, k *killer, known []byte) {
	c.t.Helper()
	for k.pending.Wait(); c.ended(); k.pending.Wait() {
		f.sendOne(c, known)
	}
}

// sendOne sends a batch until it is acknowledged, to the next process where one
// died.
func (f *feed) sendOne(c *child, batch []byte) {
	c.t.Helper()
	header := http.Header{"Rapport-Clock": {"event"}, "Content-Type": {"application/json"}}
	deadline := time.After(2 * time.Minute)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		status, answer, err := c.do(http.MethodPost, "/v1/batch", header, batch)
		switch {
		case err == nil && status == http.StatusOK:
			return
		case err == nil && status != http.StatusServiceUnavailable:
			c.t.Fatalf("status %d: %s", status, answer)
		case err != nil:
			<-c.done // without an answer, it is dead
			c.start()
			continue
		}
		select {
		case <-ticker.C:
		case <-deadline:
			c.t.Fatalf("still %d after two minutes: %s\n%s", status, answer, c.said.String())
		}
	}
}

// killer kills processes at random moments: while batches are taken in, and
// some while they start again after that.
type killer struct {
	random  *rand.Rand
	at      map[int]bool // batches that a kill follows; true: and one of the next process
	again   bool         // the next process is killed, too
	pending sync.WaitGroup
	count   int
}

// killWithin is how long after a batch is sent, or a process begins, the kill
// comes at the latest: longer than a batch takes, and than a start.
const killWithin = 300 * time.Millisecond

func newKiller(seed uint64, kills, batches int) *killer {
	k := &killer{random: rand.New(rand.NewPCG(seed, 1)), at: map[int]bool{}} //nolint:gosec // a test's choice
	twice := kills / 4
	for kills -= twice; len(k.at) < kills; {
		i := 1 + k.random.IntN(batches-1)
		if _, known := k.at[i]; !known {
			k.at[i] = len(k.at) < twice
		}
	}
	return k
}

// spawned lets a process live no longer than killWithin where its time has
// come.
func (k *killer) spawned(c *child) {
	if k.again {
		k.again = false
		k.kill(c)
	}
}

// kill ends the process that c is now, in a while.
func (k *killer) kill(c *child) {
	process, done := c.cmd.Process, c.done
	k.count++
	k.pending.Add(1)
	time.AfterFunc(time.Duration(k.random.Int64N(int64(killWithin))), func() {
		defer k.pending.Done()
		_ = process.Kill()
		<-done
	})
}

// state is what a server knows and has decided.
type state struct {
	profiles map[string]string // JSON by customer
	inside   map[string]string // what the engine holds of them
	messages map[string]string // JSON without recommendations by id
}

// readState reads it all from a data directory, with a server in this process
// that delivers nothing more.
func readState(t *testing.T, dir string, customers []string) state {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cfg := engine.DefaultConfig()
	cfg.Listen, cfg.Admin, cfg.Data, cfg.Rules = "127.0.0.1:0", "127.0.0.1:0", dir, dir+"/none"
	e, url, stop := quietServer(ctx, t, cfg)
	defer stop()
	if err := e.WaitApplied(ctx); err != nil {
		t.Fatal(err)
	}
	got := state{profiles: map[string]string{}, inside: map[string]string{}, messages: readMessages(ctx, t, e.Engine)}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, id := range customers {
		if text := readProfile(ctx, t, client, url+"/v1/profiles/"+id); text != "" {
			got.profiles[id] = text
		}
		if text := readInside(ctx, t, e.Engine, id); text != "" {
			got.inside[id] = text
		}
	}
	return got
}

// quietServer is `rapport serve` without delivery, in this process, once it is
// ready.
func quietServer(ctx context.Context, t *testing.T, cfg engine.Config) (e *running, url string, stop func()) {
	t.Helper()
	e, err := startEngine(ctx, cfg, engine.Options{Quiet: true})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAPI(cfg, e.Engine, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err == nil {
		err = a.Listen()
	}
	if err == nil {
		err = e.ready(ctx)
	}
	if err != nil {
		t.Fatal(errors.Join(err, e.stop()))
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return e, "http://" + a.Addr(), func() {
		cancel()
		if err := errors.Join(<-done, e.stop()); err != nil {
			t.Error(err)
		}
	}
}

// readProfile returns a customer's profile as indented JSON, "" where there is
// none. What became of messages is left out: delivery tells it by the wall
// clock, and a server that is stopped may have delivered its last ones or not.
func readProfile(ctx context.Context, t *testing.T, client *http.Client, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotFound {
		return ""
	}
	var profile map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&profile); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", url, resp.StatusCode, err)
	}
	if list, ok := profile["messages"].([]any); ok {
		for _, m := range list {
			delete(m.(map[string]any), "status")
		}
	}
	return indented(t, profile)
}

// readInside returns all that a profile holds, shown or not, but for what
// reports of delivery leave in it.
func readInside(ctx context.Context, t *testing.T, e *engine.Engine, id string) string {
	t.Helper()
	parsed, err := (&streams.Decoder{}).ParseIdentifier(id)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Profile(ctx, parsed)
	if errors.Is(err, engine.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range p.Messages {
		m.Status = ""
	}
	for _, r := range p.Runs {
		r.LastStatus = ""
	}
	p.MessageStats, p.Dedupe = nil, nil // reports have ids, too
	return indented(t, p)
}

// readMessages reads the topic: every message that was ever decided. One
// decided again, after a restart, must be the same but for recommendations.
func readMessages(ctx context.Context, t *testing.T, e *engine.Engine) map[string]string {
	t.Helper()
	var mu sync.Mutex
	all := map[string]string{}
	err := e.ReadMessages(ctx, func(recs []streams.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range recs {
			var message map[string]any
			if err := json.Unmarshal(recs[i].Value, &message); err != nil {
				return err
			}
			delete(message, "recommendations")
			id, _ := message["id"].(string)
			text := indented(t, message)
			if before, ok := all[id]; ok && before != text {
				t.Errorf("decided twice, differently:\n%s", cmp.Diff(before, text))
			}
			all[id] = text
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func indented(t *testing.T, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
