package profiles

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/protobuf/proto"
)

func TestStorePublishes(t *testing.T) {
	s := NewStore()
	p, created := s.Open("user:1")
	if !created || p.Id != "user:1" {
		t.Fatalf("opened %q, created %v", p.Id, created)
	}
	if q, created := s.Open("user:1"); q != p || created {
		t.Error("a second Open must return the same profile")
	}
	p.Locale = "uk-UA"
	s.Changed(p)
	if _, ok := s.Read("user:1"); ok {
		t.Error("readers must not see what is not published")
	}
	s.Publish()
	got, ok := s.Read("user:1")
	if !ok || got.Locale != "uk-UA" || got.Id != "user:1" || len(got.Identifiers) != 1 {
		t.Errorf("read %v, %v", got, ok)
	}
	if s.Len() != 1 || s.Bytes() == 0 {
		t.Errorf("%d profiles, %d bytes", s.Len(), s.Bytes())
	}
}

func TestStoreForgetsWhatDidNotChange(t *testing.T) {
	s := NewStore()
	p, _ := s.Open("user:1")
	p.Locale = "uk"
	s.Publish()
	if s.Lookup("user:1") != nil || s.Len() != 0 || len(s.TakeDirty()) != 0 {
		t.Error("a profile that was not marked as changed was kept")
	}
	p, _ = s.Open("user:1")
	s.Changed(p)
	s.Publish()
	s.Lookup("user:1").Locale = "en"
	s.Publish()
	if q, _ := s.Read("user:1"); q.Locale != "" {
		t.Error("a change that was not marked was kept")
	}
}

func TestStoreDirty(t *testing.T) {
	s := NewStore()
	for _, id := range []string{"user:2", "user:1", "user:3"} {
		p, _ := s.Open(id)
		s.Changed(p)
	}
	s.Publish()
	dirty := s.TakeDirty()
	if got := fmt.Sprint(ids(dirty, func(b Blob) string { return b.ID })); got != "[user:1 user:2 user:3]" {
		t.Fatalf("dirty: %s", got)
	}
	if len(s.TakeDirty()) != 0 {
		t.Error("taken twice")
	}
	p := s.Lookup("user:2")
	p.Locale = "uk"
	s.Changed(p)
	s.Publish()
	s.PutBack(dirty[:2])
	again := s.TakeDirty()
	if len(again) != 2 {
		t.Fatalf("%d dirty, want 2", len(again))
	}
	var q Profile
	if err := Decode("user:2", again[1].Data, &q); err != nil || q.Locale != "uk" {
		t.Errorf("the latest state must be put back: %v, %v", &q, err)
	}
}

func TestStoreRestore(t *testing.T) {
	settings := DefaultSettings()
	data := Encode(filled(&settings, history(20)))
	s := NewStore()
	if err := s.Restore("user:1000042", data); err != nil {
		t.Fatal(err)
	}
	want := filled(&settings, history(20))
	got, _ := s.Read("user:1000042")
	for _, p := range []*Profile{got, want} {
		p.viewedInSession()
	}
	if !proto.Equal(plain(got), plain(want)) {
		t.Errorf("restored\n%v\nwant\n%v", got, want)
	}
	for name, bad := range map[string][]byte{
		"cut short": data[:len(data)-3], "no protobuf": []byte("hello"), "zeros": make([]byte, 10),
		"bad timeline": Encode(&Profile{Id: "user:1", Timeline: []byte{1, 2, 3}}),
	} {
		if err := s.Restore("user:2", bad); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	if err := s.Restore("nobody", data); err == nil {
		t.Error("restored a profile without a type")
	}
	if s.Len() != 1 || len(s.TakeDirty()) != 0 {
		t.Error("what was refused must leave no trace, and what is restored is not dirty")
	}
}

func TestStoreRange(t *testing.T) {
	s := NewStore()
	for i := range 10 {
		p, _ := s.Open(fmt.Sprint("user:", i))
		s.Changed(p)
	}
	s.Publish()
	seen := map[string]bool{}
	s.Range(func(id string, p *Profile) bool {
		seen[id] = p.Id == id
		return len(seen) < 7
	})
	if len(seen) != 7 {
		t.Errorf("ranged over %d profiles, want 7", len(seen))
	}
}

// TestStoreReusesMemorySafely folds events into many profiles through the
// store's reused structs and compares with profiles of their own.
func TestStoreReusesMemorySafely(t *testing.T) {
	settings := DefaultSettings()
	s, own := NewStore(), map[string]*Profile{}
	for n := range 400 {
		id := fmt.Sprint("user:", n*7%13)
		if own[id] == nil {
			own[id] = newProfile(id)
		}
		e := history(20)[n%20]
		e.At += int64(n) * 10 * minute
		e.LoggedAt, e.MessageID = e.At, fmt.Sprint("m", n)
		e.OrderID = fmt.Sprint("o", n)
		p, _ := s.Open(id)
		settings.Apply(p, e, e.LoggedAt, nil)
		s.Changed(p)
		settings.Apply(own[id], e, e.LoggedAt, nil)
		if n%5 == 4 {
			s.Publish()
		}
	}
	s.Publish()
	var got Profile
	for id, want := range own {
		if !s.ReadInto(id, &got) || !proto.Equal(plain(&got), plain(want)) {
			t.Errorf("%s is\n%v\nwant\n%v", id, &got, want)
		}
	}
	if s.ReadInto("user:none", &got) || got.Id != "" || len(got.Viewed) != 0 {
		t.Error("an unknown profile must be empty")
	}
}

// TestReadersSeeWholeProfiles reads while the worker writes: every reader sees
// a state that was published, never part of one.
func TestReadersSeeWholeProfiles(t *testing.T) {
	s, settings := NewStore(), DefaultSettings()
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			var p Profile
			for !stop.Load() {
				for i := range 8 {
					if !s.ReadInto(fmt.Sprint("user:", i), &p) {
						continue
					}
					if n := len(p.History()); p.Events%2 != 0 || uint64(n) != min(p.Events, maxTimeline) {
						t.Errorf("read %d events, %d in the timeline", p.Events, n)
						return
					}
				}
			}
		})
	}
	for n := range 2000 {
		p, _ := s.Open(fmt.Sprint("user:", n%8))
		for k := range 2 {
			e := event("Product Viewed", t0+int64(n)*second, product1(fmt.Sprint("i", n+k), 1, 5))
			settings.Apply(p, e, e.At, nil)
		}
		s.Changed(p)
		s.Publish()
	}
	stop.Store(true)
	readers.Wait()
}

