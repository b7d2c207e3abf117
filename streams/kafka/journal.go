package kafka

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// journal is a redo log (Mohan et al., "ARIES", 1992) of what kfake appends to
// its many files: one file to sync, with a size that no longer changes, instead
// of all of them with their metadata. Two files take turns: one is written while
// what is in the other is brought to where it belongs. Their space is reserved,
// so that a disk that fills up refuses what kfake writes, which the producer is
// told, and never what it has acknowledged.
//
// A file is a row of frames, numbered without a gap through both files; what
// follows the last frame is of an earlier turn. A frame, little endian:
//
//	4 bytes CRC-32C of the rest | 4 bytes length of name and data | 8 bytes number
//	8 bytes position in the named file | 2 bytes length of the name | name | data
type journal struct {
	files   [2]*os.File
	limit   int64 // bytes of a file
	current int   // the file that is written to
	at      int64 // position in it
	next    uint64
	frame   []byte // reused
}

const frameHead = 4 + 4 + 8 + 8 + 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal writes what the journal in dir holds to the files under root,
// which nobody may have open, syncs them, and starts anew.
func openJournal(dir, root string, limit int64) (*journal, error) {
	j := &journal{limit: limit}
	var frames []journalFrame
	for n := range j.files {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("journal.%d", n)), os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, errors.Join(err, j.close())
		}
		j.files[n] = f
		data, err := os.ReadFile(f.Name())
		if err != nil {
			return nil, errors.Join(err, j.close())
		}
		frames = append(frames, framesOf(data)...)
	}
	if err := j.redo(frames, root); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot redo the journal in %q: %w", dir, err), j.close())
	}
	for _, f := range j.files {
		if err := reserve(f, limit); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot reserve %d bytes for the journal %q: %w", limit, f.Name(), err), j.close())
		}
	}
	if err := errors.Join(j.clear(), syncDir(dir)); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// clear forgets all frames: they are where they belong. Numbers go on from the
// time, so that no frame of before can follow one from now on.
func (j *journal) clear() error {
	j.current, j.at = 0, 0
	j.next = max(j.next, uint64(time.Now().UnixNano()))
	var errs []error
	for _, f := range j.files {
		_, err := f.WriteAt(make([]byte, frameHead), 0)
		errs = append(errs, err, syncData(f))
	}
	return errors.Join(errs...)
}

// journalFrame is one range of a file, its name relative to the root.
type journalFrame struct {
	number uint64
	name   string
	at     int64
	data   []byte
}

// framesOf returns the frames at the beginning of a file, which follow each other.
func framesOf(file []byte) (frames []journalFrame) {
	for len(file) >= frameHead {
		length := int(binary.LittleEndian.Uint32(file[4:]))
		nameLength := int(binary.LittleEndian.Uint16(file[24:]))
		if length > len(file)-frameHead || nameLength > length {
			break
		}
		body := file[frameHead : frameHead+length]
		f := journalFrame{
			number: binary.LittleEndian.Uint64(file[8:]), at: int64(binary.LittleEndian.Uint64(file[16:])),
			name: string(body[:nameLength]), data: body[nameLength:],
		}
		if crc32.Checksum(file[4:frameHead+length], castagnoli) != binary.LittleEndian.Uint32(file) ||
			len(frames) > 0 && f.number != frames[len(frames)-1].number+1 {
			break
		}
		frames = append(frames, f)
		file = file[frameHead+length:]
	}
	return frames
}

// redo writes all frames where they belong, in the order of their numbers.
func (j *journal) redo(frames []journalFrame, root string) error {
	slices.SortFunc(frames, func(a, b journalFrame) int { return cmp.Compare(a.number, b.number) })
	touched := map[string]bool{}
	for i := range frames {
		f := &frames[i]
		j.next = f.number + 1
		if !filepath.IsLocal(f.name) || f.at < 0 {
			return fmt.Errorf("frame %d names %q at %d", f.number, f.name, f.at)
		}
		path := filepath.Join(root, f.name)
		written, err := redoFrame(path, f)
		if err != nil {
			return err
		}
		touched[path] = touched[path] || written
	}
	for path, written := range touched {
		if !written {
			continue
		}
		if err := syncFile(path); err != nil {
			return err
		}
		if err := errors.Join(syncDir(filepath.Dir(path)), syncDir(filepath.Dir(filepath.Dir(path)))); err != nil {
			return err
		}
	}
	return nil
}

// redoFrame writes one frame. A file that is not there was not yet known to the
// disk if the frame is its beginning, else it has been deleted since.
func redoFrame(path string, f *journalFrame) (bool, error) {
	flags := os.O_WRONLY
	if f.at == 0 {
		flags |= os.O_CREATE
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return false, err
		}
	}
	file, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = file.WriteAt(f.data, f.at)
	return true, errors.Join(err, file.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// fits reports whether a frame with so many bytes of name and data fits into
// the file that is written to.
func (j *journal) fits(bytes int) bool { return j.at+frameHead+int64(bytes) <= j.limit }

// turn goes on in the other file, from its beginning: what that holds is where
// it belongs.
func (j *journal) turn() { j.current, j.at = 1-j.current, 0 }

// append writes a frame, unsynced.
func (j *journal) append(name string, at int64, data []byte) error {
	j.frame = append(append(append(j.frame[:0], make([]byte, frameHead)...), name...), data...)
	b := j.frame
	binary.LittleEndian.PutUint32(b[4:], uint32(len(name)+len(data)))
	binary.LittleEndian.PutUint64(b[8:], j.next)
	binary.LittleEndian.PutUint64(b[16:], uint64(at))
	binary.LittleEndian.PutUint16(b[24:], uint16(len(name)))
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	if _, err := j.files[j.current].WriteAt(b, j.at); err != nil {
		return err
	}
	j.next++
	j.at += int64(len(b))
	return nil
}

// sync brings what was appended to disk.
func (j *journal) sync() error { return syncData(j.files[j.current]) }

// close closes the files; there may be no journal.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	var errs []error
	for _, f := range j.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
