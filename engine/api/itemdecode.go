package api

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rapport-engine/rapport/streams"
)

const (
	maxItem   = 32 << 10 // bytes of one item as JSON
	maxItemID = 256      // bytes
)

// splitItems takes a body, a JSON array or NDJSON, into the JSON of its items.
// What is not JSON as a whole is refused; a bad line of NDJSON is an error of
// that line only.
func splitItems(body []byte) (items [][]byte, detail string) {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil, "the body is empty: send a JSON array of items, or one item a line"
	case body[0] == '[':
		var raw []json.RawMessage
		if err := json.Unmarshal(body, &raw); err != nil {
			return nil, "the body is not valid JSON: " + jsonFault(err)
		}
		for _, r := range raw {
			items = append(items, r)
		}
		return items, ""
	case body[0] != '{':
		return nil, "the body must be a JSON array of items, or one item a line"
	case json.Valid(body):
		return [][]byte{body}, ""
	}
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			items = append(items, line)
		}
	}
	return items, ""
}

// fields reads the members of one item and remembers the first that is wrong.
type fields struct {
	members map[string]json.RawMessage
	detail  string
}

func openItem(raw []byte) *fields {
	f := &fields{}
	switch {
	case len(raw) > maxItem:
		f.detail = "the item has " + strconv.Itoa(len(raw)) + " bytes: at most " + strconv.Itoa(maxItem) + " are allowed"
	case !utf8.Valid(raw):
		f.detail = "the item is not valid UTF-8"
	default:
		if err := json.Unmarshal(raw, &f.members); err != nil || f.members == nil {
			f.detail = "must be a JSON object"
		}
	}
	return f
}

// decodeItem reads one item of a PUT; detail says what is wrong with it.
func decodeItem(raw []byte) (item *streams.Item, id, detail string) {
	f := openItem(raw)
	item = f.item()
	return item, item.ID, f.detail
}

// decodeID reads the id of one merge patch.
func decodeID(raw []byte) (id, detail string) {
	f := openItem(raw)
	return f.id(), f.detail
}

func (f *fields) item() *streams.Item {
	item := &streams.Item{
		ID: f.id(), GroupID: f.text("group_id"), Name: f.text("name"), URL: f.text("url"), ImageURL: f.text("image_url"),
		Brand: f.text("brand"), Currency: f.text("currency"), Price: f.amount("price"), OldPrice: f.amount("old_price"),
		Stock: f.whole("stock"), Category: f.category(), CreatedAt: f.time("created_at"), UpdatedAt: f.time("updated_at"),
	}
	if item.Name == "" {
		item.Name = f.text("title")
	}
	f.read("available", &item.Available, "must be true or false")
	f.read("channels", &item.Channels, "must be a list of channel names")
	f.read("attributes", &item.Attributes, "must be an object")
	item.Stores = f.stores()
	return item
}

func (f *fields) fail(name, detail string) {
	if f.detail == "" {
		f.detail = name + ": " + detail
	}
}

// value is a member as sent, nil when absent or null.
func (f *fields) value(name string) json.RawMessage {
	v := f.members[name]
	if len(v) == 0 || v[0] == 'n' {
		return nil
	}
	return v
}

func (f *fields) read(name string, to any, detail string) {
	if v := f.value(name); v != nil && json.Unmarshal(v, to) != nil {
		f.fail(name, detail)
	}
}

// text reads a string; a number counts as its digits.
func (f *fields) text(name string) string {
	v := f.value(name)
	if v == nil {
		return ""
	}
	if v[0] == '-' || v[0] >= '0' && v[0] <= '9' {
		return string(v)
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		f.fail(name, "must be a string")
	}
	return strings.TrimSpace(s)
}

func (f *fields) id() string {
	id := f.text("id")
	switch {
	case f.detail != "":
	case id == "":
		f.fail("id", "is needed")
	case len(id) > maxItemID:
		f.fail("id", "must be at most "+strconv.Itoa(maxItemID)+" bytes")
		return ""
	case strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }):
		f.fail("id", "must have no control characters")
		return ""
	}
	return id
}

