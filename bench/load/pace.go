package load

import (
	"context"
	"time"
)

// minInterval is how often at most the pace wakes up; what is due meanwhile is
// handed out at once.
const minInterval = 50 * time.Microsecond

// waker wakes the pace at regular times.
type waker interface {
	wait() error
	close() error
}

// pace hands out the requests of an open loop when they are due, until ctx ends
// or the phase does.
func (p *phase) pace(ctx context.Context) error {
	defer close(p.due)
	interval := max(time.Duration(float64(time.Second)/p.Rate), minInterval)
	w, err := newWaker(interval)
	if err != nil {
		return err
	}
	defer w.close()
	total := p.total()
	for n := int64(0); n < total && ctx.Err() == nil; {
		for now := time.Now(); n < total && !p.at(n).After(now); n++ {
			select {
			case p.due <- n:
			case <-ctx.Done():
				return nil
			}
		}
		if err := w.wait(); err != nil {
			return err
		}
	}
	return nil
}
