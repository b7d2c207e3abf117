// Package snapshottest is the suite that every snapshot.Store passes.
package snapshottest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/engine/snapshot"
)

// Run runs the suite. open opens the same, at first empty, store each time that
// it is called within one test; the suite closes what it opened.
func Run(t *testing.T, newStore func(t *testing.T) (open func() snapshot.Store)) {
	tests := []struct {
		name string
		run  func(t *testing.T, open func() snapshot.Store)
	}{
		{"empty", empty},
		{"save and load", saveAndLoad},
		{"delete", deleteBlob},
		{"large save", largeSave},
		{"partitions apart", partitionsApart},
		{"epochs grow", epochsGrow},
		{"fenced", fenced},
		{"diverged", diverged},
		{"wrong successor", wrongSuccessor},
		{"get", getBlob},
		{"get while saving", getWhileSaving},
		{"head", head},
		{"objects", objects},
		{"items", items},
		{"partition count", partitionCount},
		{"cancelled", cancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, newStore(t)) })
	}
}

// session opens the store for the rest of the test or until close is called.
func session(t *testing.T, open func() snapshot.Store) (s snapshot.Store, close func()) {
	t.Helper()
	s = open()
	closed := false
	close = func() {
		if closed {
			return
		}
		closed = true
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(close)
	return s, close
}

func acquire(t *testing.T, s snapshot.Store, partition int32) snapshot.Meta {
	t.Helper()
	meta, err := s.Acquire(context.Background(), partition)
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

// follow is the Meta of the snapshot after prev.
func follow(prev snapshot.Meta, offset int64) snapshot.Meta {
	return snapshot.Meta{
		Epoch: prev.Epoch, Number: prev.Number + 1, Offset: offset,
		LeaderEpoch: 3, TopicID: "topic", Fold: 7, At: 1000 + offset,
		State: []byte(fmt.Sprintf("state\x00at %d", offset)),
	}
}

// save saves n+1 of prev, which must succeed, and returns it.
func save(t *testing.T, s snapshot.Store, partition int32, prev snapshot.Meta, offset int64, blobs ...snapshot.Blob) snapshot.Meta {
	t.Helper()
	next := follow(prev, offset)
	if err := s.Save(context.Background(), partition, prev, next, blobs); err != nil {
		t.Fatal(err)
	}
	return next
}

func blob(id, data string) snapshot.Blob { return snapshot.Blob{ID: id, Data: []byte(data)} }

func load(t *testing.T, s snapshot.Store, partition int32) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := s.Load(context.Background(), partition, func(id string, data []byte) error {
		if _, twice := got[id]; twice {
			t.Errorf("%q was loaded twice", id)
		}
		got[id] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func want(t *testing.T, got, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}

func empty(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	meta := acquire(t, s, 4)
	if meta.Epoch < 1_000_000_000_000 {
		t.Errorf("epoch %d is no time in ms", meta.Epoch)
	}
	meta.Epoch = 0
	if diff := cmp.Diff(snapshot.Meta{}, meta); diff != "" {
		t.Errorf("meta of an empty store (-want +got):\n%s", diff)
	}
	want(t, load(t, s, 4), map[string]string{})
}

func saveAndLoad(t *testing.T, open func() snapshot.Store) {
	s, closeStore := session(t, open)
	meta := acquire(t, s, 0)
	meta = save(t, s, 0, meta, 10, blob("user:1", "one"), blob("user:2", "two"), blob("", "no name"))
	meta = save(t, s, 0, meta, 10) // a snapshot without changes
	meta = save(t, s, 0, meta, 25, blob("user:2", "zwei"), blob("ключ:\x00\xff", "\x00\xff"), blob("user:3", ""))
	closeStore()

	s, _ = session(t, open)
	got := acquire(t, s, 0)
	if got.Epoch <= meta.Epoch {
		t.Errorf("epoch %d after %d", got.Epoch, meta.Epoch)
	}
	got.Epoch = meta.Epoch
	if diff := cmp.Diff(meta, got); diff != "" {
		t.Errorf("meta (-want +got):\n%s", diff)
	}
	want(t, load(t, s, 0), map[string]string{
		"user:1": "one", "user:2": "zwei", "": "no name", "ключ:\x00\xff": "\x00\xff", "user:3": "",
	})
	failing := errors.New("enough")
	wantErr(t, s.Load(context.Background(), 0, func(string, []byte) error { return failing }), failing)
}

func deleteBlob(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	meta := save(t, s, 0, acquire(t, s, 0), 1, blob("a", "1"), blob("b", "2"))
	meta = save(t, s, 0, meta, 2, snapshot.Blob{ID: "a"}, snapshot.Blob{ID: "unknown"})
	want(t, load(t, s, 0), map[string]string{"b": "2"})
	// Deleted in a save of many, too.
	many := make([]snapshot.Blob, 0, 1001)
	all := map[string]string{}
	for i := range 1000 {
		id := fmt.Sprint("id", i)
		many, all[id] = append(many, blob(id, "x")), "x"
	}
	save(t, s, 0, meta, 3, append(many, snapshot.Blob{ID: "b"})...)
	want(t, load(t, s, 0), all)
}

func largeSave(t *testing.T, open func() snapshot.Store) {
	s, closeStore := session(t, open)
	meta := acquire(t, s, 1)
	all := map[string]string{}
	for round := range 3 {
		var blobs []snapshot.Blob
		for i := 0; i < 2500; i += 1 + round {
			id := fmt.Sprintf("user:%d", i)
			data := fmt.Sprintf("%d in round %d %s", i, round, bytes.Repeat([]byte("x"), i%700))
			blobs, all[id] = append(blobs, blob(id, data)), data
		}
		meta = save(t, s, 1, meta, int64(round+1)*100, blobs...)
		want(t, load(t, s, 1), all)
	}
	closeStore()
	s, _ = session(t, open)
	if got := acquire(t, s, 1); got.Number != 3 || got.Offset != 300 {
		t.Errorf("reopened at snapshot %d, offset %d", got.Number, got.Offset)
	}
	want(t, load(t, s, 1), all)
}

func partitionsApart(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	for p := range int32(3) {
		meta := acquire(t, s, p)
		save(t, s, p, meta, int64(p)+1, blob("same id", fmt.Sprint(p)))
	}
	for p := range int32(3) {
		want(t, load(t, s, p), map[string]string{"same id": fmt.Sprint(p)})
	}
	want(t, load(t, s, 3), map[string]string{})
}

func epochsGrow(t *testing.T, open func() snapshot.Store) {
	s, closeStore := session(t, open)
	last := int64(0)
	for range 50 { // faster than the clock's milliseconds
		meta := acquire(t, s, 0)
		if meta.Epoch <= last {
			t.Fatalf("epoch %d after %d", meta.Epoch, last)
		}
		last = meta.Epoch
	}
	closeStore()
	s, _ = session(t, open)
	if meta := acquire(t, s, 0); meta.Epoch <= last {
		t.Errorf("epoch %d after %d and a restart", meta.Epoch, last)
	}
}

func fenced(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	old := save(t, s, 0, acquire(t, s, 0), 10, blob("a", "first"))
	current := acquire(t, s, 0)
	if current.Offset != 10 || current.Number != old.Number {
		t.Errorf("took over at %d/%d", current.Number, current.Offset)
	}
	err := s.Save(context.Background(), 0, old, follow(old, 20), []snapshot.Blob{blob("a", "zombie")})
	wantErr(t, err, snapshot.ErrFenced)
	many := make([]snapshot.Blob, 500)
	for i := range many {
		many[i] = blob(fmt.Sprint("zombie", i), "zombie")
	}
	wantErr(t, s.Save(context.Background(), 0, old, follow(old, 30), many), snapshot.ErrFenced)
	want(t, load(t, s, 0), map[string]string{"a": "first"})
	save(t, s, 0, current, 20, blob("a", "second"))
	want(t, load(t, s, 0), map[string]string{"a": "second"})
}

func diverged(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	meta := save(t, s, 0, acquire(t, s, 0), 10, blob("a", "first"))
	for name, prev := range map[string]snapshot.Meta{
		"number ahead": {Epoch: meta.Epoch, Number: meta.Number + 1, Offset: 10},
		"offset ahead": {Epoch: meta.Epoch, Number: meta.Number, Offset: 11},
		"epoch ahead":  {Epoch: meta.Epoch + 1, Number: meta.Number, Offset: 10},
		"behind":       {Epoch: meta.Epoch, Number: 0, Offset: 0},
	} {
		err := s.Save(context.Background(), 0, prev, follow(prev, 40), []snapshot.Blob{blob("a", name)})
		if !errors.Is(err, snapshot.ErrDiverged) {
			t.Errorf("%s: error %v, want ErrDiverged", name, err)
		}
	}
	want(t, load(t, s, 0), map[string]string{"a": "first"})
	// A partition that the store knows nothing of.
	err := s.Save(context.Background(), 9, meta, follow(meta, 40), nil)
	wantErr(t, err, snapshot.ErrDiverged)
}

func wrongSuccessor(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	meta := save(t, s, 0, acquire(t, s, 0), 10)
	good := follow(meta, 20)
	for name, change := range map[string]func(m *snapshot.Meta){
		"same number":   func(m *snapshot.Meta) { m.Number = meta.Number },
		"another epoch": func(m *snapshot.Meta) { m.Epoch++ },
	} {
		bad := good
		change(&bad)
		if err := s.Save(context.Background(), 0, meta, bad, nil); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	save(t, s, 0, meta, 20)
}

func getBlob(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	ctx := context.Background()
	_, none, err := s.Get(ctx, 0, "a")
	wantErr(t, err, snapshot.ErrNotFound)
	if !none.Same(snapshot.Meta{}) {
		t.Errorf("an empty store has snapshot %+v", none)
	}
	meta := save(t, s, 0, acquire(t, s, 0), 10, blob("a", "first"))
	check := func(id, data string) {
		t.Helper()
		got, m, err := s.Get(ctx, 0, id)
		if err != nil || string(got) != data {
			t.Fatalf("%q is %q, %v; want %q", id, got, err, data)
		}
		if !m.Same(meta) || m.TopicID != meta.TopicID || m.At != meta.At {
			t.Errorf("%q is of %+v, want %+v", id, m, meta)
		}
	}
	check("a", "first")
	var many []snapshot.Blob
	for i := range 300 {
		many = append(many, blob(fmt.Sprint("b", i), fmt.Sprint(i)))
	}
	meta = save(t, s, 0, meta, 20, many...)
	check("a", "first")
	check("b299", "299")
	meta = save(t, s, 0, meta, 30, snapshot.Blob{ID: "a"})
	_, got, err := s.Get(ctx, 0, "a")
	wantErr(t, err, snapshot.ErrNotFound)
	if !got.Same(meta) {
		t.Errorf("what is not there is missing in %+v, want %+v", got, meta)
	}
	// Whoever takes over changes the epoch that a blob comes with.
	next := acquire(t, s, 0)
	if _, got, err = s.Get(ctx, 0, "b1"); err != nil || !got.Same(next) {
		t.Errorf("after taking over it is of %+v, %v; want %+v", got, err, next)
	}
}

// getWhileSaving reads what saves in progress do not touch, and what they
// replace: each answer is of one snapshot.
func getWhileSaving(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	ctx := context.Background()
	const rounds, size = 5, 250
	meta := save(t, s, 0, acquire(t, s, 0), 1, blob("still", "x"), blob("b0", "0"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for round := 1; round <= rounds; round++ {
			blobs := make([]snapshot.Blob, size)
			for i := range blobs {
				blobs[i] = blob(fmt.Sprint("b", i), fmt.Sprint(round))
			}
			next := follow(meta, int64(round+1))
			if err := s.Save(ctx, 0, meta, next, blobs); err != nil {
				t.Error(err)
				return
			}
			meta = next
		}
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		data, m, err := s.Get(ctx, 0, "b0")
		if err != nil || string(data) != fmt.Sprint(m.Number-1) {
			t.Fatalf("snapshot %d has %q, %v", m.Number, data, err)
		}
		if data, _, err = s.Get(ctx, 0, "still"); err != nil || string(data) != "x" {
			t.Fatalf("what no save touches is %q, %v", data, err)
		}
	}
	all := load(t, s, 0)
	if len(all) != size+1 || all["still"] != "x" || all[fmt.Sprint("b", size-1)] != fmt.Sprint(rounds) {
		t.Errorf("loaded %d blobs; the last is %q", len(all), all[fmt.Sprint("b", size-1)])
	}
}

func head(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	check := func(want snapshot.Meta) {
		t.Helper()
		got, err := s.Head(context.Background(), 3)
		if err != nil || !got.Same(want) || got.TopicID != want.TopicID || got.At != want.At || got.State != nil {
			t.Errorf("head %+v, %v; want %+v", got, err, want)
		}
	}
	check(snapshot.Meta{})
	meta := acquire(t, s, 3)
	check(meta)
	check(save(t, s, 3, meta, 10, blob("a", "1")))
	check(acquire(t, s, 3))
	save(t, s, 2, acquire(t, s, 2), 99)
	check(acquire(t, s, 3))
}

func objects(t *testing.T, open func() snapshot.Store) {
	s, closeStore := session(t, open)
	ctx := context.Background()
	_, err := s.GetObject(ctx, "model")
	wantErr(t, err, snapshot.ErrNotFound)
	large := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB
	all := map[string][]byte{"model": large, "rules": []byte("a: 1"), "empty": {}}
	for name, data := range all {
		if err := s.PutObject(ctx, name, data); err != nil {
			t.Fatal(err)
		}
	}
	all["model"] = append(large[:1<<20:1<<20], "shorter"...)
	if err := s.PutObject(ctx, "model", all["model"]); err != nil {
		t.Fatal(err)
	}
	closeStore()
	s, _ = session(t, open)
	for name, data := range all {
		got, err := s.GetObject(ctx, name)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v; want %d bytes", name, len(got), err, len(data))
		}
	}
}

func loadItems(t *testing.T, s snapshot.Store) (map[string]string, int64) {
	t.Helper()
	got := map[string]string{}
	offset, err := s.LoadItems(context.Background(), func(id string, data []byte) error {
		got[id] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, offset
}

func items(t *testing.T, open func() snapshot.Store) {
	s, closeStore := session(t, open)
	ctx := context.Background()
	got, offset := loadItems(t, s)
	if len(got) != 0 || offset != 0 {
		t.Errorf("an empty store has %v at %d", got, offset)
	}
	many := []snapshot.Blob{blob("x", "1")}
	all := map[string]string{"x": "1"}
	for i := range 1200 {
		id := fmt.Sprint("item", i)
		many, all[id] = append(many, blob(id, "data")), "data"
	}
	if err := s.SaveItems(ctx, 0, 7, many); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveItems(ctx, 7, 9, []snapshot.Blob{blob("x", "2"), {ID: "item5"}}); err != nil {
		t.Fatal(err)
	}
	all["x"] = "2"
	delete(all, "item5")
	wantErr(t, s.SaveItems(ctx, 7, 12, []snapshot.Blob{blob("x", "stale")}), snapshot.ErrDiverged)
	wantErr(t, s.SaveItems(ctx, 10, 12, []snapshot.Blob{blob("x", "ahead")}), snapshot.ErrDiverged)
	closeStore()
	s, _ = session(t, open)
	got, offset = loadItems(t, s)
	if !maps.Equal(got, all) || offset != 9 {
		t.Errorf("%d items at %d, x = %q; want %d at 9", len(got), offset, got["x"], len(all))
	}
}

func partitionCount(t *testing.T, open func() snapshot.Store) {
	s, closeStore := session(t, open)
	ctx := context.Background()
	if err := s.CheckPartitions(ctx, 16); err != nil {
		t.Fatal(err)
	}
	closeStore()
	s, _ = session(t, open)
	if err := s.CheckPartitions(ctx, 16); err != nil {
		t.Error(err)
	}
	wantErr(t, s.CheckPartitions(ctx, 8), snapshot.ErrPartitions)
	if err := s.CheckPartitions(ctx, 16); err != nil {
		t.Error(err)
	}
}

func cancelled(t *testing.T, open func() snapshot.Store) {
	s, _ := session(t, open)
	meta := save(t, s, 0, acquire(t, s, 0), 10, blob("a", "1"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Load(ctx, 0, func(string, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("loading with a cancelled context: %v", err)
	}
	save(t, s, 0, meta, 20, blob("a", "2"))
}
