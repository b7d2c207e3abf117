package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams/kafka"
)

const (
	modelObject   = "model"
	modelInterval = time.Minute

	// Who needs the log of events, besides the fold itself.
	holderSnapshots = "snapshots"
	holderModel     = "model"
)

// saveModel checkpoints the recommender every minute.
func (e *Engine) saveModel(ctx context.Context) error {
	ticker := time.NewTicker(modelInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := e.checkpointModel(ctx); err != nil && ctx.Err() == nil {
				e.log.Warn("the model's checkpoint waits", "error", err)
			}
		}
	}
}

// checkpointModel writes the model with its position in each partition.
func (e *Engine) checkpointModel(ctx context.Context) error {
	if e.opts.Volatile {
		return nil
	}
	positions := make([]int64, e.settings.Partitions)
	for p := range positions {
		positions[p] = e.model.Position(int32(p))
	}
	var b bytes.Buffer
	if err := e.model.Save(&b); err != nil {
		return fmt.Errorf("cannot encode the model: %w", err)
	}
	if err := e.store.PutObject(ctx, modelObject, b.Bytes()); err != nil {
		return fmt.Errorf("cannot save the model: %w", err)
	}
	e.modelSaved.Store(&positions)
	return nil
}

// restoreModel starts from the latest checkpoint; the tail comes from the log.
func (e *Engine) restoreModel(ctx context.Context) error {
	if e.opts.AcceptLogLoss {
		return nil // its positions are of a log that may be another: it learns anew
	}
	data, err := e.store.GetObject(ctx, modelObject)
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = e.model.Load(bytes.NewReader(data))
	}
	if errors.Is(err, recommender.ErrBadCheckpoint) {
		e.log.Warn("the recommender learns anew from what the log still has", "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot restore the model: %w", err)
	}
	return nil
}

// raiseFloors lets the embedded broker delete what neither a snapshot nor the
// model's checkpoint needs any more.
func (e *Engine) raiseFloors() {
	if e.broker == nil {
		return
	}
	saved := e.modelSaved.Load()
	for _, p := range e.ownedPartitions() {
		e.broker.SetFloor(holderSnapshots, kafka.TopicEvents, p.id, p.saver.last.Offset)
		if saved != nil {
			e.broker.SetFloor(holderModel, kafka.TopicEvents, p.id, (*saved)[p.id])
		}
	}
}

// placements hands the rules' placements to the recommender, which does not
// know the rules.
func placements(set *rules.Set) []recommender.Placement {
	var list []recommender.Placement
	for _, p := range set.Placements() {
		to := recommender.Placement{
			Name: p.Name, Strategies: p.Strategies, Exclude: p.Exclude, Filter: p.Match, Diversity: p.Diversity,
			Pin: p.Pin, Rotate: p.Rotate, Mix: p.Mix, MMR: p.MMR,
		}
		if p.Promote != nil {
			to.Promote, to.PromoteShare = p.Promote.Match, p.Promote.Share
		}
		list = append(list, to)
	}
	return list
}
