package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"time"

	gojson "github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/bench/retailer"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
)

// demoSteps is how many steps the two days are cut into; after each one every
// partition is told the time.
const demoSteps = 1440 // two minutes of the shop's time each

// step is a part of the simulated time that was handed to the log at once.
type step struct {
	until   int64 // simulated, Unix ms: the tick
	handed  time.Time
	enqueue []streams.Record
}

// drive writes the shop's events to the log at their pace.
func (d *demo) drive(ctx context.Context) error {
	started := time.Now()
	each := d.options.duration / demoSteps
	length := (d.shop.End() - d.shop.Start()) / demoSteps
	ticker := time.NewTicker(max(each, time.Millisecond))
	defer ticker.Stop()
	failed := make(chan error, 1)
	slots := make(chan struct{}, 8)
	s := &step{until: d.shop.Start() + length}
	flush := func() error {
		s.ticks(d.server.engine.Partitions())
		d.began(s)
		select {
		case slots <- struct{}{}:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
		d.server.engine.Enqueue(ctx, s.enqueue, func(err error) {
			<-slots
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		s = &step{until: s.until + length}
		for n := time.Since(started); n < time.Duration((s.until-d.shop.Start())/length-1)*each; n = time.Since(started) {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	for ev := range d.shop.Events() {
		for ev.At >= s.until {
			if err := flush(); err != nil {
				return err
			}
		}
		s.add(ev)
		d.onEvent(ev)
	}
	for s.until <= d.shop.End() {
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// add appends an event with the tick that rides in it.
func (s *step) add(ev *retailer.Event) {
	s.enqueue = append(s.enqueue, streams.Record{
		Partition: -1, Key: []byte(ev.Key), Value: ev.JSON, LeaderEpoch: -1,
		Headers: []streams.Header{{Key: streams.HeaderClock, Value: engine.HistoryTick(ev.At)}},
	})
}

// ticks tells every partition the time.
func (s *step) ticks(partitions int32) {
	tick := []streams.Header{{Key: streams.HeaderClock, Value: engine.HistoryTick(s.until)}}
	for i := range partitions {
		s.enqueue = append(s.enqueue, streams.Record{Partition: i, LeaderEpoch: -1, Headers: tick})
	}
	now := time.Now()
	for i := range s.enqueue {
		s.enqueue[i].Time = now.UnixMilli()
	}
}

// began notes when a step was handed over, to tell how long messages took.
func (d *demo) began(s *step) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.handed = time.Now()
	d.steps = append(d.steps, step{until: s.until, handed: s.handed})
	d.now = s.until
}

// onMessages notes the messages read from the log.
func (d *demo) onMessages(records []streams.Record) error {
	arrived := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range records {
		var m streams.Message
		if err := gojson.Unmarshal(records[i].Value, &m); err != nil {
			return fmt.Errorf("cannot decode a message: %w", err)
		}
		at := m.At.UnixMilli()
		n := sort.Search(len(d.steps), func(i int) bool { return d.steps[i].until >= at })
		if n < len(d.steps) {
			_ = d.messageTime.RecordValue(arrived.Sub(d.steps[n].handed).Microseconds())
		}
		d.noteMessage(&m)
	}
	return nil
}

// recommendation is what the API answers.
type recommendation struct {
	Strategy string `json:"strategy"`
	Items    []struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
		Item   struct {
			Name string `json:"name"`
		} `json:"item"`
	} `json:"items"`
}

// askAround asks the API for recommendations, as shops' pages do, one request
// at a time, until ctx ends.
func (d *demo) askAround(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		id, item, spotlight := d.shop.Shopper(n*7919), d.shop.Product(n*31), n%100 == 0
		if spotlight {
			id, item = d.shop.Spotlight().ID, cmp.Or(latest(d.profile()), item)
		}
		started := time.Now()
		answer, err := d.recommend(ctx, id, item)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		d.mu.Lock()
		_ = d.recommendTime.RecordValue(time.Since(started).Microseconds())
		if spotlight {
			d.advice = answer
		}
		d.mu.Unlock()
	}
}

// recommend asks what to show a customer next to a product.
func (d *demo) recommend(ctx context.Context, id, item string) (*recommendation, error) {
	query := url.Values{"id": {id}, "placement": {"product"}, "items": {item}, "limit": {"4"}, "fields": {"name"}}
	answer := new(recommendation)
	return answer, d.get(ctx, "/v1/recommend?"+query.Encode(), answer)
}

// get asks the server over HTTP.
func (d *demo) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url()+path, nil)
	if err != nil {
		return err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot ask the server: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("cannot ask the server: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("cannot ask the server: %s: %s", resp.Status, bytes.TrimSpace(body))
	}
	return json.Unmarshal(body, into)
}
