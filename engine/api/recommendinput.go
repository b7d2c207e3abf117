package api

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/goccy/go-json"
	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/streams"
)

const (
	defaultLimit = 10
	maxLimit     = 100
	maxOffset    = 10_000
	maxIDs       = 1000 // in items, and in exclude
)

// recommendInput is what one call asks for, from its query or its JSON.
type recommendInput struct {
	id, userID, anonymousID, sig string
	dedupe, track                *bool
	outer                        params
	requests                     []params // nil without `requests`
}

// params ask for one placement. has notes which of them were given, so that
// outer ones are defaults of the inner.
type params struct {
	placement, seed, filter, channel, store string
	items, exclude                          []string
	limit, offset                           int
	fields                                  fieldSet
	explain                                 bool
	has                                     paramSet
}

type paramSet uint16

const (
	hasPlacement paramSet = 1 << iota
	hasItems
	hasLimit
	hasOffset
	hasSeed
	hasExclude
	hasFilter
	hasFields
	hasChannel
	hasStore
	hasExplain
)

func (in *recommendInput) reset() {
	items, exclude := in.outer.items[:0], in.outer.exclude[:0]
	*in = recommendInput{outer: params{limit: defaultLimit, items: items, exclude: exclude}}
}

// readQuery reads the parameters of a query.
func (in *recommendInput) readQuery(args *fasthttp.Args) *badInput {
	var bad *badInput
	for key, value := range args.All() {
		if bad == nil && len(value) > 0 {
			bad = in.readParam(string(key), string(value))
		}
	}
	return bad
}

func (in *recommendInput) readParam(key, value string) *badInput {
	switch key {
	case "id":
		in.id = value
	case "user_id":
		in.userID = value
	case "anonymous_id":
		in.anonymousID = value
	case "sig":
		in.sig = value
	case "dedupe":
		return readFlag(key, value, &in.dedupe)
	case "track":
		return readFlag(key, value, &in.track)
	default:
		return in.outer.readParam(key, value)
	}
	return nil
}

func readFlag(key, value string, to **bool) *badInput {
	on, ok := parseFlag([]byte(value))
	if !ok {
		return badRequest(key + ": must be true or false")
	}
	*to = &on
	return nil
}

func (p *params) readParam(key, value string) *badInput {
	switch key {
	case "placement":
		p.placement, p.has = value, p.has|hasPlacement
	case "seed":
		p.seed, p.has = value, p.has|hasSeed
	case "filter":
		p.filter, p.has = value, p.has|hasFilter
	case "channel":
		p.channel, p.has = value, p.has|hasChannel
	case "store":
		p.store, p.has = value, p.has|hasStore
	case "items":
		p.items, p.has = splitIDs(p.items[:0], value), p.has|hasItems
	case "exclude":
		p.exclude, p.has = splitIDs(p.exclude[:0], value), p.has|hasExclude
	case "limit":
		p.has |= hasLimit
		return readNumber(key, value, &p.limit)
	case "offset":
		p.has |= hasOffset
		return readNumber(key, value, &p.offset)
	case "fields":
		p.has |= hasFields
		return p.readFields(splitIDs(nil, value))
	case "explain":
		p.has |= hasExplain
		on, ok := parseFlag([]byte(value))
		if p.explain = on; !ok {
			return badRequest("explain: must be true or false")
		}
	}
	return nil
}

func readNumber(key, value string, to *int) *badInput {
	n, err := strconv.Atoi(value)
	if err != nil {
		return badRequest(key + ": must be a whole number")
	}
	*to = n
	return nil
}

// splitIDs appends the ids of a comma-separated list.
func splitIDs(ids []string, list string) []string {
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			ids = append(ids, part)
		}
	}
	return ids
}

// check says what is out of range.
func (p *params) check() *badInput {
	switch {
	case p.limit < 1 || p.limit > maxLimit:
		return badRequest("limit: must be from 1 to 100")
	case p.offset < 0 || p.offset > maxOffset:
		return badRequest("offset: must be from 0 to 10000")
	case len(p.filter) > maxFilter:
		return badRequest("filter: must be at most 2 KB")
	case len(p.items) > maxIDs:
		return badRequest("items: must be at most 1000 ids")
	case len(p.exclude) > maxIDs:
		return badRequest("exclude: must be at most 1000 ids")
	}
	return nil
}

