package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"testing"
)

// entry is one of kfake's state files.
func entry(text string) []byte {
	b := append(make([]byte, entryHead), text...)
	binary.LittleEndian.PutUint32(b, uint32(len(text)))
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[entryHead:], castagnoli))
	return b
}

func TestWholeEntries(t *testing.T) {
	a, b, c := entry("first"), entry("the second"), entry("third")
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, test := range map[string]struct{ data, want []byte }{
		"nothing":               {nil, nil},
		"all whole":             {join(a, b, c), join(a, b, c)},
		"end cut off":           {join(a, b[:7]), a},
		"cut off in between":    {join(a, b[:11], c), join(a, c)},
		"head cut off":          {join(a, b[:3], c, a), join(a, c, a)},
		"cut off at first":      {join(a[:9], b), b},
		"another byte":          {join(a, bytes.Replace(b, []byte("s"), []byte("x"), 1), c), join(a, c)},
		"two cut off":           {join(a[:12], b[:4], c, b[:9], a), join(c, a)},
		"zeros where space was": {join(a, make([]byte, 40), c), join(a, c)},
	} {
		if got := wholeEntries(test.data); !bytes.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func FuzzWholeEntries(f *testing.F) {
	f.Add([]byte("x"), uint16(3))
	f.Add(entry("one"), uint16(9))
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		whole := wholeEntries(data)
		if again := wholeEntries(whole); !bytes.Equal(again, whole) {
			t.Errorf("%q is mended again to %q", whole, again)
		}
		last := entry("last")
		torn := append(append(bytes.Clone(data), last[:int(cut)%len(last)]...), last...)
		if got := wholeEntries(torn); len(whole) == len(data) && !bytes.HasSuffix(got, last) {
			t.Errorf("%q lost the entry after the torn one: %q", torn, got)
		}
	})
}

// Commits made after an entry that could not be written whole outlive a restart.
func TestCommitsBehindATornEntryAreKept(t *testing.T) {
	dir := t.TempDir()
	broker, cfg := startBroker(t, EmbeddedConfig{Dir: dir, Partitions: 1})
	cfg.Instance = "a"
	produce(t, newProducer(t, cfg), numbered(0, 0, 5))
	read := func(n int) *committer {
		t.Helper()
		f := &committer{newFolder(), map[int32]string{}, 0}
		m := join(t, cfg, f, RunCommitted)
		f.wait(t, "records", func() bool { return len(f.values[0]) == n })
		if err := m.stop(); err != nil {
			t.Fatal(err)
		}
		return f
	}
	path := stateFiles(broker.logDir())[0].path
	tear := func() {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(entry("what had no room")[:13]); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	read(5)
	tear()
	produce(t, newProducer(t, cfg), numbered(0, 5, 3))
	read(3)
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := broker.Close(); err != nil { // writes the file anew: a crash would not
		t.Fatal(err)
	}
	if err := os.WriteFile(path, kept, 0o644); err != nil {
		t.Fatal(err)
	}
	_, cfg = startBroker(t, EmbeddedConfig{Dir: dir, Partitions: 1})
	cfg.Instance = "a"
	produce(t, newProducer(t, cfg), numbered(0, 8, 1))
	if f := read(1); f.restored[0] != "8 held 0" {
		t.Errorf("restored %q, want what was committed behind the torn entry", f.restored[0])
	}
}