func TestEncodingIsDeterministic(t *testing.T) {
	settings := DefaultSettings()
	events := history(20)
	a, b := Encode(filled(&settings, events)), Encode(filled(&settings, events))
	if !bytes.Equal(a, b) {
		t.Error("two folds of the same events differ")
	}
	var p Profile
	if err := Decode("user:1000042", a, &p); err != nil {
		t.Fatal(err)
	}
	if c := Encode(&p); !bytes.Equal(a, c) {
		t.Error("decoded and encoded again it differs")
	}
}

// TestStoreEvicts drops what a snapshot has, and only that, the least recently
// changed first, and reads it back.
func TestStoreEvicts(t *testing.T) {
	s, saved := NewStore(), map[string][]byte{}
	var asked []string
	s.ReadBackWith(func(id string) []byte {
		asked = append(asked, id)
		return saved[id]
	})
	change := func(from, to int) {
		for i := from; i < to; i++ {
			p, _ := s.Open(fmt.Sprint("user:", i))
			p.Events++
			s.Changed(p)
		}
		s.Publish()
	}
	all := func() (freed int64) {
		for range 2 * EvictCalls {
			freed += s.Evict(1 << 40)
		}
		return freed
	}
	change(0, 1000)
	if all() != 0 {
		t.Error("evicted what no snapshot has")
	}
	dirty := s.TakeDirty()
	if all() != 0 {
		t.Error("evicted what is on its way to a snapshot")
	}
	s.PutBack(dirty)
	for _, b := range s.TakeDirty() {
		saved[b.ID] = b.Data
	}
	s.Saved()
	before := s.Memory()
	change(0, 500)
	for _, b := range s.TakeDirty() {
		saved[b.ID] = b.Data
	}
	s.Saved()
	s.Evict(before / 4)
	recent := 0
	for i := range 500 {
		if s.Place(fmt.Sprint("user:", i)) == InMemory {
			recent++
		}
	}
	if recent != 500 || s.InMemory() >= 800 || s.Len() != 1000 {
		t.Errorf("%d of the 500 changed last are in memory, of %d", recent, s.Len())
	}
	if freed := all(); freed == 0 || s.InMemory() != 0 || s.Memory() >= before/3 || s.Bytes() != 0 {
		t.Errorf("%d in memory, %d bytes of %d", s.InMemory(), s.Memory(), before)
	}
	p := s.Lookup("user:7")
	if p == nil || p.Events != 2 || len(asked) != 1 || s.InMemory() != 1 || s.Len() != 1000 {
		t.Fatalf("read back %v, asked for %v", p, asked)
	}
	if s.Evict(1) != 0 {
		t.Error("evicted while a profile is open")
	}
	s.Delete(p)
	s.Publish()
	if s.Place("user:7") != Nowhere || s.Len() != 999 {
		t.Error("a deleted profile is somewhere")
	}
	if p, created := s.Open("user:new"); !created || p.Id != "user:new" || len(asked) != 1 {
		t.Error("a new profile was asked for")
	}
	s.Publish()
	// Another id with the hash of an evicted one.
	s.shard("user:other").remember(xxhash.Sum64String("user:other"))
	if s.Lookup("user:other") != nil || s.Place("user:other") != Evicted {
		t.Error("what is not in the snapshot is none, and its hash stays")
	}
	var q Profile
	if s.Find("user:8", &q) != Evicted || q.Events != 0 || s.ReadInto("user:8", &q) {
		t.Error("readers must be told that it was evicted")
	}
}
