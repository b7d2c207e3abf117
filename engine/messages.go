package engine

import (
	"context"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// ReadMessages calls visit with every record of `messages` that is there at
// the call: those of a partition in their order, from one goroutine. The
// records are the caller's until visit returns.
func (e *Engine) ReadMessages(ctx context.Context, visit func([]streams.Record) error) error {
	client, err := e.Kafka()
	if err != nil {
		return err
	}
	ends, err := kafka.EndOffsets(ctx, client, kafka.TopicMessages)
	if err != nil {
		return err
	}
	return kafka.ReadRange(ctx, client, kafka.TopicMessages, nil, ends, visit)
}

// FollowMessages is ReadMessages from the first record on until ctx ends, when
// it returns nil.
func (e *Engine) FollowMessages(ctx context.Context, visit func([]streams.Record) error) error {
	client, err := e.Kafka()
	if err != nil {
		return err
	}
	return kafka.ReadFrom(ctx, client, kafka.TopicMessages, nil, visit)
}

// Kafka is how to reach the broker that has the log, for readers beside the
// engine; ErrUnavailable before Run has opened it.
func (e *Engine) Kafka() (kafka.Config, error) {
	if _, err := e.writer(); err != nil {
		return kafka.Config{}, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.client, nil
}
