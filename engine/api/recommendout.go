package api

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/streams"
)

// fieldSet says which members of an item are shown; bit n is itemFields[n].
type fieldSet uint32

// itemFields are the members of an item that `fields` may name, and how each
// is appended to an answer.
var itemFields = [...]struct {
	name   string
	append func(b []byte, i *streams.Item) []byte
}{
	{"name", func(b []byte, i *streams.Item) []byte { return appendString(b, i.Name) }},
	{"url", func(b []byte, i *streams.Item) []byte { return appendString(b, i.URL) }},
	{"image_url", func(b []byte, i *streams.Item) []byte { return appendString(b, i.ImageURL) }},
	{"price", func(b []byte, i *streams.Item) []byte { return appendNumber(b, i.Price) }},
	{"old_price", func(b []byte, i *streams.Item) []byte { return appendNumber(b, i.OldPrice) }},
	{"currency", func(b []byte, i *streams.Item) []byte { return appendString(b, i.Currency) }},
	{"brand", func(b []byte, i *streams.Item) []byte { return appendString(b, i.Brand) }},
	{"category", func(b []byte, i *streams.Item) []byte { return appendStrings(b, i.Category) }},
	{"group_id", func(b []byte, i *streams.Item) []byte { return appendString(b, i.GroupID) }},
	{"available", func(b []byte, i *streams.Item) []byte { return strconv.AppendBool(b, i.IsAvailable()) }},
	{"stock", appendStock},
	{"channels", func(b []byte, i *streams.Item) []byte { return appendStrings(b, i.Channels) }},
	{"stores", func(b []byte, i *streams.Item) []byte { return appendAny(b, i.Stores) }},
	{"attributes", func(b []byte, i *streams.Item) []byte { return appendAny(b, i.Attributes) }},
	{"created_at", func(b []byte, i *streams.Item) []byte { return appendString(b, i.CreatedAt) }},
	{"updated_at", func(b []byte, i *streams.Item) []byte { return appendString(b, i.UpdatedAt) }},
}

func (p *params) readFields(names []string) *badInput {
	p.fields = 0
	for _, name := range names {
		bit := fieldBit(name)
		if bit == 0 && name != "id" {
			return badRequest("fields: no such field " + quote(name) + ": known are " + fieldNames())
		}
		p.fields |= bit
	}
	return nil
}

func fieldBit(name string) fieldSet {
	for i := range itemFields {
		if itemFields[i].name == name {
			return 1 << i
		}
	}
	return 0
}

func fieldNames() string {
	var names []string
	for i := range itemFields {
		names = append(names, itemFields[i].name)
	}
	return strings.Join(names, ", ")
}

// appendAnswers appends the whole answer of a call.
func appendAnswers(b []byte, c *recommendCall, took time.Duration) []byte {
	if !c.many {
		b = appendAnswer(b, &c.answers[0], c.shows[0])
		b = b[:len(b)-1]
	} else {
		b = append(b, `{"recommendations":[`...)
		for i := range c.answers {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendAnswer(b, &c.answers[i], c.shows[i])
		}
		b = append(b, ']')
	}
	b = append(b, `,"took_us":`...)
	b = strconv.AppendInt(b, took.Microseconds(), 10)
	return append(b, '}')
}

func appendAnswer(b []byte, a *recommender.Answer, show shown) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, a.ID)
	b = append(b, `,"placement":`...)
	b = appendString(b, a.Placement)
	b = append(b, `,"strategy":`...)
	b = appendString(b, a.Strategy)
	b = append(b, `,"items":[`...)
	for i := range a.Items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRanked(b, &a.Items[i], show)
	}
	b = append(b, `],"messages":[`...)
	for i, m := range a.Messages {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, m...)
	}
	return append(b, `]}`...)
}

func appendRanked(b []byte, r *recommender.Ranked, show shown) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, r.ID)
	b = append(b, `,"score":`...)
	b = appendScore(b, r.Score)
	b = append(b, `,"reason":`...)
	b = appendString(b, r.Reason)
	if show.fields != 0 {
		b = append(b, `,"item":`...)
		b = appendItem(b, r.Item, show.fields)
	}
	if show.explain {
		b = append(b, `,"explain":`...)
		b = appendExplain(b, r.Explain)
	}
	return append(b, '}')
}

// appendItem appends the chosen members, none for an item that the catalogue
// does not know.
func appendItem(b []byte, item *streams.Item, fields fieldSet) []byte {
	b = append(b, '{')
	if item == nil {
		return append(b, '}')
	}
	first := true
	for i := range itemFields {
		if fields&(1<<i) == 0 {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, itemFields[i].name...)
		b = append(b, '"', ':')
		b = itemFields[i].append(b, item)
	}
	return append(b, '}')
}

func appendStock(b []byte, i *streams.Item) []byte {
	if i.Stock == nil {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, *i.Stock, 10)
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// appendAny appends an object that is rarely asked for.
func appendAny(b []byte, v any) []byte {
	j, err := json.Marshal(v)
	if err != nil || string(j) == "null" {
		return append(b, '{', '}')
	}
	return append(b, j...)
}

func appendExplain(b []byte, explain map[string]float64) []byte {
	names := make([]string, 0, len(explain))
	for name := range explain {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, name)
		b = append(b, ':')
		b = appendScore(b, explain[name])
	}
	return append(b, '}')
}
