package recommender

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/rapport-engine/rapport/streams"
)

func saved(t interface{ Fatal(...any) }, r *Recommender) []byte {
	var b bytes.Buffer
	if err := r.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// step is one random event.
type step struct {
	kind, who, order int
	items            []string
	pause            int64
}

func (s step) feed(te *teacher, at int64) {
	who := fmt.Sprint("w", s.who)
	switch s.kind {
	case 0, 1:
		te.view(who, at, s.items[0])
	case 2:
		te.add(who, at, s.items[0])
	case 5, 6:
		name := []string{"Product Clicked", "Order Completed"}[s.kind-5]
		te.did(who, name, at, s.items[0], "rec_1_AAAAARAg", s.order, streams.Line{ID: s.items[0], Quantity: 1, Price: 2})
	case 4:
		te.visit(who, at, "/"+s.items[0])
	case 3:
		te.order(who, at, fmt.Sprint("o", s.order), s.items...)
	}
}

func drawSteps(t *rapid.T) []step {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			kind:  rapid.IntRange(0, 6).Draw(t, "kind"),
			who:   rapid.IntRange(0, 30).Draw(t, "who"),
			order: rapid.IntRange(0, 3).Draw(t, "order"),
			items: rapid.SliceOfN(rapid.StringMatching("[a-z]"), 1, 6).Draw(t, "items"),
			pause: rapid.SampledFrom([]int64{0, second, 20 * minute, day, 900 * day}).Draw(t, "pause"),
		}
	}), 1, 80).Draw(t, "steps")
}

func TestRestartedEqualsNotRestarted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			Sessions: 16, Customers: 8, Places: 8, Touched: 64, Neighbors: 5, Top: 6,
			PastSessions: 8, Session: SessionParams{Depth: 4, Candidates: 9},
		}
		one, two := newTeacher(cfg), newTeacher(cfg)
		steps := drawSteps(t)
		cut := rapid.IntRange(0, len(steps)-1).Draw(t, "cut")
		at := start
		for k, s := range steps {
			if k == cut {
				two = newTeacher(cfg)
				two.offset = one.offset
				if err := two.r.Load(bytes.NewReader(saved(t, one.r))); err != nil {
					t.Fatal(err)
				}
				if two.r.Position(0) != one.offset || two.r.Position(7) != 0 {
					t.Fatal("the position is lost")
				}
			}
			at += s.pause
			s.feed(one, at)
			if k >= cut {
				s.feed(two, at)
			}
		}
		if !bytes.Equal(saved(t, one.r), saved(t, two.r)) {
			t.Fatal("the models differ")
		}
		for _, place := range one.r.Placements() {
			req := Request{Placement: place, Items: []string{"a", "b"}, Limit: 30}
			var a, b Answer
			if err := errors.Join(one.r.Recommend(&req, &a), two.r.Recommend(&req, &b)); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(a) != fmt.Sprint(b) {
				t.Fatalf("%s: %v, restarted %v", place, a, b)
			}
		}
	})
}

// Rows that were full have room under a larger bound; what was an error before stays one.
func TestErrorsOutliveALargerBound(t *testing.T) {
	cfg := small()
	cfg.Neighbors = 2
	te := newTeacher(cfg)
	for k := range 60 {
		te.view(fmt.Sprint(k), start, "tea")
		te.view(fmt.Sprint(k), start, fmt.Sprint("i", k))
	}
	errors := func(r *Recommender) (sum float32) {
		p := r.models.Load().viewed
		p.state.Load().items.get(r.catalogue.items.find("tea")).row.Load().each(func(_ uint32, _, err float32) { sum += err })
		return sum
	}
	cfg.Neighbors = 8
	more := newTeacher(cfg)
	more.offset = te.offset
	if err := more.r.Load(bytes.NewReader(saved(t, te.r))); err != nil {
		t.Fatal(err)
	}
	more.view("z", start, "tea")
	more.view("z", start, "new")
	if was, is := errors(te.r), errors(more.r); was == 0 || is != was {
		t.Errorf("errors of %v became %v", was, is)
	}
}

func TestLearnedBeforeIsIgnored(t *testing.T) {
	te := newTeacher(small())
	te.view("a", start, "tea")
	before := saved(t, te.r)
	te.offset = 0
	te.view("a", start, "cup")
	if !bytes.Equal(before, saved(t, te.r)) {
		t.Error("an offset was learned twice")
	}
}

func TestLoadUnderOtherBounds(t *testing.T) {
	big := newTeacher(small())
	for i := range 400 {
		who := fmt.Sprint(i % 40)
		big.view(who, start+int64(i), fmt.Sprint("i", i%23))
		big.order(who, start+int64(i), fmt.Sprint("o", i), fmt.Sprint("i", i%23), fmt.Sprint("i", i%7))
	}
	tiny := Config{Sessions: 4, Customers: 4, Neighbors: 2, Top: 3, MaxItems: 10}
	for _, cfg := range []Config{tiny, {Sessions: 1 << 12, Customers: 1 << 12, Neighbors: 100, Top: 50}} {
		r := New(cfg, NewCatalogue())
		if err := r.Load(bytes.NewReader(saved(t, big.r))); err != nil {
			t.Fatal(err)
		}
		a := ask(t, r, Request{Placement: "product", Items: []string{"i1"}, Limit: 2})
		if len(a.Items) != 2 || a.Strategy != Session {
			t.Errorf("%+v: got %+v", cfg, a)
		}
		was := big.r.Stats()
		is := r.Stats()
		if is.Sessions == 0 || is.Sessions > was.Sessions || is.Customers == 0 || is.Customers > was.Customers || is.Items > was.Items {
			t.Errorf("%+v became %+v", was, is)
		}
	}
}

