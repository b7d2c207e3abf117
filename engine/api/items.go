package api

import (
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

// itemsAnswer is the answer of PUT and PATCH.
type itemsAnswer struct {
	Accepted  int         `json:"accepted"`
	Unchanged int         `json:"unchanged"`
	Errors    []itemError `json:"errors"`
}

type itemError struct {
	Index  int    `json:"index"`
	ID     string `json:"id,omitempty"`
	Detail string `json:"detail"`
}

type itemsPage struct {
	Items []*streams.Item `json:"items"`
	Next  string          `json:"next,omitempty"`
}

// putItems replaces items.
func (s *Server) putItems(ctx *fasthttp.RequestCtx, _ scope) {
	s.changeItems(ctx, func(raw []byte, _ map[string]*streams.Item) (*streams.Item, string, string) {
		return decodeItem(raw)
	})
}

// patchItems merges JSON merge patches (RFC 7396) into known items.
func (s *Server) patchItems(ctx *fasthttp.RequestCtx, _ scope) {
	s.changeItems(ctx, func(raw []byte, changed map[string]*streams.Item) (*streams.Item, string, string) {
		id, detail := decodeID(raw)
		if detail != "" {
			return nil, id, detail
		}
		old := changed[id]
		if old == nil {
			old = s.engine.Item(id)
		}
		if old == nil {
			return nil, id, "id: no such item; PUT it first"
		}
		return mergeItem(old, raw)
	})
}

// changeItems makes items of the body's elements, writes those that are valid
// and answers. change gets what it made of earlier elements, by id; it returns
// the item, its id, and what is wrong.
func (s *Server) changeItems(ctx *fasthttp.RequestCtx,
	change func(raw []byte, changed map[string]*streams.Item) (item *streams.Item, id, detail string),
) {
	if !s.inflate(ctx, maxItems) {
		return
	}
	raw, detail := splitItems(ctx.Request.Body())
	if detail != "" {
		s.problem(ctx, fasthttp.StatusBadRequest, detail)
		return
	}
	s.itemChanges.Lock()
	defer s.itemChanges.Unlock()
	out := itemsAnswer{Errors: []itemError{}}
	changed := make(map[string]*streams.Item, len(raw))
	items := make([]*streams.Item, 0, len(raw))
	for i, b := range raw {
		item, id, detail := change(b, changed)
		if detail != "" {
			out.Errors = append(out.Errors, itemError{i, id, detail})
			continue
		}
		changed[id] = item
		items = append(items, item)
	}
	if len(items) > 0 {
		call, cancel := s.callContext()
		defer cancel()
		unchanged, err := s.engine.PutItems(call, items)
		if err != nil {
			s.fail(ctx, err)
			return
		}
		out.Unchanged, out.Accepted = unchanged, len(items)-unchanged
	}
	s.answer(ctx, out)
}

func (s *Server) deleteItem(ctx *fasthttp.RequestCtx, _ scope) {
	s.itemChanges.Lock()
	defer s.itemChanges.Unlock()
	call, cancel := s.callContext()
	defer cancel()
	if err := s.engine.DeleteItem(call, pathValue(ctx, "id")); err != nil {
		s.fail(ctx, err)
		return
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

func (s *Server) getItem(ctx *fasthttp.RequestCtx, _ scope) {
	id := pathValue(ctx, "id")
	item := s.engine.Item(id)
	if item == nil {
		s.problem(ctx, fasthttp.StatusNotFound, "the catalogue has no item with this id")
		return
	}
	s.answer(ctx, item)
}

func (s *Server) listItems(ctx *fasthttp.RequestCtx, _ scope) {
	limit, ok := s.queryLimit(ctx, 100, 1000)
	if !ok {
		return
	}
	list, next := s.engine.Items(string(ctx.QueryArgs().Peek("after")), limit)
	if list == nil {
		list = []*streams.Item{}
	}
	s.answer(ctx, itemsPage{Items: list, Next: next})
}
