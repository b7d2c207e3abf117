package engine

import (
	"context"
	"time"

	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
	"github.com/rapport-engine/rapport/streams/kafka"
)

const (
	// settleFor is how long the owners of partitions must have stayed the same
	// before the others' partitions are read anew: a rebalance moves several.
	settleFor = 200 * time.Millisecond
	// othersPatience is how long reading the others' partitions rests after a failure.
	othersPatience = time.Second
)

// readOthers reads the partitions that other processes own, for the model, which is
// the same everywhere, and for the overlay: from where the model stands, whoever
// read until there. A failure is waited out: the fold does not depend on it.
func (e *Engine) readOthers(ctx context.Context) error {
	for ctx.Err() == nil {
		others, changed := e.others()
		reading, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			select {
			case <-changed:
				cancel()
			case <-reading.Done():
			}
		}()
		err := e.readPartitions(reading, others)
		asked := reading.Err() != nil
		cancel()
		<-done
		if err != nil && !asked {
			e.log.Warn("the recommender waits for the events of other processes", "error", err)
			rest(ctx, othersPatience)
		}
	}
	return nil
}

// rest waits, or returns when ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// others are the partitions that this process does not own; changed is closed when
// they are others.
func (e *Engine) others() (list []int32, changed <-chan struct{}) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for p := range e.settings.Partitions {
		if e.owned[p] == nil {
			list = append(list, p)
		}
	}
	return list, e.changed
}

// ownersChanged is called with mu held.
func (e *Engine) ownersChanged() {
	close(e.changed)
	e.changed = make(chan struct{})
	e.overlay.on.Store(len(e.owned) < int(e.settings.Partitions))
}

// readPartitions reads until ctx ends.
func (e *Engine) readPartitions(ctx context.Context, list []int32) error {
	rest(ctx, settleFor)
	if ctx.Err() != nil {
		return nil
	}
	if len(list) == 0 {
		e.modelRead.Store(true)
		<-ctx.Done()
		return nil
	}
	starts, err := kafka.StartOffsets(ctx, e.client, kafka.TopicEvents)
	if err != nil {
		return err
	}
	ends, err := kafka.EndOffsets(ctx, e.client, kafka.TopicEvents)
	if err != nil {
		return err
	}
	from, behind := map[int32]int64{}, map[int32]int64{}
	for _, p := range list {
		from[p] = min(max(e.model.Position(p), starts[p]), ends[p]) // what is gone is gone
		if from[p] < ends[p] {
			behind[p] = ends[p]
		}
	}
	if len(behind) == 0 {
		e.modelRead.Store(true)
	}
	var student student
	return kafka.ReadFrom(ctx, e.client, kafka.TopicEvents, from, func(recs []streams.Record) error {
		e.learn(recs, &student)
		last := &recs[len(recs)-1]
		if end, ok := behind[last.Partition]; ok && last.Offset >= end-1 {
			if delete(behind, last.Partition); len(behind) == 0 {
				e.modelRead.Store(true)
			}
		}
		return nil
	})
}

// student is the memory of who reads for the model.
type student struct {
	event   streams.Event
	lessons recommender.Lessons
}

// learn teaches the model what customers did, where it was first logged.
func (e *Engine) learn(recs []streams.Record, s *student) {
	for i := range recs {
		rec := &recs[i]
		kind := rec.Header(streams.HeaderKind)
		if clock := rec.Header(streams.HeaderClock); !e.live.Load() && kind == nil && (clock == nil || string(clock) == string(clockLive)) {
			e.goLive()
		}
		if len(rec.Value) == 0 || kind != nil || e.decoder.Decode(rec, &s.event) != nil {
			continue
		}
		s.lessons.Add(rec.Offset, &s.event)
		e.overlay.add(rec, &s.event)
	}
	e.model.Observe(recs[0].Partition, &s.lessons)
}