// amount reads a number >= 0; a string that holds one counts.
func (f *fields) amount(name string) float64 {
	n, ok := number(f.value(name))
	if !ok || n < 0 {
		f.fail(name, "must be a number >= 0")
		return 0
	}
	return n
}

func number(v json.RawMessage) (float64, bool) {
	if v == nil {
		return 0, true
	}
	text := string(v)
	if v[0] == '"' && json.Unmarshal(v, &text) != nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// whole reads a whole number, nil when absent.
func (f *fields) whole(name string) *int64 {
	v := f.value(name)
	if v == nil {
		return nil
	}
	n, ok := number(v)
	if !ok || n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		f.fail(name, "must be a whole number")
		return nil
	}
	i := int64(n)
	return &i
}

// category reads a path from the root: a list, or a string with slashes.
func (f *fields) category() []string {
	v := f.value("category")
	if v == nil {
		return nil
	}
	var path []string
	if v[0] == '"' {
		path = strings.Split(f.text("category"), "/")
	} else if json.Unmarshal(v, &path) != nil {
		f.fail("category", "must be a list of names from the root, or a string with slashes")
	}
	clean := path[:0]
	for _, p := range path {
		if p = strings.TrimSpace(p); p != "" {
			clean = append(clean, p)
		}
	}
	if len(clean) == 0 {
		return nil
	}
	return clean
}

func (f *fields) time(name string) string {
	s := f.text(name)
	if s == "" {
		return ""
	}
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		f.fail(name, "must be RFC 3339, like 2026-01-02T03:04:05Z")
	}
	return s
}

func (f *fields) stores() map[string]streams.StoreItem {
	var raw map[string]map[string]json.RawMessage
	f.read("stores", &raw, "must be an object of stores, each with stock and price")
	if len(raw) == 0 {
		return nil
	}
	stores := make(map[string]streams.StoreItem, len(raw))
	for name, members := range raw {
		of := fields{members: members}
		stores[name] = streams.StoreItem{Stock: of.whole("stock"), Price: of.amount("price")}
		if of.detail != "" {
			f.fail("stores."+name, of.detail)
		}
	}
	return stores
}

// mergeItem applies a merge patch to an item; detail says what is wrong.
func mergeItem(old *streams.Item, patch []byte) (item *streams.Item, id, detail string) {
	base, err := json.Marshal(old)
	if err != nil {
		return nil, old.ID, err.Error()
	}
	merged, err := mergePatch(base, renameTitle(patch), 0)
	if err != nil {
		return nil, old.ID, err.Error()
	}
	return decodeItem(merged)
}

// renameTitle makes a patch of title one of name.
func renameTitle(patch []byte) []byte {
	var m map[string]json.RawMessage
	if json.Unmarshal(patch, &m) != nil || m["title"] == nil || m["name"] != nil {
		return patch
	}
	m["name"] = m["title"]
	delete(m, "title")
	renamed, err := json.Marshal(m)
	if err != nil {
		return patch
	}
	return renamed
}

const maxPatchDepth = 100

// mergePatch is RFC 7396.
func mergePatch(base, patch json.RawMessage, depth int) (json.RawMessage, error) {
	var p map[string]json.RawMessage
	if depth > maxPatchDepth || json.Unmarshal(patch, &p) != nil || p == nil {
		return patch, nil
	}
	b := map[string]json.RawMessage{}
	if len(base) > 0 && base[0] == '{' {
		if err := json.Unmarshal(base, &b); err != nil {
			return nil, err
		}
	}
	for name, v := range p {
		if string(v) == "null" {
			delete(b, name)
			continue
		}
		merged, err := mergePatch(b[name], v, depth+1)
		if err != nil {
			return nil, err
		}
		b[name] = merged
	}
	return json.Marshal(b)
}
