package load

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timerFD wakes by a timer of the kernel that the runtime waits for as for a
// socket: Go's own timers are late by up to a millisecond on an idle machine.
type timerFD struct {
	file *os.File
	buf  [8]byte
}

func newWaker(interval time.Duration) (waker, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make a timer: %w", err)
	}
	every := unix.NsecToTimespec(interval.Nanoseconds())
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("cannot set a timer: %w", err)
	}
	return &timerFD{file: os.NewFile(uintptr(fd), "timer")}, nil
}

func (t *timerFD) wait() error {
	if _, err := t.file.Read(t.buf[:]); err != nil {
		return fmt.Errorf("cannot wait for a timer: %w", err)
	}
	return nil
}

func (t *timerFD) close() error { return t.file.Close() }
