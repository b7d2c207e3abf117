package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// A member whose answer to a join was lost on its way asks again under the name
// it had before, and the broker takes it for another process. So the first times
// that the instance's name was given to another, it is asked for again.
const (
	fencedAtMost = 3           // times in a row
	fencedWithin = time.Minute // after a longer time than this since the last one they are counted anew
)

// keepJoined runs one membership after another until ctx ends or one fails for
// good. What another member may have had meanwhile is lost first.
func keepJoined(ctx context.Context, cfg Config, name, topic string, h Handler, committed bool) error {
	fenced, last := 0, time.Time{}
	for {
		err := runGroup(ctx, cfg, name, topic, h, committed)
		switch {
		case ctx.Err() != nil, !outOfGroup(err):
			return err
		case errors.Is(err, kerr.FencedInstanceID):
			if time.Since(last) > fencedWithin {
				fenced = 0
			}
			if fenced, last = fenced+1, time.Now(); fenced > fencedAtMost {
				return fmt.Errorf("cannot stay in group %q: another process runs under the instance name %q; give each its own: %w",
					cfg.Prefix+name, cfg.Instance, err)
			}
		}
		if cfg.Logger != nil {
			cfg.Logger.Warn("joining again", "topic", topic, "group", name, "error", err)
		}
	}
}

// outOfGroup reports whether err says that the group knows this member no more.
func outOfGroup(err error) bool {
	return errors.Is(err, errForgotten) || errors.Is(err, kerr.FencedInstanceID)
}
