package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rapport-engine/rapport/bench/retailer"
	"github.com/rapport-engine/rapport/streams"
)

// demo is a demonstration in progress.
type demo struct {
	program *program
	server  *server
	shop    *retailer.Retailer
	options *demoOptions
	names   map[string]string // of products
	zone    *time.Location
	client  *http.Client
	screen  bool // redraws, else a line after the other

	mu            sync.Mutex // guards what follows
	now           int64      // simulated, Unix ms
	steps         []step
	written       int64 // events
	story         []string
	messages      []string // as shown, the latest last
	sent          map[string]int64
	byChannel     map[string]int64
	first         map[string]string // the first message of each trigger, in full
	unshown       []string          // lines for a log
	told          int64             // events when the last line was written
	advice        *recommendation
	messageTime   *hdrhistogram.Histogram // µs
	recommendTime *hdrhistogram.Histogram // µs
}

func newDemo(p *program, s *server, shop *retailer.Retailer, o *demoOptions) *demo {
	d := &demo{
		program: p, server: s, shop: shop, options: o, names: map[string]string{}, zone: time.UTC,
		client: &http.Client{Timeout: 10 * time.Second}, screen: p.isTerminal(p.stdout),
		sent: map[string]int64{}, byChannel: map[string]int64{}, first: map[string]string{},
		messageTime:   hdrhistogram.New(1, time.Minute.Microseconds(), 3),
		recommendTime: hdrhistogram.New(1, time.Minute.Microseconds(), 3),
	}
	if zone, err := time.LoadLocation(retailer.Timezone); err == nil {
		d.zone = zone
	}
	for _, item := range shop.Items() {
		d.names[item.ID] = item.Name
	}
	return d
}

func (d *demo) url() string { return "http://" + d.server.api.Addr() }

// clock is a simulated time for people.
func (d *demo) clock(ms int64) string { return time.UnixMilli(ms).In(d.zone).Format("Mon 15:04") }

// onEvent notes an event that was written.
func (d *demo) onEvent(ev *retailer.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written++
	if ev.Text != "" {
		line := fmt.Sprintf("%s  %s", d.clock(ev.At), ev.Text)
		d.story = append(d.story, line)
		d.unshown = append(d.unshown, d.shop.Spotlight().Name+"  "+line)
	}
}

// noteMessage notes a message; mu is held.
func (d *demo) noteMessage(m *streams.Message) {
	d.sent[m.Trigger]++
	d.byChannel[m.Channel]++
	line := d.describe(m)
	d.messages = append(d.messages, line)
	if len(d.messages) > 8 {
		d.messages = d.messages[1:]
	}
	spotlight := m.Profile == d.shop.Spotlight().ID
	if spotlight {
		d.story = append(d.story, fmt.Sprintf("%s  gets a message by %s: %s", d.clock(m.At.UnixMilli()), m.Channel, d.contents(m)))
	}
	if d.first[m.Trigger] == "" {
		d.first[m.Trigger] = line
		d.unshown = append(d.unshown, "first "+m.Trigger+"  "+line)
	} else if spotlight {
		d.unshown = append(d.unshown, "message  "+line)
	}
}

// describe is a message in one line: when, how, why, to whom, with what in it.
func (d *demo) describe(m *streams.Message) string {
	to := m.To
	if to == "" {
		to = m.Profile
	}
	return fmt.Sprintf("%s  %-7s %-14s to %s: %s", d.clock(m.At.UnixMilli()), m.Channel, m.Trigger, to, d.contents(m))
}

// contents is what is in a message.
func (d *demo) contents(m *streams.Message) string {
	var items, also []string
	for _, item := range m.Data.Items {
		items = append(items, d.name(item.ID, item.Name))
	}
	text := strings.Join(items, " + ")
	if name, ok := m.Data.Traits["name"].(string); ok && len(items) == 0 {
		text = "happy birthday soon, " + name
	}
	if m.Recommendations != nil {
		for _, item := range m.Recommendations.Items[:min(2, len(m.Recommendations.Items))] {
			also = append(also, d.name(item.ID, item.Name))
		}
	}
	if len(also) > 0 {
		text += "; you may like " + strings.Join(also, ", ")
	}
	return text
}

func (d *demo) name(id, name string) string {
	switch {
	case name != "":
		return name
	case d.names[id] != "":
		return d.names[id]
	}
	return id
}

// allShown waits until every message that was decided has been read.
func (d *demo) allShown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		decided, read := int64(0), int64(0)
		for _, n := range d.server.engine.Stats().Messages {
			decided += n
		}
		d.mu.Lock()
		for _, n := range d.sent {
			read += n
		}
		d.mu.Unlock()
		if read >= decided {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot read all messages: %d of %d came: %w", read, decided, ctx.Err())
		case <-ticker.C:
		}
	}
}
