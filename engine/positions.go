package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/delivery"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// positionCopy is what the snapshot store holds of a delivery's commit: without
// it, a broker that lost its groups' commits would have everything in the log
// sent again.
type positionCopy struct {
	TopicID  string `json:"topic_id"`
	Offset   int64  `json:"offset"`
	Metadata string `json:"metadata"`
}

// copyInterval is how often commits are copied at most.
const copyInterval = 10 * time.Second

func positionObject(group string, partition int32) string {
	return fmt.Sprintf("%s/%d", group, partition)
}

// positionCopies copies commits to the snapshot store.
type positionCopies struct {
	store   snapshot.Store
	group   string
	topicID string
	at      func() map[int32]kafka.Position // what was committed last
	done    map[int32]kafka.Position        // what was copied last
}

// run copies every interval, and once more when ctx ends.
func (c *positionCopies) run(ctx context.Context, interval time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		if err := c.copy(last); err != nil {
			log.Warn("a copy of what was delivered waits", "group", c.group, "error", err)
		}
		cancel()
	}
}

func (c *positionCopies) copy(ctx context.Context) error {
	for p, at := range c.at() {
		if at.Offset < 0 || at == c.done[p] {
			continue
		}
		data, err := json.Marshal(positionCopy{c.topicID, at.Offset, at.Metadata})
		if err != nil {
			return err
		}
		if err := c.store.PutObject(ctx, positionObject(c.group, p), data); err != nil {
			return err
		}
		c.done[p] = at
	}
	return nil
}

// takeUp finds where a delivery goes on.
type takeUp struct {
	e       *Engine
	q       *delivery.Queue
	group   string
	topic   string
	topicID string
}

// position is the last commit, or its copy where that is further on; where a loss
// of the log was accepted, what there is of the log bounds it. The queue of
// `retry` is shown what is below.
func (t *takeUp) position(ctx context.Context, partition int32, last kafka.Position) (kafka.Position, error) {
	at, err := t.further(ctx, partition, last)
	if err != nil || at.Offset < 0 {
		return at, err
	}
	starts, err := kafka.StartOffsets(ctx, t.e.client, t.topic)
	if err != nil {
		return at, err
	}
	if t.e.opts.AcceptLogLoss {
		ends, err := kafka.EndOffsets(ctx, t.e.client, t.topic)
		if err != nil {
			return at, err
		}
		if there := min(max(at.Offset, starts[partition]), ends[partition]); there != at.Offset {
			t.e.log.Warn("log loss accepted", "topic", t.topic, "partition", partition, "offset", at.Offset, "now", there)
			at = kafka.Position{Offset: there}
		}
	}
	if t.topic != kafka.TopicRetry {
		return at, nil
	}
	from := max(t.q.Unseen(at.Offset), starts[partition])
	return at, kafka.ReadRange(ctx, t.e.client, t.topic, map[int32]int64{partition: from}, map[int32]int64{partition: at.Offset},
		func(recs []streams.Record) error {
			t.q.Saw(recs)
			return nil
		})
}

// further looks at the copy of a commit. A store that is away says nothing.
func (t *takeUp) further(ctx context.Context, partition int32, last kafka.Position) (kafka.Position, error) {
	data, err := t.e.store.GetObject(ctx, positionObject(t.group, partition))
	switch {
	case errors.Is(err, snapshot.ErrNotFound):
		return last, nil
	case err != nil && last.Offset >= 0 && ctx.Err() == nil:
		t.e.log.Warn("what was delivered is taken from the broker alone", "group", t.group, "partition", partition, "error", err)
		return last, nil
	case err != nil:
		return last, fmt.Errorf("cannot read where %s stands: %w", t.group, err)
	}
	var held positionCopy
	if err := json.Unmarshal(data, &held); err != nil {
		return last, fmt.Errorf("cannot read where %s stands: %w", t.group, err)
	}
	if held.TopicID != t.topicID || held.Offset <= last.Offset {
		return last, nil
	}
	t.e.log.Warn("the broker has lost commits, going on from their copy", "group", t.group, "partition", partition, "commit", last.Offset, "copy", held.Offset)
	return kafka.Position{Offset: held.Offset, Metadata: held.Metadata}, nil
}