// over returns p with what it lacks taken from outer.
func (p *params) over(outer *params) *params {
	q := *outer
	q.has |= p.has
	set := func(bit paramSet, take func()) {
		if p.has&bit != 0 {
			take()
		}
	}
	set(hasPlacement, func() { q.placement = p.placement })
	set(hasItems, func() { q.items = p.items })
	set(hasLimit, func() { q.limit = p.limit })
	set(hasOffset, func() { q.offset = p.offset })
	set(hasSeed, func() { q.seed = p.seed })
	set(hasExclude, func() { q.exclude = p.exclude })
	set(hasFilter, func() { q.filter = p.filter })
	set(hasFields, func() { q.fields = p.fields })
	set(hasChannel, func() { q.channel = p.channel })
	set(hasStore, func() { q.store = p.store })
	set(hasExplain, func() { q.explain = p.explain })
	return &q
}

// identify is the customer that the input names, the zero value for a
// stranger.
func (in *recommendInput) identify(d *streams.Decoder) (streams.Identifier, error) {
	switch {
	case in.id != "":
		return d.ParseIdentifier(in.id)
	case in.userID != "":
		return d.Normalize("user", in.userID)
	case in.anonymousID != "":
		return d.Normalize("anonymous", in.anonymousID)
	}
	return streams.Identifier{}, nil
}

// recommendJSON is the body of a POST. Scalars are read as in a query, so that
// 10 and "10" are the same.
type recommendJSON map[string]json.RawMessage

// readJSON reads a body over what the query gave.
func (in *recommendInput) readJSON(body []byte) *badInput {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var members recommendJSON
	if err := json.Unmarshal(body, &members); err != nil {
		return badRequest("the body is not a valid JSON object: " + jsonFault(err))
	}
	for key, raw := range members {
		if key == "requests" {
			continue
		}
		value, known, bad := readMember(key, raw)
		if bad != nil {
			return bad
		}
		if known {
			if bad := in.readParam(key, value); bad != nil {
				return bad
			}
		}
	}
	return in.readRequests(members["requests"])
}

func (in *recommendInput) readRequests(raw json.RawMessage) *badInput {
	if len(raw) == 0 || raw[0] == 'n' {
		return nil
	}
	var list []recommendJSON
	if err := json.Unmarshal(raw, &list); err != nil || len(list) < 1 || len(list) > maxRequests {
		return badRequest("requests: must be a list of 1 to 10 objects")
	}
	in.requests = make([]params, len(list))
	for i, members := range list {
		p := &in.requests[i]
		for key, raw := range members {
			value, known, bad := readMember(key, raw)
			if bad == nil && known {
				bad = p.readParam(key, value)
			}
			if bad != nil {
				bad.detail = "requests[" + strconv.Itoa(i) + "]." + bad.detail
				return bad
			}
		}
	}
	return nil
}

// readMember is a JSON member as a query would give it; known is false for
// names that mean nothing and for null.
func readMember(key string, raw json.RawMessage) (value string, known bool, bad *badInput) {
	switch key {
	case "id", "user_id", "anonymous_id", "sig", "placement", "seed", "filter", "channel", "store":
		value, ok := textOf(raw)
		if !ok {
			return "", false, badRequest(key + ": must be a string")
		}
		return value, value != "", nil
	case "limit", "offset", "dedupe", "track", "explain":
		value, ok := textOf(raw)
		if !ok {
			return "", false, badRequest(key + ": must be a number, or true or false")
		}
		return value, value != "", nil
	case "items", "exclude", "fields":
		value, ok := listOf(raw)
		if !ok {
			return "", false, badRequest(key + ": must be a list of strings")
		}
		return value, string(raw) != "null", nil
	}
	return "", false, nil
}

// textOf is a JSON string, number or boolean as text; "" for null.
func textOf(raw json.RawMessage) (string, bool) {
	switch c := raw[0]; {
	case c == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case c == 'n':
		return "", true
	case c == '{' || c == '[':
		return "", false
	}
	return string(raw), true
}

// listOf is a JSON list of strings or numbers, or a string, as a list by
// commas.
func listOf(raw json.RawMessage) (string, bool) {
	if raw[0] != '[' {
		return textOf(raw)
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return "", false
	}
	parts := make([]string, len(list))
	for i := range list {
		var ok bool
		if parts[i], ok = textOf(list[i]); !ok || strings.Contains(parts[i], ",") {
			return "", false
		}
	}
	return strings.Join(parts, ","), true
}
