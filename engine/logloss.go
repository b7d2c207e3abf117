package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/streams/kafka"
)

// ErrLogLost is returned by Run when the log is not the one that the snapshots
// stand for, or has lost records that they need (DESIGN.md, rule 5). Nothing
// resets by itself: Options.AcceptLogLoss does.
var ErrLogLost = errors.New("the log does not hold what the snapshots stand for")

// lost adds ErrLogLost, and what to do, to the error of a reader that does not
// find where it stood.
func lost(err error) error {
	var gone *kafka.OffsetError
	if errors.As(err, &gone) && !errors.Is(err, ErrLogLost) {
		return fmt.Errorf("%w; restore the log, or start with --accept-log-loss to go on with what is there: %w", err, ErrLogLost)
	}
	return err
}

// logState is what there is of one partition's log.
type logState struct {
	topicID    string
	start, end int64 // from start up to before end
	// epochEnd is where the records of the snapshot's leader epoch end; -1: there
	// are none of it.
	epochEnd int64
}

func (e *Engine) logState(ctx context.Context, id int32, meta *snapshot.Meta) (logState, error) {
	info, err := kafka.Describe(ctx, e.client, kafka.TopicEvents)
	if err != nil {
		return logState{}, err
	}
	starts, err := kafka.StartOffsets(ctx, e.client, kafka.TopicEvents)
	if err != nil {
		return logState{}, err
	}
	ends, err := kafka.EndOffsets(ctx, e.client, kafka.TopicEvents)
	if err != nil {
		return logState{}, err
	}
	l := logState{info.ID, starts[id], ends[id], meta.Offset}
	if meta.Number > 0 && meta.LeaderEpoch >= 0 && !l.other(meta) {
		l.epochEnd, err = kafka.EpochEnd(ctx, e.client, kafka.TopicEvents, id, meta.LeaderEpoch)
	}
	return l, err
}

// loss says in what way the log does not go on where a snapshot ends; "" where
// it does.
func (l *logState) loss(meta *snapshot.Meta) string {
	switch {
	case meta.Number == 0:
		return ""
	case l.other(meta):
		return fmt.Sprintf("the topic has been made anew: its id is %s, that of the snapshot's log was %s", l.topicID, meta.TopicID)
	case l.end < meta.Offset:
		return fmt.Sprintf("the log ends at offset %d, the snapshot stands at %d: the broker has lost records, or was set back", l.end, meta.Offset)
	case l.start > meta.Offset:
		return fmt.Sprintf("the log starts at offset %d, the snapshot stands at %d: records were deleted before they were read", l.start, meta.Offset)
	case l.epochEnd < 0:
		return fmt.Sprintf("the log has no record of leader epoch %d, the snapshot stands for some: the broker was set back, and other records were written since", meta.LeaderEpoch)
	case l.epochEnd < meta.Offset:
		return fmt.Sprintf("the records of leader epoch %d end at offset %d, the snapshot stands for some up to %d: the broker has lost records, and others were written in their place",
			meta.LeaderEpoch, l.epochEnd, meta.Offset)
	}
	return ""
}

func (l *logState) other(meta *snapshot.Meta) bool {
	return meta.TopicID != "" && l.topicID != meta.TopicID
}

// checkLog refuses a log that does not go on where the partition's snapshot
// ends, or, where the operator has accepted that, goes on with what there is.
func (e *Engine) checkLog(p *partition, l logState) error {
	p.saver.topicID = l.topicID
	meta := &p.saver.last
	why := l.loss(meta)
	if why != "" && !e.opts.AcceptLogLoss {
		return fmt.Errorf("cannot go on with partition %d of %q: %s; restore the log, or start with --accept-log-loss to go on with what is there: %w",
			p.id, kafka.TopicEvents, why, ErrLogLost)
	}
	if why != "" {
		e.log.Warn("log loss accepted", "partition", p.id, "why", why)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.opts.AcceptLogLoss {
		p.acceptLoss(l, l.other(meta))
		p.saver.accepted = true
		if e.catalogLost {
			p.state.Catalog = 0
		}
	}
	if meta.Number == 0 && l.start > 0 {
		p.pardon() // what the first effects follow was deleted
	}
	return nil
}

// acceptLoss goes on with the log that there is: under a new incarnation, so
// that no number is used twice, and without asking what is missing.
func (w *worker) acceptLoss(l logState, other bool) {
	w.state.Incarnation++
	clear(w.state.Effects)
	w.outbox.source.Incarnation = w.state.Incarnation
	w.pardon()
	if other {
		w.state.Offset = l.start
	}
	if l.epochEnd >= 0 {
		w.state.Offset = min(w.state.Offset, l.epochEnd) // what was written in place of lost records was not read
	}
	w.state.Offset = min(max(w.state.Offset, l.start), l.end)
	w.leader = -1 // of whatever is there
	w.applied.Store(w.state.Offset)
}

// acceptCatalogueLoss makes the items that the store holds older than every
// change of a `catalog` that was made anew. It reports whether that was so.
func (e *Engine) acceptCatalogueLoss(ctx context.Context) (bool, error) {
	ends, err := kafka.EndOffsets(ctx, e.client, kafka.TopicCatalog)
	if err != nil {
		return false, err
	}
	var blobs []snapshot.Blob
	offset, err := e.store.LoadItems(ctx, func(id string, data []byte) error {
		var versions []itemVersion
		if err := json.Unmarshal(data, &versions); err != nil || len(versions) == 0 {
			return err
		}
		latest, err := json.Marshal([]itemVersion{{Item: versions[len(versions)-1].Item}})
		blobs = append(blobs, snapshot.Blob{ID: id, Data: latest})
		return err
	})
	if err != nil || offset <= ends[0] {
		return false, err
	}
	e.log.Warn("log loss accepted", "topic", kafka.TopicCatalog, "offset", offset, "end", ends[0])
	return true, e.store.SaveItems(ctx, offset, 0, blobs)
}
