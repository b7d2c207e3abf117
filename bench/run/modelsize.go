package run

import (
	"runtime"
	"time"

	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
)

// ModelPoint is what the recommender takes without a server.
type ModelPoint struct {
	Sessions    int     `json:"sessions"`
	Events      int     `json:"events"`
	EventMicros float64 `json:"event_us"`    // to learn one, one core, in the mean
	Heap        int64   `json:"heap_bytes"`  // of the model, after a collection
	EventBytes  float64 `json:"event_bytes"` // of it that an event more than at the smallest size takes; 0 there
	ItemBytes   float64 `json:"item_bytes"`  // of heap that an item of the catalogue takes, before anything is learned
}

// modelOf lets a recommender learn so many sessions.
func modelOf(sh *shop, sessions int) ModelPoint {
	before := liveHeap()
	cat := recommender.NewCatalogue()
	for i, it := range sh.items {
		own := *it
		own.Name, own.URL, own.ImageURL = it.Name+" ", it.URL+" ", it.ImageURL+" " // texts of its own, as decoded
		cat.Put(int64(i), it.ID, &own)
	}
	filled := liveHeap()
	model := recommender.New(recommender.Config{}, cat)
	w, at := sh.walker(1), time.Now().UnixMilli()
	p := ModelPoint{Sessions: sessions, ItemBytes: float64(filled-before) / float64(len(sh.items))}
	var lessons recommender.Lessons
	var views []int
	e := streams.Event{Kind: streams.Track, Name: "Product Viewed", Identifiers: make([]streams.Identifier, 1)}
	began := time.Now()
	for range sessions {
		views = w.session(views)
		e.Identifiers[0] = streams.Identifier{Type: "user", Value: userID(w.customer())}
		for _, item := range views {
			at += 10
			e.At, e.Product.ID = at, sh.items[item].ID
			lessons.Add(int64(p.Events), &e)
			p.Events++
		}
		model.Observe(0, &lessons)
	}
	p.EventMicros = float64(time.Since(began).Microseconds()) / float64(max(1, p.Events))
	p.Heap = liveHeap() - filled
	runtime.KeepAlive(model)
	return p
}

// liveHeap is the heap after collections, in bytes: the second frees what pools
// held at the first.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse) //nolint:gosec // below 2^63
}
