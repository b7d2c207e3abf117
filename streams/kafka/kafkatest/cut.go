package kafkatest

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

// Cut takes the record batches from an offset on out of a partition's log, as a
// disk that was set back would. topic is with its prefix; the node must not run.
func (n *Node) Cut(topic string, partition int32, offset int64) {
	n.t.Helper()
	dir := filepath.Join(n.dir, "data", fmt.Sprint(topic, "-", partition))
	for _, pattern := range []string{"*.index", "*.timeindex", "*.snapshot"} { // made anew
		names, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, name := range names {
			_ = os.Remove(name)
		}
	}
	log := filepath.Join(dir, "00000000000000000000.log")
	data, err := os.ReadFile(log)
	if err != nil {
		n.t.Fatal(err)
	}
	const head = 12 // offset of the first record, and how long the rest of the batch is
	end := 0
	for end+head <= len(data) && int64(binary.BigEndian.Uint64(data[end:])) < offset { //nolint:gosec // as the broker wrote it
		size := int(binary.BigEndian.Uint32(data[end+8:]))
		if size == 0 || end+head+size > len(data) {
			break // space that was reserved
		}
		end += head + size
	}
	if err := os.Truncate(log, int64(end)); err != nil {
		n.t.Fatal(err)
	}
}
