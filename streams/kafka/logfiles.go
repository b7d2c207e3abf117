package kafka

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// keeper makes a range of a named file safe.
type keeper func(name string, at int64, data []byte) error

// log is the directory in which kfake keeps a partition: segments named by
// their first offset, N.dat, of which the last is appended to. The index N.idx
// beside each is not kept safe: it holds only what leader elections and
// transactions need, and kfake opens a log without it. Only the syncer uses it.
type log struct {
	root, name string       // of the broker's directory; ours in it
	compacted  bool         // segments are rewritten
	synced     atomic.Int64 // everything before this offset is safe

	data *os.File // the newest segment, nil when it is not open
	info os.FileInfo
	base int64 // its first offset
	safe int64 // its bytes that are safe
	end  int64 // the offset after the last record in them
}

func newLog(root, topic string, partition int32, compacted bool) *log {
	name := filepath.Join("partitions", fmt.Sprintf("%s-%d", url.PathEscape(topic), partition))
	return &log{root: root, name: name, compacted: compacted}
}

// secure makes everything before an offset safe, which the broker has
// acknowledged: by handing keep what came since the last time, or by syncing
// all segments where it has lost track of them.
func (l *log) secure(next int64, buf []byte, keep keeper) error {
	for l.open() {
		if err := l.tail(next, buf, keep); err != nil || l.end >= next {
			return err
		}
		if moved, err := l.follow(); err != nil || !moved {
			break
		}
	}
	return l.syncSegments(next)
}

// open reports whether the open segment is still there.
func (l *log) open() bool {
	if l.data == nil {
		return false
	}
	info, err := os.Stat(l.data.Name())
	return err == nil && os.SameFile(info, l.info)
}

// tail hands on what the open segment has before next and is not yet safe.
func (l *log) tail(next int64, buf []byte, keep keeper) error {
	for {
		n, err := l.data.ReadAt(buf, l.safe)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		size, end := wholeBatches(buf[:n], next)
		if size == 0 {
			return nil
		}
		name := filepath.Join(l.name, filepath.Base(l.data.Name()))
		if err := keep(name, l.safe, buf[:size]); err != nil {
			return err
		}
		l.safe, l.end = l.safe+int64(size), end
	}
}

// wholeBatches returns how many bytes of Kafka's record batches
// (https://kafka.apache.org/documentation/#recordbatch) begin before an offset
// and are whole, and the offset after them.
func wholeBatches(data []byte, next int64) (size int, end int64) {
	const head, lengthAt, deltaAt = 61, 8, 23
	for len(data)-size >= head {
		batch := data[size:]
		first := int64(binary.BigEndian.Uint64(batch))
		length := int64(binary.BigEndian.Uint32(batch[lengthAt:])) + lengthAt + 4
		if first >= next || length < head || length > int64(len(batch)) {
			break
		}
		size += int(length)
		end = first + int64(binary.BigEndian.Uint32(batch[deltaAt:])) + 1
	}
	return size, end
}

// follow goes on in the next segment, if there is one.
func (l *log) follow() (bool, error) {
	bases, err := segmentsOf(l.dir())
	if err != nil {
		return false, err
	}
	n, found := slices.BinarySearch(bases, l.base+1)
	if !found && n == len(bases) {
		return false, nil
	}
	if err := l.data.Sync(); err != nil {
		return false, err
	}
	return true, l.openSegment(bases[n])
}

// syncSegments syncs the newest known segment and all after it, all of them the
// first time, and keeps the last one open. One that is gone was deleted.
func (l *log) syncSegments(next int64) error {
	bases, err := segmentsOf(l.dir())
	if err != nil {
		return err
	}
	for _, base := range bases {
		if base < l.base && !l.compacted {
			continue
		}
		err := l.openSegment(base)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			l.safe, l.end = l.info.Size(), next
			err = l.data.Sync()
		}
		if err != nil {
			return err
		}
	}
	if l.compacted {
		l.close()
	}
	return errors.Join(syncDir(l.dir()), syncDir(filepath.Dir(l.dir())))
}

func (l *log) dir() string { return filepath.Join(l.root, l.name) }

func (l *log) openSegment(base int64) error {
	l.close()
	data, err := os.OpenFile(filepath.Join(l.dir(), strconv.FormatInt(base, 10)+segmentSuffix), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := data.Stat()
	if err != nil {
		return errors.Join(err, data.Close())
	}
	l.data, l.info, l.base, l.safe, l.end = data, info, base, 0, 0
	return nil
}

// close closes what is open; nothing is lost if that fails.
func (l *log) close() {
	if l.data != nil {
		_ = l.data.Close()
		l.data, l.info = nil, nil
	}
}

// segmentSuffix ends the names of segments.
const segmentSuffix = ".dat"

// segmentsOf returns the first offsets of a partition's segments, ascending;
// none where there is no directory.
func segmentsOf(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var bases []int64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if base, err := strconv.ParseInt(name, 10, 64); ok && err == nil {
			bases = append(bases, base)
		}
	}
	slices.SortFunc(bases, cmp.Compare)
	return bases, nil
}

// syncDir brings the names in a directory to disk. Windows cannot, and need not.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// stateFile is one to which kfake appends what is no record, and which it
// rewrites now and then: the groups' commits, the producers' ids.
type stateFile struct {
	path string
	info os.FileInfo // as of the last sync
}

func stateFiles(root string) []*stateFile {
	return []*stateFile{{path: filepath.Join(root, "groups.log")}, {path: filepath.Join(root, "pids.log")}}
}

// sync syncs the file if it has changed.
func (s *stateFile) sync() error {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || s.info != nil && os.SameFile(info, s.info) && info.Size() == s.info.Size() {
		return err
	}
	if err := syncFile(s.path); err != nil {
		return err
	}
	if s.info == nil || !os.SameFile(info, s.info) {
		err = syncDir(filepath.Dir(s.path))
	}
	s.info = info
	return err
}
