package streams

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	gojson "github.com/goccy/go-json"
)

// Limits of one event.
const (
	MaxEvent     = 32 << 10 // bytes of a call as JSON
	slack        = 512      // for what the API adds to one: type and messageId
	MaxMessageID = 100      // characters
	MaxName      = 256      // bytes of an event's name
	MaxProducts  = 1000     // lines of properties.products
	MaxDepth     = 100      // nested objects and arrays
	MaxAhead     = 5 * 60 * 1000
)

// Decoder turns log records into events. It may be used by many goroutines.
// The zero value reads phone numbers that start with + only.
type Decoder struct {
	// Region is the ISO 3166 country whose phone numbers may come without a
	// country code: "UA".
	Region string

	strict sync.Pool // *scratch[string, json.Number]
	loose  sync.Pool // *scratch[text, number]
}

// source is what a record says of its event from outside.
type source struct {
	messageID string // "" when the call's own counts
	logged    int64  // Unix ms
	at        int64  // Unix ms; used as it is when stored
	history   bool   // no correction by sentAt
	stored    bool   // at is given
	anonymous bool   // only anonymous identifiers, and proven, are believed
	proven    string // "type:value"
}

// trust reads the value of HeaderTrust.
func (s *source) trust(header string) {
	s.proven, s.anonymous = strings.CutPrefix(header, TrustAnonymous)
	s.proven = strings.TrimPrefix(s.proven, " ")
}

// Decode reads rec.Value, one Segment call as JSON, into e, which it resets.
// The strings and byte slices of e share memory with rec.Value; the slices of
// e are reused by the next Decode into it. An error is an *InvalidError.
func (d *Decoder) Decode(rec *Record, e *Event) error {
	src := readSource(rec)
	if err := d.decode(rec.Value, &src, e); err != nil {
		return err
	}
	if e.MessageID == "" {
		e.MessageID = "kafka:" + strconv.Itoa(int(rec.Partition)) + ":" + strconv.FormatInt(rec.Offset, 10)
	}
	return nil
}

// DecodeStored reads a call that was decoded before, whose message id and
// times (Unix ms) are known, as Decode does. All its identifiers are believed.
func (d *Decoder) DecodeStored(raw []byte, messageID string, at, loggedAt int64, e *Event) error {
	src := source{messageID: messageID, at: at, logged: loggedAt, stored: true}
	return d.decode(raw, &src, e)
}

// errLoose is returned when a value had another type than its field.
var errLoose = errors.New("a value of another type")

func (d *Decoder) decode(value []byte, src *source, e *Event) error {
	reset(e)
	if err := checkText(value); err != nil {
		return err
	}
	e.Raw = value
	err := read(d, take[string, json.Number](&d.strict), value, src, e)
	if err == nil || err != errLoose { //nolint:errorlint // errLoose is never wrapped
		return err
	}
	raw := e.Raw
	reset(e)
	e.Raw = raw
	return read(d, take[text, number](&d.loose), value, src, e)
}

// reset empties e and keeps the memory of its slices.
func reset(e *Event) {
	*e = Event{
		Identifiers: e.Identifiers[:0],
		Claimed:     e.Claimed[:0],
		Product:     Line{Category: e.Product.Category[:0]},
		Products:    e.Products[:0],
	}
}

// tooLarge refuses an event of so many bytes.
func tooLarge(size int) error {
	return &InvalidError{Reason: ReasonTooLarge, Detail: "the event has " + strconv.Itoa(size) +
		" bytes; at most " + strconv.Itoa(MaxEvent) + " are allowed: send fewer properties"}
}

// checkText refuses what no parser should see.
func checkText(value []byte) error {
	switch {
	case len(value) > MaxEvent+slack:
		return tooLarge(len(value))
	case len(bytes.TrimSpace(value)) == 0:
		return malformed("the event is empty; send a JSON object")
	case !utf8.Valid(value):
		return malformed("the event is not valid UTF-8; encode it as UTF-8")
	case tooDeep(value):
		return malformed("objects and arrays are nested more than " + strconv.Itoa(MaxDepth) + " deep; flatten them")
	}
	return nil
}

func malformed(detail string) *InvalidError {
	return &InvalidError{Reason: ReasonMalformed, Detail: detail}
}

