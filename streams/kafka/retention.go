package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
)

// retentionEvery is how many checks of the size pass between two deletions.
const retentionEvery = 10

// bounded are the topics that retention applies to: `catalog` is compacted.
var bounded = []string{TopicEvents, TopicMessages, TopicRetry, TopicDeadLetter}

// SetFloor says that holder needs the records of a partition from offset on.
// Retention deletes nothing above the lowest floor of a partition's holders.
func (b *Embedded) SetFloor(holder, topic string, partition int32, offset int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.floors[floor{holder, topic, partition}] = offset
}

// maintain measures the log every second and applies retention now and then.
func (b *Embedded) maintain(ctx context.Context) {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		b.measure()
		if n%retentionEvery == 0 || b.Full() != nil {
			b.applyRetention(ctx, time.Now())
		}
	}
}

func (b *Embedded) measure() {
	size := int64(0)
	for _, topic := range append([]string{TopicCatalog}, bounded...) {
		size += bytesOf(b.cluster.PartitionInfos(b.cfg.Prefix + topic))
	}
	b.size.Store(size)
}

func bytesOf(infos []*kfake.PartitionInfo) (size int64) {
	for _, info := range infos {
		size += info.NumBytes
	}
	return size
}

// applyRetention deletes, in each topic, what is older than Retention or too
// much for RetentionBytes, as far as the floors allow.
func (b *Embedded) applyRetention(ctx context.Context, now time.Time) {
	for _, topic := range bounded {
		name := b.cfg.Prefix + topic
		infos := b.cluster.PartitionInfos(name)
		if len(infos) == 0 {
			continue
		}
		old := b.expired(ctx, name, now)
		committed := b.committed(ctx, topic)
		total := bytesOf(infos)
		for _, info := range infos {
			upTo := max(old[info.Partition], b.overflow(info, total))
			upTo = min(upTo, b.floor(topic, info.Partition, committed))
			// The last batch stays: the broker learns the end of a log from it
			// after a crash.
			upTo = min(upTo, info.HighWatermark-1)
			if upTo <= info.LogStartOffset {
				continue
			}
			if err := b.cluster.DeleteRecords(name, info.Partition, upTo); err != nil && b.cfg.Logger != nil {
				b.cfg.Logger.Warn("cannot delete old records", "topic", name, "partition", info.Partition, "error", err)
			}
		}
	}
}

// expired returns for each partition the first offset that is not too old.
func (b *Embedded) expired(ctx context.Context, name string, now time.Time) map[int32]int64 {
	offsets := map[int32]int64{}
	if b.cfg.Retention < 0 {
		return offsets
	}
	listed, err := b.admin.ListOffsetsAfterMilli(ctx, now.Add(-b.cfg.Retention).UnixMilli(), name)
	if err != nil {
		return offsets
	}
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			offsets[o.Partition] = o.Offset
		}
	})
	return offsets
}

// overflow is the offset up to which a partition's records are too many: of
// what the topic has too much, the partition gives its share, and of that as
// many records as bytes.
func (b *Embedded) overflow(info *kfake.PartitionInfo, total int64) int64 {
	limit := b.cfg.RetentionBytes
	if limit < 0 || total <= limit {
		return 0
	}
	share := float64(total-limit) / float64(total)
	return info.LogStartOffset + int64(share*float64(info.HighWatermark-info.LogStartOffset))
}

// floor is the lowest offset of a partition that somebody still needs.
func (b *Embedded) floor(topic string, partition int32, committed []map[int32]int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	lowest := int64(1<<63 - 1)
	for _, holder := range b.cfg.Holders[topic] {
		lowest = min(lowest, b.floors[floor{holder, topic, partition}]) // 0 = not said yet
	}
	for key, offset := range b.floors { // holders that were not announced count, too
		if key.topic == topic && key.partition == partition {
			lowest = min(lowest, offset)
		}
	}
	for _, group := range committed {
		lowest = min(lowest, group[partition]) // 0 = nothing committed yet
	}
	return lowest
}

// committed returns the committed offsets of the topic's groups.
func (b *Embedded) committed(ctx context.Context, topic string) []map[int32]int64 {
	all := make([]map[int32]int64, 0, len(b.cfg.Groups[topic]))
	for _, group := range b.cfg.Groups[topic] {
		offsets := map[int32]int64{}
		if fetched, err := b.admin.FetchOffsets(ctx, b.cfg.Prefix+group); err == nil {
			fetched.Each(func(o kadm.OffsetResponse) {
				if o.Err == nil && o.Topic == b.cfg.Prefix+topic {
					offsets[o.Partition] = max(o.At, 0)
				}
			})
		}
		all = append(all, offsets)
	}
	return all
}
