package kafka

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
)

// errSyncerClosed ends the waits that come after the broker's last sync.
var errSyncerClosed = errors.New("the embedded broker is closed")

// maxBatchBytes bounds a record batch; kfake's default is 1 MiB and a little.
const maxBatchBytes = 2 << 20

// syncer makes what the embedded broker has written survive a power cut, once
// for all who wait for it (group commit: Gawlick and Kinkade, "Varieties of
// concurrency control in IMS/VS fast path", 1985): while one round runs,
// requests gather for the next. A round copies what is new in the segments of
// all partitions to the journal and syncs that one file.
//
// A record counts as written only when it is safe: producers are told then, and
// consumers get it then (Config.durable), so that nothing that follows from a
// record can survive it.
type syncer struct {
	root    string // kfake's data directory
	catalog string // the topic that is compacted, with prefix
	stop    context.CancelFunc
	wake    chan struct{}
	done    chan struct{} // closed when run has ended

	mu      sync.Mutex
	waiting []syncRequest   // guarded by mu
	logs    map[logKey]*log // guarded by mu
	failed  error           // guarded by mu: after a sync that failed none can be trusted
	closed  bool            // guarded by mu

	// The rest is run's.
	journal *journal
	state   []*stateFile
	dirty   map[string]bool // files with parts in the journal's current file
	flushed chan error      // has one when the other file's parts are where they belong
	buf     []byte
}

// logKey names a partition, its topic with prefix.
type logKey struct {
	topic     string
	partition int32
}

// syncRequest asks for everything before an offset; one without a log asks for
// the groups' commits.
type syncRequest struct {
	log  *log
	next int64
	done func(error)
}

// startSyncer syncs with the journal, which it closes in the end.
func startSyncer(ctx context.Context, root, catalog string, j *journal) *syncer {
	ctx, stop := context.WithCancel(ctx)
	s := &syncer{
		root: root, catalog: catalog, stop: stop, wake: make(chan struct{}, 1), done: make(chan struct{}),
		logs: map[logKey]*log{}, journal: j, dirty: map[string]bool{}, flushed: make(chan error, 1), buf: make([]byte, maxBatchBytes),
		state: stateFiles(root),
	}
	s.flushed <- nil
	go s.run(ctx)
	return s
}

// close secures what is waited for and ends.
func (s *syncer) close() error {
	s.stop()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// sync calls done, from another goroutine or at once, when all records of the
// partition before the offset, which the broker has acknowledged, are safe.
func (s *syncer) sync(topic string, partition int32, next int64, done func(error)) {
	l := s.log(topic, partition)
	if l.synced.Load() >= next {
		done(nil)
		return
	}
	s.request(syncRequest{l, next, done})
}

// syncCommits calls done when the commits that the broker has acknowledged are
// safe.
func (s *syncer) syncCommits(done func(error)) { s.request(syncRequest{done: done}) }

func (s *syncer) log(topic string, partition int32) *log {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := logKey{topic, partition}
	l, ok := s.logs[key]
	if !ok {
		l = newLog(s.root, topic, partition, topic == s.catalog)
		s.logs[key] = l
	}
	return l
}

func (s *syncer) request(r syncRequest) {
	s.mu.Lock()
	err := s.failed
	if err == nil && s.closed {
		err = errSyncerClosed
	}
	if err == nil {
		s.waiting = append(s.waiting, r)
	}
	s.mu.Unlock()
	if err != nil {
		r.done(err)
		return
	}
	notify(s.wake)
}

// run makes round after round until ctx ends, and one more.
func (s *syncer) run(ctx context.Context) {
	defer close(s.done)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.wake:
			s.round()
		}
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.round()
	if err := s.finish(); err != nil {
		_ = s.fail(err) // for close
	}
}

// round secures what is waited for, all at once.
func (s *syncer) round() {
	s.mu.Lock()
	requests, err := s.waiting, s.failed
	s.waiting = nil
	s.mu.Unlock()
	if len(requests) == 0 {
		return
	}
	if err == nil {
		if err = s.secure(requests); err != nil {
			err = s.fail(err)
		}
	}
	for i := range requests {
		requests[i].done(err)
	}
}

// fail makes all waits fail from now on: after a sync that failed nobody knows
// what is on disk.
func (s *syncer) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = fmt.Errorf("cannot sync the log; what was written last may not survive a power cut; mend the disk and start again: %w", err)
	return s.failed
}

func (s *syncer) secure(requests []syncRequest) error {
	upTo := map[*log]int64{}
	for i := range requests {
		if r := &requests[i]; r.log != nil && r.next > r.log.synced.Load() {
			upTo[r.log] = max(upTo[r.log], r.next)
		}
	}
	for l, next := range upTo {
		if err := l.secure(next, s.buf, s.keep); err != nil {
			return err
		}
	}
	if err := s.journal.sync(); err != nil {
		return err
	}
	for _, f := range s.state {
		if err := f.sync(); err != nil {
			return err
		}
	}
	for l, next := range upTo {
		l.synced.Store(next)
	}
	return nil
}

// keep writes a range of a file to the journal, in its other file when the one
// in hand is full.
func (s *syncer) keep(name string, at int64, data []byte) error {
	if !s.journal.fits(len(name) + len(data)) {
		if err := s.turn(); err != nil {
			return err
		}
	}
	s.dirty[name] = true
	return s.journal.append(name, at, data)
}

// turn goes on in the journal's other file once its parts are where they
// belong, and sees to those of this one meanwhile.
func (s *syncer) turn() error {
	if err := errors.Join(s.journal.sync(), <-s.flushed); err != nil {
		return err
	}
	s.journal.turn()
	dirty := s.dirty
	s.dirty = map[string]bool{}
	go func() { s.flushed <- s.flush(dirty) }()
	return nil
}

// flush syncs files that may have been deleted meanwhile, and what names them.
func (s *syncer) flush(names map[string]bool) error {
	for name := range names {
		path := filepath.Join(s.root, name)
		if err := syncFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := syncDir(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return nil
}

// finish brings everything to where it belongs and empties the journal.
func (s *syncer) finish() error {
	for _, l := range s.logs {
		l.close()
	}
	err := errors.Join(<-s.flushed, s.flush(s.dirty))
	if err == nil {
		err = s.journal.clear()
	}
	return errors.Join(err, s.journal.close())
}
