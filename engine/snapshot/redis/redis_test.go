package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/rapport-engine/rapport/engine/snapshot"
	"github.com/rapport-engine/rapport/engine/snapshot/snapshottest"
)

// The library looks every second whether a server that was away is back, and sees
// only then that its pool was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// server returns a way to open stores in one fresh server.
func server(t *testing.T) (open func() snapshot.Store) {
	m := miniredis.RunT(t)
	return func() snapshot.Store { return openStore(t, Options{Addrs: []string{m.Addr()}}) }
}

func openStore(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	snapshottest.Run(t, server)
}

func TestInterruptedSaves(t *testing.T) { interruptedSaves(t, server) }

// interruptedSaves stops large saves at every script, and expects the whole of
// either snapshot afterwards, for the same owner and for the next.
func interruptedSaves(t *testing.T, server func(t *testing.T) func() snapshot.Store) {
	crash := errors.New("crash")
	for stop := range 7 { // 3 journal, 1 count, 3 apply
		t.Run(fmt.Sprint("at step ", stop), func(t *testing.T) {
			ctx := context.Background()
			s := server(t)().(*Store)
			defer s.Close()
			meta, err := s.Acquire(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			first := follower(meta, 10)
			if err := s.Save(ctx, 0, meta, first, generation(1)); err != nil {
				t.Fatal(err)
			}
			step, last := 0, ""
			s.interrupt = func(name string) error {
				if step++; step > stop {
					last = name
					return crash
				}
				return nil
			}
			second := follower(first, 20)
			err = s.Save(ctx, 0, first, second, generation(2))
			s.interrupt = nil
			if (err == nil) != (last == "apply") || err != nil && !errors.Is(err, crash) {
				t.Fatalf("interrupted in %s: error %v", last, err)
			}
			want, generation2 := first, 1
			if last == "apply" {
				want, generation2 = second, 2
			}
			// Readers see one of them, whole.
			for _, b := range generation(2) {
				checkBlob(t, s, b.ID, generation2, want)
			}
			if stop%2 == 0 {
				// The same owner repeats the save.
				if err := s.Save(ctx, 0, first, second, generation(2)); err != nil {
					t.Fatal(err)
				}
				want, generation2 = second, 2
			}
			next, err := s.Acquire(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			if next.Number != want.Number || next.Offset != want.Offset {
				t.Errorf("took over snapshot %d/%d, want %d/%d", next.Number, next.Offset, want.Number, want.Offset)
			}
			checkAll(t, s, generation2)
			if err := s.Save(ctx, 0, next, follower(next, 30), generation(3)); err != nil {
				t.Fatal(err)
			}
			checkAll(t, s, 3)
			if err := s.Save(ctx, 0, second, follower(second, 40), generation(4)); !errors.Is(err, snapshot.ErrFenced) {
				t.Errorf("the former owner: %v, want ErrFenced", err)
			}
			checkAll(t, s, 3)
		})
	}
}

func follower(m snapshot.Meta, offset int64) snapshot.Meta {
	return snapshot.Meta{Epoch: m.Epoch, Number: m.Number + 1, Offset: offset, State: []byte("state")}
}

// generation makes 250 blobs whose data tells the generation; a tenth of them
// is deleted, another tenth in each.
func generation(g int) []snapshot.Blob {
	blobs := make([]snapshot.Blob, 250)
	for i := range blobs {
		blobs[i].ID = fmt.Sprint("user:", i)
		if i%10 != g {
			blobs[i].Data = fmt.Appendf(nil, "%d of %d", i, g)
		}
	}
	return blobs
}

func checkBlob(t *testing.T, s *Store, id string, g int, want snapshot.Meta) {
	t.Helper()
	data, meta, err := s.Get(context.Background(), 0, id)
	for _, b := range generation(g) {
		switch {
		case b.ID != id:
		case b.Data == nil && !errors.Is(err, snapshot.ErrNotFound):
			t.Fatalf("%s: %q, %v; want it deleted", id, data, err)
		case b.Data != nil && (err != nil || string(data) != string(b.Data) || meta.Number != want.Number):
			t.Fatalf("%s: %q of %d, %v; want %q of %d", id, data, meta.Number, err, b.Data, want.Number)
		}
	}
}

func checkAll(t *testing.T, s *Store, g int) {
	t.Helper()
	got := map[string]string{}
	err := s.Load(context.Background(), 0, func(id string, data []byte) error {
		got[id] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range generation(g) {
		if b.Data != nil {
			n++
			if got[b.ID] != string(b.Data) {
				t.Fatalf("%s: %q, want %q", b.ID, got[b.ID], b.Data)
			}
		}
	}
	if len(got) != n {
		t.Errorf("%d blobs, want %d", len(got), n)
	}
}

func TestUnavailable(t *testing.T) {
	s := openStore(t, Options{Addrs: []string{"127.0.0.1:1"}, Timeout: 200 * time.Millisecond})
	defer s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := s.Acquire(ctx, 0); err == nil {
		t.Error("acquired from nowhere")
	}
	if _, _, err := s.Get(ctx, 0, "a"); err == nil || errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("error %v: nothing is known", err)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no address was accepted")
	}
}

func TestDamagedHead(t *testing.T) {
	m := miniredis.RunT(t)
	s := openStore(t, Options{Addrs: []string{m.Addr()}})
	defer s.Close()
	sp := s.partition(0)
	m.HSet(sp.head(), "meta", "{", "number", "x")
	if _, err := s.Acquire(context.Background(), 0); err == nil {
		t.Error("a damaged head was accepted")
	}
	if err := m.Set(s.objectKey("model"), `{"write":"w","pieces":2,"size":5}`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetObject(context.Background(), "model"); err == nil {
		t.Error("an object without its pieces was accepted")
	}
}

// What may be gone at the next try is told from what is wrong.
func TestAServerThatIsAwayIsUnavailable(t *testing.T) {
	m := miniredis.RunT(t)
	s := openStore(t, Options{Addrs: []string{m.Addr()}, Timeout: 200 * time.Millisecond})
	defer s.Close()
	ctx := context.Background()
	if _, err := s.Acquire(ctx, 0); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"Acquire":    func() error { _, err := s.Acquire(ctx, 0); return err },
		"Load":       func() error { return s.Load(ctx, 0, func(string, []byte) error { return nil }) },
		"Get":        func() error { _, _, err := s.Get(ctx, 0, "user:1"); return err },
		"GetObject":  func() error { _, err := s.GetObject(ctx, "rules"); return err },
		"LoadItems":  func() error { _, err := s.LoadItems(ctx, func(string, []byte) error { return nil }); return err },
		"partitions": func() error { return s.CheckPartitions(ctx, 1) },
	}
	for answer, passes := range map[string]bool{"LOADING Redis is loading": true, "READONLY You can't write": true, "WRONGTYPE a bug": false} {
		m.SetError(answer)
		for name, call := range calls {
			if err := call(); err == nil || errors.Is(err, snapshot.ErrUnavailable) != passes {
				t.Errorf("%s, answered %q: %v", name, answer, err)
			}
		}
	}
	m.SetError("")
	m.Close()
	for name, call := range calls {
		if err := call(); !errors.Is(err, snapshot.ErrUnavailable) {
			t.Errorf("%s without a server: %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Acquire(ended, 0); errors.Is(err, snapshot.ErrUnavailable) {
		t.Errorf("a call that was given up is no server that is away: %v", err)
	}
}