func TestBadCheckpoints(t *testing.T) {
	te := newTeacher(small())
	te.view("a", start, "tea")
	te.view("a", start, "cup")
	good := saved(t, te.r)
	bad := map[string][]byte{
		"empty":           {},
		"another version": sealed(append([]byte("RPTREC9\n"), good[len(checkpointMagic):len(good)-8]...)),
		"more":            sealed(append(bytes.Clone(good[:len(good)-8]), 0)),
		"absurd count":    sealed(append([]byte(checkpointMagic), 0xff, 0xff, 0xff, 0xff, 0x7f)),
	}
	for k := range good {
		b := bytes.Clone(good)
		b[k] ^= 1
		bad[fmt.Sprint("flipped ", k)] = b
		bad[fmt.Sprint("cut at ", k)] = good[:k]
		if k >= len(checkpointMagic) && k < len(good)-8 {
			bad[fmt.Sprint("short ", k)] = sealed(bytes.Clone(good[:k]))
		}
	}
	for name, b := range bad {
		if err := te.r.Load(bytes.NewReader(b)); !errors.Is(err, ErrBadCheckpoint) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := te.r.Load(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(good, saved(t, te.r)) {
		t.Error("a bad checkpoint changed the models")
	}
}

func sealed(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b)) }

func FuzzLoad(f *testing.F) {
	te := newTeacher(Config{Sessions: 8, Customers: 8, Neighbors: 3, Top: 4, PastSessions: 8})
	f.Add(saved(f, te.r))
	for i := range 40 {
		te.view("a", start+int64(i), fmt.Sprint(i%9))
		te.order("b", start+int64(i), fmt.Sprint(i), fmt.Sprint(i%5), fmt.Sprint(i%3))
	}
	whole := saved(f, te.r)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := New(Config{Sessions: 8, Customers: 8, Neighbors: 3, Top: 4, PastSessions: 8}, NewCatalogue())
		if err := r.Load(bytes.NewReader(b)); err != nil && !errors.Is(err, ErrBadCheckpoint) {
			t.Fatal(err)
		}
		if len(b) >= 8 { // the decoder behind the checksum
			b = sealed(bytes.Clone(b[:len(b)-8]))
		}
		if err := r.Load(bytes.NewReader(b)); err != nil {
			return
		}
		te := teacher{r: r, offset: r.Position(0)}
		te.view("a", start, "1")
		te.order("b", start, "2", "1", "2")
		var a Answer
		for _, place := range r.Placements() {
			if err := r.Recommend(&Request{Placement: place, Items: []string{"1"}, Filter: func(*streams.Item) bool { return true }}, &a); err != nil {
				t.Fatal(err)
			}
		}
		again := New(Config{Sessions: 8, Customers: 8, Neighbors: 3, Top: 4, PastSessions: 8}, NewCatalogue())
		if err := again.Load(bytes.NewReader(saved(t, r))); err != nil {
			t.Fatalf("what was loaded cannot be saved and loaded: %v", err)
		}
	})
}

// What is read while a checkpoint is copied is not in it, and is learned after it
// as if there had been none.
func TestLearningWaitsForACheckpoint(t *testing.T) {
	one, two := newTeacher(small()), newTeacher(small())
	teach := func(te *teacher, from, to int64) {
		for n := from; n < to; n++ {
			who, id := fmt.Sprint("c", n%7), fmt.Sprint("i", n%11)
			switch n % 3 {
			case 0:
				te.order(who, start+n*minute, fmt.Sprint("o", n), id, "tea", "cup")
			case 1:
				te.add(who, start+n*minute, id)
			default:
				te.view(who, start+n*minute, id)
			}
		}
	}
	teach(one, 0, 1000)
	teach(two, 0, 400)
	before := saved(t, two.r)
	m := two.r.freeze()
	two.r.waiting.limit = 500
	done := make(chan struct{})
	go func() {
		defer close(done)
		teach(two, 400, 1000) // the last hundred wait for drain
	}()
	if got := append([]byte(checkpointMagic), m.encode(nil)...); !bytes.Equal(got, before[:len(before)-8]) {
		t.Error("the models changed while they were copied")
	}
	two.r.drain(m)
	<-done
	if got := two.r.Position(0); got != 1000 {
		t.Errorf("at position %d", got)
	}
	if !bytes.Equal(saved(t, one.r), saved(t, two.r)) {
		t.Error("what waited was learned otherwise")
	}
}
