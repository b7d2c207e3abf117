package recommender

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rapport-engine/rapport/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Readers, learners, a catalogue writer, checkpoints and reloads at once: no
// answer may have a wrong item, a repeat or a score that is no number.
func TestAllAtOnce(t *testing.T) {
	cfg := small()
	cfg.Neighbors, cfg.Top = 6, 20
	cfg.PastSessions, cfg.Session.Depth = 16, 8
	r := New(cfg, NewCatalogue())
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for k := range 3 {
		readers.Go(func() { askUntil(t, r, k, stop) })
	}
	for p := range int32(2) {
		writers.Go(func() {
			var ls Lessons
			for n := range int64(4000) {
				who, at := fmt.Sprint("w", n%20), start+n*hour*10
				e := streams.Event{Name: "Product Viewed", At: at, Identifiers: []streams.Identifier{{Type: "user", Value: who}}}
				e.Product.ID = fmt.Sprint("i", n*int64(p+3)%60)
				if n%5 == 0 {
					e.Name, e.OrderID, e.Products = "Order Completed", fmt.Sprint(n), []streams.Line{e.Product, {ID: "i1"}}
				}
				ls.Add(n, &e)
				if n%7 == 6 {
					r.Observe(p, &ls)
				}
			}
		})
	}
	writers.Go(func() {
		for n := range int64(2000) {
			id := fmt.Sprint("i", n%60)
			r.catalogue.Put(n, id, &streams.Item{ID: id, GroupID: "g" + id, Available: ptr(n%60 != 9)})
			r.catalogue.Prune(n - 100)
		}
	})
	writers.Go(func() {
		for n := range 30 {
			if err := r.Save(io.Discard); err != nil {
				t.Error(err)
			}
			r.SetPlacements(cfg.Placements)
			if n%10 == 9 {
				if err := r.Load(bytes.NewReader(saved(t, r))); err != nil {
					t.Error(err)
				}
			}
		}
	})
	writers.Wait()
	close(stop)
	readers.Wait()
}

// askUntil asks and checks the answers until stop is closed.
func askUntil(t *testing.T, r *Recommender, reader int, stop <-chan struct{}) {
	var a Answer
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		own := fmt.Sprint("i", n%60)
		req := Request{
			Placement: r.Placements()[n%7], Items: []string{own}, Limit: 12, Now: start + int64(n),
			Customer: Customer{Key: fmt.Sprint("user:w", n%20)},
			Filter:   func(it *streams.Item) bool { return it.ID != "i7" },
		}
		if err := r.Recommend(&req, &a); err != nil {
			t.Error(err)
			return
		}
		checkAnswer(t, reader, own, a)
	}
}

func checkAnswer(t *testing.T, reader int, own string, a Answer) {
	seen := map[string]bool{own: true, "i7": true}
	for _, it := range a.Items {
		if seen[it.ID] || math.IsNaN(it.Score) || math.IsInf(it.Score, 0) || it.Item != nil && it.Item.ID != it.ID {
			t.Errorf("reader %d: with %s: %+v", reader, own, a)
			return
		}
		seen[it.ID] = true
	}
}
