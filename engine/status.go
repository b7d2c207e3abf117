package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// follow reads a topic for the lists over HTTP, from the latest recentKept on.
func (e *Engine) follow(ctx context.Context, topic string, note func(*streams.Record)) error {
	from, err := kafka.StartOffsets(ctx, e.client, topic)
	if err != nil {
		return err
	}
	ends, err := kafka.EndOffsets(ctx, e.client, topic)
	if err != nil {
		return err
	}
	each := int64(recentKept / max(1, len(ends)))
	from = maps.Clone(from)
	for p, end := range ends {
		from[p] = max(from[p], end-each)
	}
	return kafka.ReadFrom(ctx, e.client, topic, from, func(recs []streams.Record) error {
		for i := range recs {
			note(&recs[i])
		}
		return nil
	})
}

// statusQueued is that of a message that nobody has taken yet.
const statusQueued = "queued"

func (e *Engine) noteMessage(rec *streams.Record) {
	var m streams.Message
	if err := json.Unmarshal(rec.Value, &m); err != nil {
		e.log.Warn("a message that cannot be read is not listed", "partition", rec.Partition, "offset", rec.Offset, "error", err)
		return
	}
	m.Status = statusQueued
	e.messages.add(m)
}

// listedEvent is how much of an event the list of dead letters holds, in bytes;
// the topic has all of it.
const listedEvent = 4 << 10

func (e *Engine) noteLetter(rec *streams.Record) {
	var l streams.DeadLetter
	if err := json.Unmarshal(rec.Value, &l); err != nil {
		e.log.Warn("a dead letter that cannot be read is not listed", "partition", rec.Partition, "offset", rec.Offset, "error", err)
		return
	}
	if l.Number == "" {
		l.Number = fmt.Sprintf("%s/%d/%d", kafka.TopicDeadLetter, rec.Partition, rec.Offset)
	}
	l.Event = bytes.Clone(l.Event[:min(len(l.Event), listedEvent)])
	e.letters.add(l)
}

// noteStatus notes what became of a listed message.
func (e *Engine) noteStatus(id, status string, ev *streams.Event) {
	e.messages.update(id, func(m *streams.Message) {
		m.Status = status
		if status != "skipped" && status != "failed" {
			return
		}
		if props, err := ev.PropertiesMap(); err == nil {
			m.Reason, _ = props["reason"].(string)
		}
	})
}
