package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
)

// entryHead is what precedes an entry of kfake's state files: 4 bytes length,
// 4 bytes CRC-32C of what follows, little endian.
const entryHead = 8

// mendStateFiles takes out of kfake's state files what a full disk or a crash
// left of entries that were not written whole: kfake would read no further than
// the first of them, and forget the commits behind it. Nobody may have the files
// open.
func mendStateFiles(root string) error {
	for _, f := range stateFiles(root) {
		data, err := os.ReadFile(f.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot read a state file of the log: %w", err)
		}
		whole := wholeEntries(data)
		if len(whole) == len(data) {
			continue
		}
		if err := replaceFile(f.path, whole); err != nil {
			return fmt.Errorf("cannot mend a state file of the log: %w", err)
		}
	}
	return nil
}

// wholeEntries returns data without what is no whole entry; data itself where
// there is no such thing.
func wholeEntries(data []byte) []byte {
	at := 0
	for at < len(data) && entryLength(data[at:]) > 0 {
		at += entryLength(data[at:])
	}
	if at == len(data) {
		return data
	}
	kept := data[:at:at]
	for at < len(data) {
		n := entryLength(data[at:])
		kept = append(kept, data[at:at+n]...)
		at += max(n, 1)
	}
	return kept
}

// entryLength is that of the entry at the beginning of data, with its head; 0
// where there is none.
func entryLength(data []byte) int {
	if len(data) < entryHead {
		return 0
	}
	n := uint64(binary.LittleEndian.Uint32(data))
	if n < 2 || n > uint64(len(data)-entryHead) || crc32.Checksum(data[entryHead:entryHead+n], castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
		return 0
	}
	return entryHead + int(n)
}

// replaceFile writes a file anew, whole or not at all, and brings it to disk.
func replaceFile(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return err
	}
	if err := syncFile(temporary); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