// tooDeep counts brackets first, which is quick and nearly always enough.
func tooDeep(value []byte) bool {
	if bytes.Count(value, []byte("{"))+bytes.Count(value, []byte("[")) <= MaxDepth {
		return false
	}
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// scratch is what one decoding needs and the next one can use again.
type scratch[S, N ~string] struct {
	pool    *sync.Pool
	call    wireCall[S]
	context wireContext[S]
	traits  wireTraits[S]
	props   wireProperties[S, N]
	loose   bool
}

func take[S, N ~string](pool *sync.Pool) *scratch[S, N] {
	s, ok := pool.Get().(*scratch[S, N])
	if !ok {
		var zero S
		_, loose := any(zero).(text)
		s = &scratch[S, N]{pool: pool, loose: loose}
	}
	return s
}

// release zeroes s, so that it keeps no event alive and leaves nothing to the
// next one, and gives it back with the memory of its slices.
func (s *scratch[S, N]) release() {
	c := &s.call
	*c = wireCall[S]{Properties: c.Properties[:0], Traits: c.Traits[:0], Context: c.Context[:0]}
	ids := s.context.ExternalIDs[:cap(s.context.ExternalIDs)]
	clear(ids)
	s.context = wireContext[S]{ExternalIDs: ids[:0], Traits: s.context.Traits[:0]}
	s.traits = wireTraits[S]{}
	products, items := s.props.Products[:cap(s.props.Products)], s.props.Items[:cap(s.props.Items)]
	clear(products)
	clear(items)
	s.props = wireProperties[S, N]{Products: products[:0], Items: items[:0]}
	s.pool.Put(s)
}

// unmarshal decodes b into v, whose strings then share memory with b. A wrong
// type is errLoose at first, and no error where the loose types were used:
// what matters of them is checked by name.
func (s *scratch[S, N]) unmarshal(b []byte, v any) error {
	err := gojson.UnmarshalWithOption(b, v, gojson.DecodeNoCopyString())
	if err == nil {
		return nil
	}
	if !s.loose {
		return errLoose
	}
	var typ *gojson.UnmarshalTypeError
	if errors.As(err, &typ) {
		return nil
	}
	return malformed("the event is not valid JSON: " + err.Error())
}

// read decodes value with the types of s and releases s.
func read[S, N ~string](d *Decoder, s *scratch[S, N], value []byte, src *source, e *Event) error {
	defer s.release()
	if err := s.unmarshal(value, &s.call); err != nil {
		return err
	}
	if c := bytes.TrimLeft(value, " \t\r\n"); c[0] != '{' {
		return malformed("the event is not a JSON object")
	}
	if err := readObjects(s, value, e); err != nil {
		return err
	}
	if err := readKind(s, src, e); err != nil {
		return err
	}
	if err := readContext(s, e); err != nil {
		return err
	}
	if e.Kind == Track {
		if err := readProperties(s, e); err != nil {
			return err
		}
	} else {
		e.Products = nil
	}
	if err := readIdentifiers(d, s, src, e); err != nil {
		return err
	}
	mergeTraits(s, e)
	return readTimes(s, src, e)
}

// readObjects finds the objects that stay JSON. Their copies in s serve to
// find equal bytes in value: any place with equal bytes will do.
func readObjects[S, N ~string](s *scratch[S, N], value []byte, e *Event) (err error) {
	if e.Properties, err = object(value, s.call.Properties, "properties"); err != nil {
		return err
	}
	if e.Traits, err = object(value, s.call.Traits, "traits"); err != nil {
		return err
	}
	e.Context, err = object(value, s.call.Context, "context")
	return err
}

func object(value, raw []byte, field string) ([]byte, error) {
	switch {
	case len(raw) == 0 || raw[0] == 'n':
		return nil, nil
	case raw[0] != '{':
		return nil, invalid(field, "must be an object")
	}
	i := bytes.Index(value, raw)
	return value[i : i+len(raw) : i+len(raw)], nil
}

// readKind reads the id of the call, its type and its name.
func readKind[S, N ~string](s *scratch[S, N], src *source, e *Event) error {
	c := &s.call
	if e.MessageID = src.messageID; e.MessageID == "" {
		id, err := plain(c.MessageID, "messageId", 4*MaxMessageID)
		if err != nil {
			return err
		}
		if len(id) > MaxMessageID && utf8.RuneCountInString(id) > MaxMessageID {
			return invalid("messageId", "must have at most "+strconv.Itoa(MaxMessageID)+" characters")
		}
		e.MessageID = id
	}
	switch c.Type {
	case "track":
		name, err := plain(c.Event, "event", MaxName)
		if err != nil {
			return err
		}
		if name == "" {
			return invalid("event", "a track call needs the name of what happened")
		}
		e.Kind, e.Name = Track, CanonicalName(name)
	case "identify":
		e.Kind, e.Name = Identify, "identify"
	case "page":
		e.Kind, e.Name = Page, "page"
	case "screen":
		e.Kind, e.Name = Screen, "screen"
	case "alias":
		e.Kind, e.Name = Alias, "alias"
	case "group":
		e.Kind, e.Name = Group, "group"
	default:
		return invalid("type", "must be one of track, identify, page, screen, alias, group")
	}
	return nil
}
