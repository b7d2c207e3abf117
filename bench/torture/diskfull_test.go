//go:build integration && linux

package torture_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine/snapshot/pebble"
)

// TestDiskFull fills the disk under a process, over and over, makes space again,
// and kills the process in between.
func TestDiskFull(t *testing.T) {
	r := newRun(t)
	data := filepath.Join(r.dir, "data")
	mountSmall(t, data)
	p := newProcess(t, "one", r.dir, append(r.settings("one"), "--data", data)...)
	r.load.URL = func(uint64) string { return p.address() }
	p.spawn()
	if !p.listening() {
		t.FailNow()
	}
	r.during(func() {
		for round := range 3 {
			wait(2*time.Second, nil)
			_, before, _, _ := r.load.Answers()
			fill(t, filepath.Join(data, "ballast"))
			r.untilAway(before)
			r.count("disk full")
			wait(time.Duration(r.random.Int64N(int64(3*time.Second))), nil)
			if round == 1 {
				began := time.Now()
				p.kill()
				r.fault("kill -9 with a full disk", began)
			}
			if err := os.Remove(filepath.Join(data, "ballast")); err != nil {
				t.Error(err)
			}
			if round == 1 {
				p.spawn()
			}
			r.untilTaken()
		}
	})
	r.settle()
	known := r.ask(func(int) string { return p.address() })
	p.stop()
	log := readEmbedded(t, data)
	store, err := pebble.Open(filepath.Join(data, "snapshots"), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r.compare(log, known, store)
}

// mountSmall mounts a file system of its own, which is soon full.
func mountSmall(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=192m")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("only root may mount a small file system: a full disk is not tried")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fill writes a file until there is no space left.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for chunk := make([]byte, 1<<20); len(chunk) > 0; chunk = chunk[:len(chunk)/2] {
		for err = nil; err == nil; {
			_, err = file.Write(chunk)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// untilAway waits until events are refused.
func (r *run) untilAway(before int64) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for _, away, _, _ := r.load.Answers(); away == before; _, away, _, _ = r.load.Answers() {
		if time.Now().After(deadline) {
			r.t.Error("a full disk refuses no events after a minute")
			return
		}
		wait(20*time.Millisecond, nil)
	}
}

// untilTaken waits until events are acknowledged again.
func (r *run) untilTaken() {
	r.t.Helper()
	before, _, _, _ := r.load.Answers()
	deadline := time.Now().Add(time.Minute)
	for done, _, _, _ := r.load.Answers(); done == before; done, _, _, _ = r.load.Answers() {
		if time.Now().After(deadline) {
			r.t.Error("no event is taken a minute after there is space again")
			return
		}
		wait(20*time.Millisecond, nil)
	}
}
