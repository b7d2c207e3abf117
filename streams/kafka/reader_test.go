package kafka

import (
	"context"
	"errors"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

func TestReadFrom(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{Partitions: 3})
	p := newProducer(t, cfg)
	for part := range cfg.Partitions {
		produce(t, p, numbered(part, 0, 10))
	}
	read := func(from map[int32]int64, until int) ([]string, error) {
		ctx, cancel := context.WithCancel(testContext(t))
		defer cancel()
		var got []string
		err := ReadFrom(ctx, cfg, TopicEvents, from, func(recs []streams.Record) error {
			for _, r := range recs {
				got = append(got, string(r.Value))
			}
			if len(got) >= until {
				cancel()
			}
			return nil
		})
		return got, err
	}
	if got, err := read(nil, 30); err != nil || len(got) != 30 {
		t.Errorf("everything: %q, %v", got, err)
	}
	if got, err := read(map[int32]int64{1: 8, 2: FromStart}, 12); err != nil || len(got) != 12 {
		t.Errorf("two partitions: %q, %v", got, err)
	}
	failure := errors.New("enough")
	err := ReadFrom(testContext(t), cfg, TopicEvents, nil, func([]streams.Record) error { return failure })
	if !errors.Is(err, failure) {
		t.Errorf("error %v, want %v", err, failure)
	}
	if err := b.cluster.DeleteRecords(cfg.topic(TopicEvents), 1, 9); err != nil {
		t.Fatal(err)
	}
	var gone *OffsetError
	if _, err := read(map[int32]int64{1: 8}, 1); !errors.As(err, &gone) {
		t.Errorf("error %v, want an OffsetError", err)
	}
	if _, err := read(map[int32]int64{9: 0}, 1); err == nil {
		t.Error("read a partition that does not exist")
	}
}

func TestReadRange(t *testing.T) {
	_, cfg := startBroker(t, EmbeddedConfig{Partitions: 3})
	p := newProducer(t, cfg)
	produce(t, p, numbered(0, 0, 5000))
	produce(t, p, numbered(1, 0, 10))
	read := func(from, to map[int32]int64) map[int32]int {
		t.Helper()
		got := map[int32]int{}
		err := ReadRange(testContext(t), cfg, TopicEvents, from, to, func(recs []streams.Record) error {
			got[recs[0].Partition] += len(recs)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := read(nil, map[int32]int64{0: 4321, 1: 10, 2: 0}); got[0] != 4321 || got[1] != 10 || got[2] != 0 {
		t.Errorf("read %v", got)
	}
	if got := read(map[int32]int64{0: 4000, 1: 10}, map[int32]int64{0: 4321, 1: 10}); got[0] != 321 || got[1] != 0 {
		t.Errorf("read %v", got)
	}
	if got := read(map[int32]int64{}, map[int32]int64{}); len(got) != 0 {
		t.Errorf("read %v", got)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	err := ReadRange(ctx, cfg, TopicEvents, nil, map[int32]int64{0: 10}, func([]streams.Record) error { return nil })
	if err == nil {
		t.Error("a cancelled read says it is complete")
	}
}

func TestTopics(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{})
	info, err := Describe(testContext(t), cfg, TopicEvents)
	if err != nil || info.Partitions != 4 || info.ID == "" {
		t.Errorf("%+v, %v", info, err)
	}
	wrong := cfg
	wrong.Partitions = 5
	if _, err := EnsureTopics(testContext(t), wrong); err == nil {
		t.Error("another number of partitions was accepted")
	}
	if _, err := Describe(testContext(t), cfg, "unknown"); err == nil {
		t.Error("described an unknown topic")
	}
	if err := b.cluster.DeleteTopic(cfg.topic(TopicEvents)); err != nil {
		t.Fatal(err)
	}
	if _, err := EnsureTopics(testContext(t), cfg); err != nil {
		t.Fatal(err)
	}
	again, err := Describe(testContext(t), cfg, TopicEvents)
	if err != nil || again.ID == info.ID {
		t.Errorf("a new topic has the old id %s, %v", again.ID, err)
	}
	away := Config{Brokers: []string{"127.0.0.1:1"}, Partitions: 1}
	ctx, cancel := context.WithTimeout(context.Background(), 1e9)
	defer cancel()
	if _, err := EnsureTopics(ctx, away); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}

func TestTopicWarnings(t *testing.T) {
	cfg := Config{Partitions: 1}
	for _, tt := range []struct {
		topic    int
		settings map[string]string
		want     int
	}{
		{0, map[string]string{"retention.ms": "604800000", "retention.bytes": "-1", "message.timestamp.type": "LogAppendTime"}, 0},
		{0, map[string]string{"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}, 0},
		{0, map[string]string{"retention.ms": "86400000", "retention.bytes": "1000", "message.timestamp.type": "CreateTime"}, 3},
		{1, map[string]string{"retention.ms": "604799999"}, 1},
		{2, map[string]string{"retention.ms": "1", "cleanup.policy": "compact"}, 0},
		{2, map[string]string{"cleanup.policy": "delete"}, 1},
	} {
		spec := cfg.topics()[tt.topic]
		if got := spec.warnings(spec.name, tt.settings); len(got) != tt.want {
			t.Errorf("%s %v: %q", spec.name, tt.settings, got)
		}
	}
}

// TestEpochEnd: the records of a leader epoch end where those of a later one
// begin, be the log as long as it wants.
func TestEpochEnd(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{Partitions: 1})
	p := newProducer(t, cfg)
	produce(t, p, numbered(0, 0, 50))
	if end, err := EpochEnd(t.Context(), cfg, TopicEvents, 0, 0); err != nil || end != 50 {
		t.Errorf("epoch 0 ends at %d, %v", end, err)
	}
	if err := b.cluster.MoveTopicPartition(cfg.topic(TopicEvents), 0, b.cluster.LeaderFor(cfg.topic(TopicEvents), 0)); err != nil {
		t.Fatal(err)
	}
	produce(t, p, numbered(0, 50, 60))
	for epoch, want := range map[int32]int64{0: 50, 1: 110, 2: -1} {
		if end, err := EpochEnd(t.Context(), cfg, TopicEvents, 0, epoch); err != nil || end != want {
			t.Errorf("epoch %d ends at %d, %v; want %d", epoch, end, err, want)
		}
	}
	if _, err := EpochEnd(t.Context(), cfg, "none", 0, 0); err == nil {
		t.Error("a topic that there is not has an epoch")
	}
}
