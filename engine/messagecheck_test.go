package engine

import (
	"testing"

	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
)

func TestOffersThatNoLongerHold(t *testing.T) {
	none := int64(0)
	c := recommender.NewCatalogue()
	for n, i := range []streams.Item{{ID: "gone", Price: 10, Stock: &none}, {ID: "here", Price: 10}, {ID: "free"}} {
		c.Put(int64(n+1), i.ID, &i)
	}
	e := &Engine{catalogue: c}
	e.live.Store(true)
	item := func(id string, price float64) streams.MessageItem { return streams.MessageItem{ID: id, Price: price} }
	order := map[string]any{"id": "o1"}
	for name, tc := range map[string]struct {
		m    streams.Message
		want bool
	}{
		"no items":             {streams.Message{}, false},
		"sold out":             {streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("gone", 10)}}}, true},
		"one is left":          {streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("gone", 10), item("here", 10)}}}, false},
		"unknown":              {streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("other", 10)}}}, false},
		"dearer":               {streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("here", 9)}}}, true},
		"cheaper":              {streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("here", 11), item("free", 3)}}}, false},
		"no price shown":       {streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("here", 0)}}}, false},
		"of an order":          {streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("gone", 10)}, Order: order}}, false},
		"the customer asked":   {streams.Message{Transactional: true, Data: streams.MessageData{Items: []streams.MessageItem{item("gone", 10)}}}, false},
		"an order, and dearer": {streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("here", 9)}, Order: order}}, false},
	} {
		if got := e.outdated(&tc.m); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	e.live.Store(false)
	if e.outdated(&streams.Message{Data: streams.MessageData{Items: []streams.MessageItem{item("here", 9)}}}) {
		t.Error("history is held against the prices of now")
	}
}
