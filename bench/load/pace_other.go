//go:build !linux

package load

import "time"

// goTimer wakes by the runtime's timers, which may be late by a millisecond.
type goTimer struct{ *time.Ticker }

func newWaker(interval time.Duration) (waker, error) { return goTimer{time.NewTicker(interval)}, nil }

func (t goTimer) wait() error {
	<-t.C
	return nil
}

func (t goTimer) close() error {
	t.Stop()
	return nil
}
