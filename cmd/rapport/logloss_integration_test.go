//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
	"github.com/rapport-engine/rapport/streams/kafka/kafkatest"
)

// runEngine starts an engine, waits until it is ready, and returns it with what
// stops it.
func runEngine(t *testing.T, cfg engine.Config, accept bool) (e *engine.Engine, stop func()) {
	t.Helper()
	e, err := engine.New(cfg, engine.Options{MessageLog: io.Discard, AcceptLogLoss: accept})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	until(t, "ready", func() bool { ok, _ := e.Ready(); return ok })
	return e, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

// until waits until ok, for a minute at most.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not %s within a minute", what)
		case <-tick.C:
		}
	}
}

// pages are calls of a customer, one on each partition, n times.
func pages(user string, n int) (recs []streams.Record) {
	for i := range n {
		for p := range int32(4) {
			recs = append(recs, streams.Record{Topic: kafka.TopicEvents, Partition: p, Value: fmt.Appendf(nil,
				`{"type":"page","messageId":"%s-%d-%d","anonymousId":"%[1]s","timestamp":"2026-03-01T11:00:00Z"}`, user, p, i)})
		}
	}
	return recs
}

// TestALogThatWasWrittenOnAfterALossIsRefused: a log that lost records which the
// snapshots stand for, and was written on until it was as long again, is refused:
// what was written in place of the lost records is of another leader epoch. Once
// that is accepted, it is read.
func TestALogThatWasWrittenOnAfterALossIsRefused(t *testing.T) {
	ctx := t.Context()
	node := kafkatest.Start(t)
	client := node.Config(4)
	cfg := engine.DefaultConfig()
	cfg.Data, cfg.Rules, cfg.Partitions = t.TempDir(), t.TempDir(), 4
	cfg.Kafka.Brokers, cfg.Kafka.Prefix = client.Brokers, client.Prefix
	e, stop := runEngine(t, cfg, false)
	ingest := func(recs []streams.Record) map[int32]int64 {
		t.Helper()
		if err := e.Ingest(ctx, recs); err != nil {
			t.Fatal(err)
		}
		if err := e.WaitApplied(ctx); err != nil {
			t.Fatal(err)
		}
		ends, err := kafka.EndOffsets(ctx, client, kafka.TopicEvents)
		if err != nil {
			t.Fatal(err)
		}
		return ends
	}
	kept := ingest(pages("a", 1))
	ingest(pages("b", 1))
	ends := ingest(pages("b", 2))
	stop()

	node.Kill()
	for p, offset := range kept {
		node.Cut(client.Prefix+kafka.TopicEvents, p, offset)
	}
	node.Run()
	producer, err := kafka.NewProducer(client)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	longer := 0
	for p, end := range ends {
		longer = max(longer, int(end-kept[p])+20) // ticks of the end, too
	}
	if _, err := producer.ProduceSync(ctx, pages("c", longer)); err != nil {
		t.Fatal(err)
	}

	e, err = engine.New(cfg, engine.Options{MessageLog: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err = e.Run(ctx); !errors.Is(err, engine.ErrLogLost) || !strings.Contains(err.Error(), "leader epoch") {
		t.Fatalf("run: %v", err)
	}

	e, stop = runEngine(t, cfg, true)
	for user, want := range map[string]int{"a": 4, "c": 4 * longer} {
		id, err := (&streams.Decoder{}).ParseIdentifier("anonymous:" + user)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "all events of "+user, func() bool {
			p, err := e.Profile(ctx, id)
			return err == nil && int(p.Events) == want
		})
	}
	stop()
	_, stop = runEngine(t, cfg, false) // accepted for good
	stop()
}
