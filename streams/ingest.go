package streams

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	gojson "github.com/goccy/go-json"
)

// Limits of a batch.
const (
	MaxBatch       = 500 << 10 // bytes of a batch as JSON
	MaxBatchEvents = 2500
)

// Errors of a request as a whole.
var (
	// ErrEndpoint is returned when the endpoint is none of Segment's.
	ErrEndpoint = errors.New("the endpoint must be one of identify, track, page, screen, alias, group, batch")
	// ErrNotJSON is returned when the body is no JSON.
	ErrNotJSON = errors.New("the body is not valid JSON")
	// ErrNoBatch is returned when a batch has no list of events.
	ErrNoBatch = errors.New(`batch: is missing; send {"batch":[...]} with a list of events`)
	// ErrBatchEvents is returned when a batch has more than MaxBatchEvents events.
	ErrBatchEvents = errors.New("batch: at most 2500 events are allowed; send several batches")
	// ErrBatchSize is returned when a batch has more than MaxBatch bytes.
	ErrBatchSize = errors.New("a batch has at most 512000 bytes; send several batches")
	// ErrEventSize is returned when a single event has more than MaxEvent bytes.
	ErrEventSize = errors.New("an event has at most 32768 bytes; send fewer properties")
)

// ErrOperatorOnly is the Err of an alias call that takes identifiers apart
// without IngestOptions.Operator.
var ErrOperatorOnly error = invalid("context.unlink", "needs an admin key")

// Call is one event of a request, ready for the log.
type Call struct {
	Index     int    // place in the batch, from 0
	JSON      []byte // the record's value; when Err is set, the event as sent
	Key       string // the record's key: the strongest believed identifier
	MessageID string
	Name      string // canonical event name
	At        int64  // Unix ms, as Event.At
	Trust     string // the record's HeaderTrust; "" for no such header
	// Err is an *InvalidError when the event must not be logged.
	Err error
}

// IngestOptions are what a request's surroundings say of its events.
type IngestOptions struct {
	NewID   func() string // makes the messageId of an event that has none
	Now     int64         // Unix ms: when the request came
	History bool          // no correction by sentAt
	// Operator lets alias calls take identifiers apart (context.unlink).
	Operator bool
	// Verify reports whether sig (context.sig) proves id. Nil believes every
	// identifier; else only anonymous ones and the one that is proven count.
	Verify func(id Identifier, sig string) bool
}

// calls of Segment's tracking API and their short names.
var endpoints = map[string]string{
	"i": "identify", "t": "track", "p": "page", "s": "screen", "a": "alias", "g": "group", "b": "batch",
	"identify": "identify", "track": "track", "page": "page", "screen": "screen", "alias": "alias",
	"group": "group", "batch": "batch",
}

// ParseIngest reads a request's body as Segment's endpoint of that name
// ("track", "batch", or short "t", "b") does, and validates each event as
// Decode will. What it returns shares no memory with body. An error is one of
// the Err... values above, or wraps one.
func (d *Decoder) ParseIngest(endpoint string, body []byte, o IngestOptions) ([]Call, error) {
	switch typ := endpoints[endpoint]; typ {
	case "":
		return nil, ErrEndpoint
	case "batch":
		return d.parseBatch(body, &o)
	default:
		if len(body) > MaxEvent {
			return nil, ErrEventSize
		}
		if !json.Valid(body) {
			return nil, ErrNotJSON
		}
		call := Call{JSON: slices.Clone(bytes.TrimSpace(body))}
		d.prepare(&call, &edits{typ: typ}, &o)
		return []Call{call}, nil
	}
}

// edits are what a request adds to its events.
type edits struct {
	typ                           string // of the endpoint; "" in a batch
	context, integrations, sentAt json.RawMessage

	// Of the call at hand; their memory is used again for the next.
	has   head
	event Event
}

// head is what of a call may have to be changed.
type head struct {
	Type, MessageID, Context, Integrations, SentAt, WriteKey json.RawMessage
}

// reset empties h and keeps its memory.
func (h *head) reset() {
	*h = head{h.Type[:0], h.MessageID[:0], h.Context[:0], h.Integrations[:0], h.SentAt[:0], h.WriteKey[:0]}
}

func (d *Decoder) parseBatch(body []byte, o *IngestOptions) ([]Call, error) {
	if len(body) > MaxBatch {
		return nil, ErrBatchSize
	}
	var b struct {
		Batch        *[]json.RawMessage `json:"batch"`
		Context      json.RawMessage    `json:"context"`
		Integrations json.RawMessage    `json:"integrations"`
		SentAt       json.RawMessage    `json:"sentAt"`
	}
	if err := gojson.Unmarshal(body, &b); err != nil {
		var typ *gojson.UnmarshalTypeError
		if errors.As(err, &typ) {
			return nil, ErrNoBatch
		}
		return nil, ErrNotJSON
	}
	switch {
	case b.Batch == nil:
		return nil, ErrNoBatch
	case len(*b.Batch) > MaxBatchEvents:
		return nil, ErrBatchEvents
	}
	e := &edits{context: present(b.Context, '{'), integrations: present(b.Integrations, '{'), sentAt: present(b.SentAt, 0)}
	calls := make([]Call, len(*b.Batch))
	for i, item := range *b.Batch {
		calls[i] = Call{Index: i, JSON: item}
		d.prepare(&calls[i], e, o)
	}
	return calls, nil
}

// present returns raw unless it is absent, null, or begins otherwise than with
// first (0: with anything).
func present(raw json.RawMessage, first byte) json.RawMessage {
	if len(raw) == 0 || raw[0] == 'n' || (first != 0 && raw[0] != first) {
		return nil
	}
	return raw
}

