package kafka

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData brings a file's content to disk, and its length if that has changed,
// but not its times.
func syncData(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}
