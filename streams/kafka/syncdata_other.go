//go:build !linux

package kafka

import "os"

// syncData brings a file's content to disk.
func syncData(f *os.File) error { return f.Sync() }

// reserve leaves it to the first writes to take a file's space.
func reserve(*os.File, int64) error { return nil }