// prepare edits and validates one call.
func (d *Decoder) prepare(c *Call, e *edits, o *IngestOptions) {
	sent := c.JSON
	if c.Err = checkText(sent); c.Err == nil {
		c.JSON, c.Err = e.apply(sent, o.NewID)
	}
	event := &e.event
	event.MessageID = ""
	if c.Err == nil && len(sent) > MaxEvent {
		c.Err = tooLarge(len(sent))
	}
	if c.Err == nil {
		src := source{logged: o.Now, history: o.History}
		c.Err = d.decode(c.JSON, &src, event)
	}
	if undo, permit := event.Unlink(); c.Err == nil && (undo || permit) && !o.Operator {
		c.Err = ErrOperatorOnly
	}
	if c.Err == nil && o.Verify != nil {
		c.Err = d.restrict(c, o, event)
	}
	c.MessageID = event.MessageID
	if c.Err != nil {
		c.JSON = sent
		if c.MessageID == "" { // refused before it was looked at
			c.MessageID = sentID(sent)
		}
		return
	}
	c.Key, c.Name, c.At = event.Identifiers[0].String(), event.Name, event.At
}

// sentID is the messageId of a call that may be anything, "" where it has none.
func sentID(call []byte) string {
	var head struct {
		MessageID string `json:"messageId"`
	}
	if json.Unmarshal(call, &head) != nil {
		return ""
	}
	return head.MessageID
}

// restrict decodes the call again with only those identifiers believed that a
// public key may name.
func (d *Decoder) restrict(c *Call, o *IngestOptions, event *Event) error {
	c.Trust = TrustAnonymous
	if sig := signature(event.Context); sig != "" {
		for _, id := range event.Identifiers {
			if id.Type != "anonymous" && o.Verify(id, sig) {
				c.Trust += " " + id.String()
				break
			}
		}
	}
	src := source{logged: o.Now, history: o.History}
	src.trust(c.Trust)
	return d.decode(c.JSON, &src, event)
}

// signature returns context.sig, "" without one.
func signature(context []byte) string {
	if !bytes.Contains(context, []byte(`"sig"`)) {
		return ""
	}
	var c struct {
		Sig string `json:"sig"`
	}
	if json.Unmarshal(context, &c) != nil {
		return ""
	}
	return c.Sig
}

// apply returns the call with what the request adds and without its key. The
// common case only puts fields in front; anything else is encoded again.
func (e *edits) apply(call []byte, newID func() string) ([]byte, error) {
	if call[0] != '{' {
		return nil, malformed("the event is not a JSON object")
	}
	has := &e.has
	has.reset()
	if err := gojson.Unmarshal(call, has); err != nil {
		return nil, malformed("the event is not valid JSON: " + err.Error())
	}
	var front []byte
	again := len(has.WriteKey) > 0
	add := func(key string, had, value json.RawMessage) {
		if value == nil {
			return
		}
		again = again || len(had) > 0
		front = append(append(append(append(front, '"'), key...), '"', ':'), value...)
		front = append(front, ',')
	}
	if e.typ != "" && string(has.Type) != `"`+e.typ+`"` {
		add("type", has.Type, json.RawMessage(`"`+e.typ+`"`))
	}
	if id := string(has.MessageID); (id == "" || id == "null" || id == `""`) && newID != nil {
		add("messageId", has.MessageID, json.RawMessage(strconv.Quote(newID())))
	}
	add("context", has.Context, inherit(e.context, has.Context))
	add("integrations", has.Integrations, inherit(e.integrations, has.Integrations))
	if present(has.SentAt, 0) == nil {
		add("sentAt", has.SentAt, e.sentAt)
	}
	switch {
	case again:
		return rewrite(call, front)
	case len(front) == 0:
		return call, nil
	}
	return splice(front, call), nil
}

// inherit returns what an item's object becomes under the batch's: nil when it
// stays as it is.
func inherit(batch, item json.RawMessage) json.RawMessage {
	switch {
	case batch == nil:
		return nil
	case present(item, 0) == nil:
		return batch
	case item[0] != '{': // its error is reported when the item is validated
		return nil
	}
	merged, ok := overlay(batch, item)
	if !ok || bytes.Equal(merged, item) {
		return nil
	}
	return merged
}

// splice puts front, fields that each end with a comma, at the beginning of
// the object call.
func splice(front, call []byte) []byte {
	rest := bytes.TrimLeft(call[1:], " \t\r\n")
	if rest[0] == '}' {
		front = front[:len(front)-1]
	}
	out := make([]byte, 0, 1+len(front)+len(rest))
	return append(append(append(out, '{'), front...), rest...)
}

// rewrite encodes the call again with the fields of front in the place of its
// own, without writeKey, keys sorted.
func rewrite(call, front []byte) ([]byte, error) {
	var fields, added map[string]gojson.RawMessage
	if err := gojson.Unmarshal(call, &fields); err != nil {
		return nil, malformed("the event is not valid JSON: " + err.Error())
	}
	if len(front) > 0 {
		if err := gojson.Unmarshal(splice(front, []byte("{}")), &added); err != nil {
			return nil, malformed("the batch's fields cannot be merged: " + err.Error())
		}
	}
	for key := range fields {
		if strings.EqualFold(key, "writeKey") || replaced(key, added) {
			delete(fields, key)
		}
	}
	maps.Copy(fields, added)
	out, err := gojson.MarshalWithOption(fields, gojson.DisableHTMLEscape())
	if err != nil {
		return nil, malformed("the event cannot be encoded: " + err.Error())
	}
	return out, nil
}

// replaced reports whether added has key in any letter case, as decoding reads
// keys.
func replaced(key string, added map[string]gojson.RawMessage) bool {
	for k := range added {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}
