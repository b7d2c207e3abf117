package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/rapport-engine/rapport/engine/snapshot"
)

// awayHook adds snapshot.ErrUnavailable to the errors of a server that cannot be
// reached, or that cannot serve now.
type awayHook struct{}

// DialHook changes nothing: commands tell what became of a dial.
func (awayHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook marks the error of one command.
func (awayHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := away(next(ctx, cmd))
		if err != nil {
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook marks the errors of several commands.
func (awayHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := away(next(ctx, cmds))
		for _, cmd := range cmds {
			if failed := cmd.Err(); failed != nil {
				cmd.SetErr(away(failed))
			}
		}
		return err
	}
}

// passes are the beginnings of answers of a server that starts, changes its role,
// or has no room.
var passes = []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF", "OOM", "BUSY"}

// away returns err with snapshot.ErrUnavailable where it may be gone at the next
// try: anything but an answer, and some answers.
func away(err error) error {
	var answer redis.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, redis.ErrClosed), errors.Is(err, snapshot.ErrUnavailable):
		return err
	case errors.As(err, &answer):
		if !slices.ContainsFunc(passes, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) }) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", snapshot.ErrUnavailable, err)
}
