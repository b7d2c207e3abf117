package datasets

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/rapport-engine/rapport/streams"
)

var update = flag.Bool("update", false, "rewrite expected output")

// transcript reads everything and writes it down: key, time and JSON of each
// event, and what is wrong with each bad row.
func transcript(t testing.TB, r Reader) string {
	t.Helper()
	var out strings.Builder
	var ev Event
	for {
		err := r.Next(&ev)
		var row *RowError
		switch {
		case errors.Is(err, io.EOF):
			return out.String()
		case errors.As(err, &row):
			fmt.Fprintf(&out, "%d invalid: %s\n", row.Line, row.Text)
		case err != nil:
			t.Fatal(err)
		default:
			fmt.Fprintf(&out, "%d %s %d %s\n", ev.Line, ev.Key, ev.At, ev.JSON)
		}
	}
}

// Every sample in testdata is named <format>-<what>.txt; beside it is what
// comes out, in .golden.
func TestReaders(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < len(Formats()) {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			f, err := Open(file, formatOf(file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, expected := transcript(t, f), strings.TrimSuffix(file, ".txt")+".golden"
			if *update {
				if err := os.WriteFile(expected, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
			if f.Offset() != f.Size {
				t.Errorf("read %d bytes of %d", f.Offset(), f.Size)
			}
		})
	}
}

func formatOf(file string) string {
	name := strings.TrimPrefix(filepath.Base(file), "online-")
	name, _, _ = strings.Cut(name, "-")
	if name == "retail" {
		return "online-retail"
	}
	return name
}

func TestOpenDecompresses(t *testing.T) {
	const rows = `{"type":"track","event":"A","userId":"1","messageId":"m"}` + "\n"
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{g, z} {
		if _, err := w.Write([]byte(rows)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range map[string][]byte{"a.jsonl": []byte(rows), "b.gz": gz.Bytes(), "c.zst": zs.Bytes()} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, "segment")
		if err != nil {
			t.Fatal(err)
		}
		if got := transcript(t, f); !strings.HasPrefix(got, "1 user:1 0 {") {
			t.Errorf("%s: %s", name, got)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open("testdata/segment-calls.txt", "csv"); !errors.Is(err, ErrFormat) {
		t.Errorf("unknown format: %v", err)
	}
	if _, err := Open("testdata/none", "segment"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open("testdata", "segment"); err == nil {
		t.Error("a directory was opened")
	}
	path := filepath.Join(t.TempDir(), "broken.zst")
	if err := os.WriteFile(path, []byte("\x28\xb5\x2f\xfdbroken"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, "segment")
	if err == nil {
		err = f.Next(&Event{})
		f.Close()
	}
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("broken compression: %v", err)
	}
}

func TestLongLineIsOneBadRow(t *testing.T) {
	long := strings.Repeat("x", maxLine+1) + "\n" + `{"type":"page","userId":"1","messageId":"m"}`
	r, err := NewReader(strings.NewReader(long), "segment")
	if err != nil {
		t.Fatal(err)
	}
	got := transcript(t, r)
	if !strings.HasPrefix(got, "1 invalid: the line is longer") || !strings.Contains(got, "\n2 user:1 ") {
		t.Errorf("got %.200s", got)
	}
}

// checkEvent fails unless ev is what the log takes: a call that decodes, keyed
// by its strongest identifier, at its time.
func checkEvent(t *testing.T, ev *Event, d *streams.Decoder, e *streams.Event) {
	t.Helper()
	if !json.Valid(ev.JSON) {
		t.Fatalf("line %d: no JSON: %q", ev.Line, ev.JSON)
	}
	clock := streams.Header{Key: streams.HeaderClock, Value: endOfTime}
	if err := d.Decode(&streams.Record{Value: ev.JSON, Headers: []streams.Header{clock}}, e); err != nil {
		var invalid *streams.InvalidError
		if errors.As(err, &invalid) {
			return // the rows say it: too large, say
		}
		t.Fatalf("line %d: %v: %s", ev.Line, err, ev.JSON)
	}
	if e.At != ev.At {
		t.Fatalf("line %d: at %d, not %d: %s", ev.Line, e.At, ev.At, ev.JSON)
	}
}

func FuzzReaders(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for i, name := range Formats() {
			if name == formatOf(file) {
				f.Add(i, data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, format int, data []byte) {
		name := Formats()[uint(format)%uint(len(Formats()))]
		r, err := NewReader(bytes.NewReader(data), name)
		if err != nil {
			t.Fatal(err)
		}
		var ev Event
		var d streams.Decoder
		var e streams.Event
		for range len(data) + 2 {
			err := r.Next(&ev)
			var row *RowError
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.As(err, &row):
			case err != nil:
				t.Fatal(err)
			case name != "segment":
				checkEvent(t, &ev, &d, &e)
			}
		}
		t.Fatal("more events than bytes")
	})
}

// dataDir is where the real data sets are, if anywhere.
func dataDir(t testing.TB) string {
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no real data: %v", err)
	}
	return dir
}

// The real files are read to their ends, with the numbers that are known of
// them, and every 97th event decodes.
func TestRealFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("reads everything")
	}
	dir := dataDir(t)
	for _, c := range []struct {
		file, format    string
		events, invalid int
	}{
		{"ga360-events.csv.zst", "ga360", 1483153, 0},
		{"retailrocket-week/retailrocket_test.txt.zst", "retailrocket", 38741, 0},
		{"retailrocket-week/retailrocket_train_valid.txt.zst", "retailrocket", 43231, 0},
		{"online-retail.csv.zst", "online-retail", 23954, 2517},
	} {
		t.Run(c.file, func(t *testing.T) {
			f, err := Open(filepath.Join(dir, c.file), c.format)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var ev Event
			var d streams.Decoder
			var e streams.Event
			events, invalid := 0, 0
			for {
				err := f.Next(&ev)
				var row *RowError
				if errors.Is(err, io.EOF) {
					break
				} else if errors.As(err, &row) {
					invalid++
					continue
				} else if err != nil {
					t.Fatal(err)
				}
				if events++; events%97 == 0 {
					checkEvent(t, &ev, &d, &e)
				}
			}
			t.Logf("%d events, %d invalid rows", events, invalid)
			if c.events > 0 && (events != c.events || invalid != c.invalid) {
				t.Errorf("want %d events, %d invalid rows", c.events, c.invalid)
			}
		})
	}
}

func BenchmarkReaders(b *testing.B) {
	for _, c := range []struct{ file, format string }{
		{"ga360-events.csv.zst", "ga360"}, {"online-retail.csv.zst", "online-retail"},
		{"retailrocket-week/retailrocket_train_valid.txt.zst", "retailrocket"},
	} {
		b.Run(c.format, func(b *testing.B) {
			data := unpacked(b, filepath.Join(dataDir(b), c.file), 32<<20)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			rows, lines := 0, 0
			for b.Loop() {
				r, err := NewReader(bytes.NewReader(data), c.format)
				if err != nil {
					b.Fatal(err)
				}
				var ev Event
				for {
					if err := r.Next(&ev); errors.Is(err, io.EOF) {
						break
					} else if err == nil {
						rows++
					}
				}
				lines += bytes.Count(data, []byte{'\n'})
			}
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func unpacked(b *testing.B, path string, limit int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	defer z.Close()
	data, err := io.ReadAll(io.LimitReader(z, limit))
	if err != nil {
		b.Fatal(err)
	}
	return data
}
