package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// cutPower returns a copy of a broker's directory as a power cut may leave it:
// of the files that the journal has parts of, only what was there before.
func cutPower(t testing.TB, dir string) string {
	t.Helper()
	image := t.TempDir()
	if err := os.CopyFS(image, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	before := map[string]int64{}
	for n := range 2 {
		data, err := os.ReadFile(filepath.Join(image, fmt.Sprintf("journal.%d", n)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range framesOf(data) {
			if at, ok := before[f.name]; !ok || f.at < at {
				before[f.name] = f.at
			}
		}
	}
	if len(before) == 0 {
		t.Fatal("the journal is empty")
	}
	for name, size := range before {
		path := filepath.Join(image, "log", name)
		err := os.Truncate(path, size)
		if size == 0 {
			err = os.Remove(path) // not even its name was on disk
		}
		if err := errors.Join(err, os.RemoveAll(filepath.Join(image, "log", name[:len(name)-len(segmentSuffix)]+".idx"))); err != nil {
			t.Fatal(err)
		}
	}
	return image
}

// TestPowerCut compares what was acknowledged with what a cut leaves, through
// full segments, full journals and restarts.
func TestPowerCut(t *testing.T) {
	dir := t.TempDir()
	want := map[int32][]string{}
	for round := range 3 {
		b, cfg := startBroker(t, EmbeddedConfig{Dir: dir, SyncWrites: true, journalBytes: 5 << 20})
		p := newProducer(t, cfg)
		for n := range 12 { // partition 0 gets 24 MB a round, segments have 16
			recs := numbered(int32(n%3), 100*n, 20+round)
			for i := range recs {
				recs[i].Value = append(bytes.Repeat([]byte{'x'}, 100_000<<(2*(recs[i].Partition+1)%3)), recs[i].Value...)
			}
			for i, offset := range produce(t, p, recs) {
				if have := int64(len(want[recs[i].Partition])); offset != have {
					t.Fatalf("offset %d, want %d", offset, have)
				}
				want[recs[i].Partition] = append(want[recs[i].Partition], string(recs[i].Value))
			}
		}
		image := cutPower(t, dir)
		p.Close()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		after, cfg := startBroker(t, EmbeddedConfig{Dir: image, SyncWrites: round == 1})
		if got := collect(t, cfg, TopicEvents); !maps.EqualFunc(got, want, slices.Equal) {
			for p := range want {
				t.Errorf("round %d, partition %d: %d records of %d", round, p, len(got[p]), len(want[p]))
			}
		}
		produce(t, newProducer(t, cfg), numbered(0, 0, 1)) // and goes on
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskFails breaks the disk: a record that is not safe is neither acknowledged
// nor processed.
func TestDiskFails(t *testing.T) {
	b, cfg := startBroker(t, EmbeddedConfig{Dir: t.TempDir(), SyncWrites: true})
	p := newProducer(t, cfg)
	produce(t, p, numbered(0, 0, 3))
	for _, f := range b.syncer.journal.files {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f := newFolder()
	ended := make(chan error, 1)
	go func() { ended <- RunGroup(testContext(t), cfg, "g", TopicEvents, f) }()
	if _, err := p.ProduceSync(testContext(t), numbered(0, 3, 3)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want what the disk said", err)
	}
	if _, err := p.ProduceSync(testContext(t), numbered(1, 0, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after a failure: got %v", err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("the group ended with %v", err)
	}
	if n := len(f.values[0]); n > 3 {
		t.Errorf("%d records processed, 3 are safe", n)
	}
	if err := b.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close: %v", err)
	}
}

// disk is what a power cut leaves of some files, and what they should have.
type disk struct{ have, want map[string][]byte }

func TestJournalRedoesAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		root := filepath.Join(dir, "root")
		d := disk{map[string][]byte{}, map[string][]byte{}}
		for range rapid.IntRange(1, 4).Draw(t, "cuts") {
			j, err := openJournal(dir, root, 1000)
			if err != nil {
				t.Fatal(err)
			}
			d.check(t, root)
			d.append(t, j)
			if err := errors.Join(j.sync(), j.close(), d.lay(root)); err != nil {
				t.Fatal(err)
			}
		}
		j, err := openJournal(dir, root, 1000)
		if err != nil {
			t.Fatal(err)
		}
		d.check(t, root)
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
	})
}

// append writes to some files through the journal; what is in a file that gets
// its turn is where it belongs.
func (d *disk) append(t *rapid.T, j *journal) {
	flushed := maps.Clone(d.want) // at the last turn
	for range rapid.IntRange(0, 30).Draw(t, "writes") {
		name := filepath.Join("partitions", rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"))
		data := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "data")
		if !j.fits(len(name) + len(data)) {
			d.have, flushed = flushed, maps.Clone(d.want)
			j.turn()
		}
		if err := j.append(name, int64(len(d.want[name])), data); err != nil {
			t.Fatal(err)
		}
		d.want[name] = append(slices.Clone(d.want[name]), data...)
	}
}

// lay puts the files there as the cut leaves them.
func (d *disk) lay(root string) error {
	if err := errors.Join(os.RemoveAll(root), os.MkdirAll(filepath.Join(root, "partitions"), 0o755)); err != nil {
		return err
	}
	for name, data := range d.have {
		if err := os.WriteFile(filepath.Join(root, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) check(t *rapid.T, root string) {
	for name, want := range d.want {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
	}
	d.have = maps.Clone(d.want) // opening brought all to disk
}

func TestJournalRefusesOddNames(t *testing.T) {
	for _, name := range []string{"../outside", "/etc/passwd", ""} {
		dir := t.TempDir()
		j, err := openJournal(dir, dir, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.append(name, 0, []byte("x")), j.sync(), j.close()); err != nil {
			t.Fatal(err)
		}
		if _, err := openJournal(dir, dir, 1000); err == nil {
			t.Errorf("%q is written to", name)
		}
	}
}

func FuzzFramesOf(f *testing.F) {
	dir := f.TempDir()
	j, err := openJournal(dir, dir, 1000)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(j.append("a/b", 7, []byte("data")), j.append("c", 0, nil), j.close()); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "journal.0"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(make([]byte, frameHead))
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		for _, frame := range framesOf(data) {
			total += frameHead + len(frame.name) + len(frame.data)
		}
		if total > len(data) {
			t.Errorf("%d bytes of frames in %d", total, len(data))
		}
	})
}

func FuzzWholeBatches(f *testing.F) {
	batch := make([]byte, 70)
	binary.BigEndian.PutUint64(batch, 5)
	binary.BigEndian.PutUint32(batch[8:], 58)
	f.Add(batch, int64(6))
	f.Add(slices.Concat(batch, batch[:40]), int64(9))
	f.Fuzz(func(t *testing.T, data []byte, next int64) {
		if size, _ := wholeBatches(data, next); size < 0 || size > len(data) {
			t.Errorf("%d bytes of %d", size, len(data))
		}
	})
}
