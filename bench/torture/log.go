package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// Log is what the topics held when it was read.
type Log struct {
	Events   [][]streams.Record // of `events`, by partition
	Messages []Sent             // of `messages`, the first of each id
	Letters  map[string]string  // reasons of dead letters, by number
	// Logged says when each event of a producer was first logged, Unix ms, by
	// messageId.
	Logged map[string]int64
	// Twice counts messages that were written again after a crash, with the same
	// effect number.
	Twice int
}

// Sent is a message as it was first written.
type Sent struct {
	ID     string
	Number string // of the effect
	Body   []byte
}

// ReadLog reads all that the broker has. It is an error if a message was written
// again otherwise than in its recommendations, or under another number.
func ReadLog(ctx context.Context, cfg kafka.Config) (*Log, error) {
	l := &Log{Events: make([][]streams.Record, cfg.Partitions), Letters: map[string]string{}, Logged: map[string]int64{}}
	err := read(ctx, cfg, kafka.TopicEvents, func(rec streams.Record) error {
		l.Events[rec.Partition] = append(l.Events[rec.Partition], rec)
		l.noteEvent(&rec)
		return nil
	})
	if err != nil {
		return nil, err
	}
	first := map[string]Sent{}
	err = read(ctx, cfg, kafka.TopicMessages, func(rec streams.Record) error { return l.noteMessage(first, &rec) })
	if err != nil {
		return nil, err
	}
	return l, read(ctx, cfg, kafka.TopicDeadLetter, func(rec streams.Record) error {
		var letter streams.DeadLetter
		if err := json.Unmarshal(rec.Value, &letter); err != nil {
			return fmt.Errorf("cannot read a dead letter: %w", err)
		}
		l.Letters[letter.Number] = letter.Reason
		return nil
	})
}

func read(ctx context.Context, cfg kafka.Config, topic string, note func(streams.Record) error) error {
	ends, err := kafka.EndOffsets(ctx, cfg, topic)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	return kafka.ReadRange(ctx, cfg, topic, nil, ends, func(recs []streams.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for _, rec := range recs {
			rec.Headers = append([]streams.Header(nil), rec.Headers...) // they are the reader's
			if err := note(rec); err != nil {
				return err
			}
		}
		return nil
	})
}

// noteEvent notes what a producer wrote: not ticks, nor Rapport's own records.
func (l *Log) noteEvent(rec *streams.Record) {
	if len(rec.Value) == 0 || rec.Header(streams.HeaderKind) != nil {
		return
	}
	var call struct {
		MessageID string `json:"messageId"`
	}
	if json.Unmarshal(rec.Value, &call) != nil || call.MessageID == "" {
		return
	}
	if at, known := l.Logged[call.MessageID]; !known || rec.Time < at {
		l.Logged[call.MessageID] = rec.Time
	}
}

func (l *Log) noteMessage(first map[string]Sent, rec *streams.Record) error {
	m := Sent{Number: string(rec.Header(streams.HeaderEffect)), Body: rec.Value}
	plain, err := withoutRecommendations(rec.Value)
	if err != nil {
		return err
	}
	m.ID, _ = plain["id"].(string)
	before, known := first[m.ID]
	if !known {
		first[m.ID] = m
		l.Messages = append(l.Messages, m)
		return nil
	}
	l.Twice++
	same, err := withoutRecommendations(before.Body)
	if err != nil {
		return err
	}
	if fmt.Sprint(plain) != fmt.Sprint(same) || m.Number != before.Number {
		return fmt.Errorf("message %s was written twice, differently:\n%s %s\n%s %s", m.ID, before.Number, before.Body, m.Number, m.Body)
	}
	return nil
}

// withoutRecommendations decodes a message without what is a reading of the model.
func withoutRecommendations(body []byte) (map[string]any, error) {
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("cannot read a message: %w", err)
	}
	delete(m, "recommendations")
	return m, nil
}
