package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// Ingest writes records to `events` and returns when the broker has
// acknowledged all of them; ErrUnavailable while it cannot.
func (e *Engine) Ingest(ctx context.Context, recs []streams.Record) error {
	now := time.Now().UnixMilli()
	for i := range recs {
		recs[i].Topic = kafka.TopicEvents
		if recs[i].Time == 0 {
			recs[i].Time = now
		}
	}
	_, err := e.write(ctx, recs)
	return err
}

// Enqueue writes records to `events` without waiting; done is called once,
// when the broker has acknowledged all of them or refused. It blocks while too
// much is on its way.
func (e *Engine) Enqueue(ctx context.Context, recs []streams.Record, done func(error)) {
	for i := range recs {
		recs[i].Topic = kafka.TopicEvents
	}
	producer, err := e.writer()
	if err != nil {
		done(err)
		return
	}
	producer.Produce(ctx, recs, func(err error) { done(writeError(err)) })
}

// DeadLetter keeps what was refused one by one from a batch.
func (e *Engine) DeadLetter(ctx context.Context, letters []streams.DeadLetter) error {
	recs := make([]streams.Record, len(letters))
	for i := range letters {
		value, err := json.Marshal(&letters[i])
		if err != nil {
			return fmt.Errorf("cannot encode a dead letter: %w", err)
		}
		recs[i] = streams.Record{Topic: kafka.TopicDeadLetter, Partition: -1, Time: letters[i].At, Value: value}
	}
	e.mu.Lock()
	for i := range letters {
		e.gone.deadLetter(letters[i].Reason)
	}
	e.mu.Unlock()
	return e.writeOwn(ctx, recs)
}

func (e *Engine) write(ctx context.Context, recs []streams.Record) (offsets []int64, err error) {
	producer, err := e.writer()
	if err != nil {
		return nil, err
	}
	offsets, err = producer.ProduceSync(ctx, recs)
	return offsets, writeError(err)
}

// writeOwn writes what Rapport itself has to say, which a full broker takes.
func (e *Engine) writeOwn(ctx context.Context, recs []streams.Record) error {
	producer, err := e.writer()
	if err != nil {
		return err
	}
	_, err = producer.Unlimited().ProduceSync(ctx, recs)
	return writeError(err)
}

func (e *Engine) writer() (*kafka.Producer, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if !e.running {
		return nil, fmt.Errorf("%w: the engine is not running yet", ErrUnavailable)
	}
	return e.producer, nil
}

func writeError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, kafka.ErrUnavailable) || errors.Is(err, kafka.ErrFull) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
