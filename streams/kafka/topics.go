package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// minRetention is what a topic that is not ours must keep without a warning.
const minRetention = 7 * 24 * time.Hour

// settleTimeout is how long all brokers may take to know of a new topic.
const settleTimeout = 15 * time.Second

// topicSpec is how a topic is made and what it is checked for.
type topicSpec struct {
	name       string
	partitions int32
	compacted  bool
	appendTime bool // record times are the broker's
}

func (c *Config) topics() []topicSpec {
	return []topicSpec{
		{name: TopicEvents, partitions: c.Partitions, appendTime: true},
		{name: TopicMessages, partitions: c.Partitions},
		{name: TopicCatalog, partitions: 1, compacted: true},
		{name: TopicRetry, partitions: 1},
		{name: TopicDeadLetter, partitions: 1},
	}
}

func (s *topicSpec) settings(embedded bool) map[string]*string {
	settings := map[string]*string{}
	set := func(k, v string) { settings[k] = &v }
	switch {
	case s.compacted:
		set("cleanup.policy", "compact")
	case !embedded: // which has its own way to delete
		set("retention.ms", strconv.FormatInt(minRetention.Milliseconds(), 10))
	}
	if s.appendTime {
		set("message.timestamp.type", "LogAppendTime")
	}
	return settings
}

// EnsureTopics makes the topics that are missing and checks those that exist.
// A wrong number of partitions is an error; warnings tell of settings that may
// lose what is still needed.
func EnsureTopics(ctx context.Context, cfg Config) (warnings []string, err error) {
	if cfg.Partitions < 1 {
		return nil, fmt.Errorf("cannot check the topics: %d partitions are configured", cfg.Partitions)
	}
	admin, err := cfg.admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	for _, spec := range cfg.topics() {
		if err := spec.create(ctx, admin, &cfg); err != nil {
			return nil, err
		}
	}
	for _, spec := range cfg.topics() {
		more, err := spec.check(ctx, admin, &cfg)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, more...)
	}
	return warnings, nil
}

func (c *Config) admin() (*kadm.Client, error) {
	client, err := c.connect()
	if err != nil {
		return nil, err
	}
	return kadm.NewClient(client), nil
}

func (s *topicSpec) create(ctx context.Context, admin *kadm.Client, cfg *Config) error {
	_, err := admin.CreateTopic(ctx, s.partitions, -1, s.settings(cfg.Embedded != nil), cfg.topic(s.name))
	if err == nil || errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	return fmt.Errorf("cannot make topic %q: %w", cfg.topic(s.name), reached(err))
}

func (s *topicSpec) check(ctx context.Context, admin *kadm.Client, cfg *Config) ([]string, error) {
	name := cfg.topic(s.name)
	info, err := describeNew(ctx, admin, name)
	if err != nil {
		return nil, err
	}
	if info.Partitions != s.partitions {
		return nil, fmt.Errorf("cannot use topic %q: it has %d partitions and must have %d; %s", name, info.Partitions, s.partitions, s.advice(info.Partitions))
	}
	if cfg.Embedded != nil {
		return nil, nil
	}
	described, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the settings of topic %q: %w", name, reached(err))
	}
	settings := map[string]string{}
	for _, c := range described {
		for _, kv := range c.Configs {
			settings[kv.Key] = kv.MaybeValue()
		}
	}
	return s.warnings(name, settings), nil
}

func (s *topicSpec) advice(have int32) string {
	if s.name == TopicEvents || s.name == TopicMessages {
		return fmt.Sprintf("set partitions: %d if that is how many `events` and `messages` have, else make both topics anew", have)
	}
	return "make it anew"
}

// warnings tells what of the settings may lose records or blur their times.
func (s *topicSpec) warnings(name string, settings map[string]string) (warnings []string) {
	if s.compacted {
		if settings["cleanup.policy"] != "compact" {
			warnings = append(warnings, fmt.Sprintf("topic %q has cleanup.policy=%s: items that did not change for long are lost; set it to compact", name, settings["cleanup.policy"]))
		}
		return warnings
	}
	ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64)
	if err == nil && ms >= 0 && ms < minRetention.Milliseconds() {
		warnings = append(warnings, fmt.Sprintf("topic %q keeps records for %s only: after a longer outage Rapport will refuse to start; set retention.ms to %d or more",
			name, time.Duration(ms)*time.Millisecond, minRetention.Milliseconds()))
	}
	if size, err := strconv.ParseInt(settings["retention.bytes"], 10, 64); err == nil && size >= 0 {
		warnings = append(warnings, fmt.Sprintf("topic %q keeps at most %d bytes a partition, however new: set retention.bytes to -1", name, size))
	}
	if s.appendTime && settings["message.timestamp.type"] != "LogAppendTime" {
		warnings = append(warnings, fmt.Sprintf("topic %q has message.timestamp.type=%s: ticks follow the clocks of several machines; set it to LogAppendTime", name, settings["message.timestamp.type"]))
	}
	return warnings
}

