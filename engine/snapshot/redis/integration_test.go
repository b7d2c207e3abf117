//go:build integration

package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/engine/snapshot/redis/redistest"
	"github.com/rapport-engine/rapport/engine/snapshot/snapshottest"
)

func realServer(t *testing.T) func() snapshot.Store {
	s := redistest.Start(t)
	return func() snapshot.Store { return openStore(t, Options{Addrs: []string{s.Addr()}}) }
}

func realCluster(t *testing.T) func() snapshot.Store {
	s := redistest.StartCluster(t)
	return func() snapshot.Store { return openStore(t, Options{Addrs: []string{s.Addr()}, Cluster: true}) }
}

func TestRealServer(t *testing.T)             { snapshottest.Run(t, realServer) }
func TestRealCluster(t *testing.T)            { snapshottest.Run(t, realCluster) }
func TestRealServerInterrupted(t *testing.T)  { interruptedSaves(t, realServer) }
func TestRealClusterInterrupted(t *testing.T) { interruptedSaves(t, realCluster) }

func TestRealServerKilled(t *testing.T) {
	server := redistest.Start(t)
	s := openStore(t, Options{Addrs: []string{server.Addr()}, Timeout: time.Second})
	defer s.Close()
	ctx := context.Background()
	meta, err := s.Acquire(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		next := follower(meta, int64(round+1)*10)
		if err := s.Save(ctx, 0, meta, next, generation(round+1)); err != nil {
			t.Fatal(err)
		}
		meta = next
		server.Kill()
		if err := s.Save(ctx, 0, meta, follower(meta, 99), nil); err == nil || errors.Is(err, snapshot.ErrDiverged) || errors.Is(err, snapshot.ErrFenced) {
			t.Fatalf("saved to a server that is gone: %v", err)
		}
		server.Run()
		checkAll(t, s, round+1)
	}
}

// A server that hangs is not waited for beyond the caller's deadline.
func TestRealServerHangs(t *testing.T) {
	server := redistest.Start(t)
	s := openStore(t, Options{Addrs: []string{server.Addr()}})
	defer s.Close()
	meta, err := s.Acquire(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	server.Pause()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	err = s.Save(ctx, 0, meta, follower(meta, 10), generation(1))
	server.Resume()
	if err == nil {
		t.Error("a server that hangs has saved")
	}
	// Whether it was written after all or not, the same save can be repeated.
	if err := s.Save(context.Background(), 0, meta, follower(meta, 10), generation(1)); err != nil {
		t.Error(err)
	}
	checkAll(t, s, 1)
}

// A server that comes back with older data, as after a failover, is noticed.
func TestRealServerRolledBack(t *testing.T) {
	server := redistest.Start(t)
	s := openStore(t, Options{Addrs: []string{server.Addr()}, Timeout: time.Second})
	defer s.Close()
	ctx := context.Background()
	meta, err := s.Acquire(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	first := follower(meta, 10)
	if err := s.Save(ctx, 0, meta, first, generation(1)); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	old := t.TempDir()
	copyFiles(t, filepath.Join(server.Dir(), "appendonlydir"), old)
	server.Run()
	second := follower(first, 20)
	if err := s.Save(ctx, 0, first, second, generation(2)); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	copyFiles(t, old, filepath.Join(server.Dir(), "appendonlydir"))
	server.Run()
	if err := s.Save(ctx, 0, second, follower(second, 30), generation(3)); !errors.Is(err, snapshot.ErrDiverged) {
		t.Errorf("error %v, want ErrDiverged", err)
	}
	again, err := s.Acquire(ctx, 0)
	if err != nil || again.Offset != 10 || again.Epoch <= meta.Epoch {
		t.Errorf("%+v, %v; want offset 10 and a newer epoch", again, err)
	}
	checkAll(t, s, 1)
}

func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkSave saves 2,500 profiles of 1.5 KB at a time.
func BenchmarkSave(b *testing.B) {
	server := redistest.Start(b)
	s, err := New(Options{Addrs: []string{server.Addr()}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	meta, err := s.Acquire(context.Background(), 0)
	if err != nil {
		b.Fatal(err)
	}
	blobs := make([]snapshot.Blob, 2500)
	for i := range blobs {
		blobs[i] = snapshot.Blob{ID: fmt.Sprint("user:", i), Data: make([]byte, 1500)}
	}
	for b.Loop() {
		next := follower(meta, meta.Offset+1)
		if err := s.Save(context.Background(), 0, meta, next, blobs); err != nil {
			b.Fatal(err)
		}
		meta = next
	}
	b.ReportMetric(float64(b.N*len(blobs))/b.Elapsed().Seconds(), "profiles/s")
}