// TopicInfo describes a topic as it is on the broker.
type TopicInfo struct {
	ID         string // changes when the topic is deleted and made again
	Partitions int32
}

// Describe returns what a topic is.
func Describe(ctx context.Context, cfg Config, topic string) (TopicInfo, error) {
	admin, err := cfg.admin()
	if err != nil {
		return TopicInfo{}, err
	}
	defer admin.Close()
	return describe(ctx, admin, cfg.topic(topic))
}

// describeNew waits for the broker to know of a topic that was just made.
func describeNew(ctx context.Context, admin *kadm.Client, name string) (TopicInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		info, err := describe(ctx, admin, name)
		if err == nil || !kerr.IsRetriable(err) {
			return info, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return info, err
		}
	}
}

func describe(ctx context.Context, admin *kadm.Client, name string) (TopicInfo, error) {
	details, err := admin.ListTopics(ctx, name)
	if err == nil {
		err = details[name].Err
	}
	for _, p := range details[name].Partitions { // without a leader yet
		if err == nil {
			err = p.Err
		}
	}
	if err != nil {
		return TopicInfo{}, fmt.Errorf("cannot describe topic %q: %w", name, reached(err))
	}
	return TopicInfo{ID: details[name].ID.String(), Partitions: int32(len(details[name].Partitions))}, nil
}

// StartOffsets returns for each partition the first offset that the log holds.
func StartOffsets(ctx context.Context, cfg Config, topic string) (map[int32]int64, error) {
	return listOffsets(ctx, cfg, topic, (*kadm.Client).ListStartOffsets)
}

// EndOffsets returns for each partition the offset that the next record gets.
func EndOffsets(ctx context.Context, cfg Config, topic string) (map[int32]int64, error) {
	return listOffsets(ctx, cfg, topic, (*kadm.Client).ListEndOffsets)
}

// EpochEnd returns the offset at which the records of a leader epoch end in the
// log of a partition, -1 where the log has no such epoch. Whoever has read a
// record of that epoch at or above it has read another log: one that was cut back
// since.
func EpochEnd(ctx context.Context, cfg Config, topic string, partition, epoch int32) (int64, error) {
	admin, err := cfg.admin()
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	var req kadm.OffsetForLeaderEpochRequest
	req.Add(cfg.topic(topic), partition, epoch)
	ends, err := admin.OffsetForLeaderEpoch(ctx, req)
	end := ends[cfg.topic(topic)][partition]
	if err == nil {
		err = end.Err
	}
	if err != nil {
		return 0, fmt.Errorf("cannot ask for the end of leader epoch %d of partition %d of %q: %w", epoch, partition, cfg.topic(topic), reached(err))
	}
	if end.LeaderEpoch < 0 {
		return -1, nil
	}
	return end.EndOffset, nil
}

type lister func(*kadm.Client, context.Context, ...string) (kadm.ListedOffsets, error)

func listOffsets(ctx context.Context, cfg Config, topic string, list lister) (map[int32]int64, error) {
	admin, err := cfg.admin()
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	return offsetsOf(ctx, admin, cfg.topic(topic), list)
}

func offsetsOf(ctx context.Context, admin *kadm.Client, name string, list lister) (map[int32]int64, error) {
	listed, err := list(admin, ctx, name)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the offsets of topic %q: %w", name, reached(err))
	}
	offsets := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { offsets[o.Partition] = o.Offset })
	return offsets, nil
}

// checkOffsets returns an OffsetError if the log does not hold one of wanted.
func checkOffsets(ctx context.Context, admin *kadm.Client, name string, wanted map[int32]int64) error {
	if len(wanted) == 0 {
		return nil
	}
	starts, err := offsetsOf(ctx, admin, name, (*kadm.Client).ListStartOffsets)
	if err != nil {
		return err
	}
	ends, err := offsetsOf(ctx, admin, name, (*kadm.Client).ListEndOffsets)
	if err != nil {
		return err
	}
	for p, offset := range wanted {
		end, ok := ends[p]
		if !ok {
			return fmt.Errorf("cannot read partition %d of %q: there is none", p, name)
		}
		if offset >= 0 && (offset < starts[p] || offset > end) {
			return &OffsetError{Topic: name, Partition: p, Wanted: offset, Start: starts[p], End: end}
		}
	}
	return nil
}

// reached adds ErrUnavailable to the error of a broker that is away.
func reached(err error) error {
	if unreachable(err) || kerr.IsRetriable(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// Ping returns ErrUnavailable unless a broker answers.
func Ping(ctx context.Context, cfg Config) error {
	client, err := cfg.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("cannot reach kafka at %v: %w: %w", cfg.Brokers, ErrUnavailable, err)
	}
	return nil
}
