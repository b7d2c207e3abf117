package streams

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	gojson "github.com/goccy/go-json"
)

// plain returns a field that must be text of at most limit bytes: trimmed, ""
// when absent.
func plain[S ~string](v S, field string, limit int) (string, error) {
	s := trim(string(v))
	switch {
	case strings.HasPrefix(s, wrong):
		return "", invalid(field, "must be a string or a number")
	case len(s) > limit:
		return "", invalid(field, "must be at most "+strconv.Itoa(limit)+" bytes")
	}
	return s, nil
}

// info returns a field that only informs: what is no text counts as absent.
func info[S ~string](v S) string {
	s := trim(string(v))
	if strings.HasPrefix(s, wrong) {
		return ""
	}
	return s
}

// trim is strings.TrimSpace with a fast way for what needs none.
func trim(s string) string {
	if s == "" || (s[0] > ' ' && s[0] < 0x80 && s[len(s)-1] > ' ' && s[len(s)-1] < 0x80) {
		return s
	}
	return strings.TrimSpace(s)
}

// float returns a finite number of at least least; false when it is absent.
func float[N ~string](v N, field string, least float64) (float64, bool, error) {
	if v == "" {
		return 0, false, nil
	}
	f, ok := parseNumber(string(v))
	if !ok || f < least || f > maxNumber {
		return 0, false, invalid(field, mustBe(least))
	}
	return f, true, nil
}

// parseNumber reads a finite number as JSON writes it.
func parseNumber(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && jsonNumber(s)
}

// maxNumber bounds amounts, so that sums of them stay exact enough and finite.
const maxNumber = 1e15

func mustBe(least float64) string {
	if least < 0 {
		return "must be a number"
	}
	return "must be a number >= 0"
}

// jsonNumber refuses what strconv takes beyond JSON: "0x1p-2", "1_000", "+1".
func jsonNumber(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c == '.', c == '-', c == 'e', c == 'E':
		case c == '+' && i > 0:
		default:
			return false
		}
	}
	return true
}

// count returns a whole number: a fraction counts as the nearest one, a part
// of one as one, what is beyond MaxInt32 as that.
func count[N ~string](v N, field string) (int, bool, error) {
	if len(v) == 1 && v[0] >= '0' && v[0] <= '9' { // nearly all quantities
		return int(v[0] - '0'), true, nil
	}
	if v == "" {
		return 0, false, nil
	}
	switch f, ok := parseNumber(string(v)); {
	case !ok || f < 0:
		return 0, false, invalid(field, mustBe(0))
	case f > math.MaxInt32:
		return math.MaxInt32, true, nil // shops do send 10000000000000000
	case f > 0 && f < 1:
		return 1, true, nil
	default:
		return int(math.Round(f)), true, nil
	}
}

// readContext reads what context says of the channel, place and device.
func readContext[S, N ~string](s *scratch[S, N], e *Event) error {
	c := &s.context
	if e.Context != nil {
		if err := s.unmarshal(e.Context, c); err != nil {
			return err
		}
		if s.loose {
			if err := checkList(e.Context, "externalIds", "context."); err != nil {
				return err
			}
		}
	}
	var err error
	if e.Channel, err = plain(c.Channel, "context.channel", 64); err != nil {
		return err
	}
	if e.Store, err = plain(c.Store, "context.store", 256); err != nil {
		return err
	}
	if e.Channel == "" {
		e.Channel = guessChannel(c, e.Kind)
	}
	if e.Kind == Page && c.Page != nil {
		e.Place = info(c.Page.Path)
	}
	e.Locale, e.Timezone, e.PushToken = info(c.Locale), info(c.Timezone), info(c.Device.Token)
	return nil
}

// guessChannel names the channel of a call that does not.
func guessChannel[S ~string](c *wireContext[S], kind Kind) string {
	switch {
	case kind == Screen, mobile(info(c.Device.Type)), mobile(info(c.OS.Name)) && c.Page == nil:
		return "app"
	case c.Page != nil, browser(info(c.Library.Name)):
		return "web"
	}
	return "other"
}

func mobile(s string) bool {
	return strings.EqualFold(s, "ios") || strings.EqualFold(s, "ipados") || strings.EqualFold(s, "android")
}

func browser(library string) bool {
	return library == "analytics.js" || library == "@segment/analytics-next" ||
		library == "RudderLabs JavaScript SDK"
}

// checkList says where a list of objects is none. It is called only after a
// value had an unexpected type.
func checkList(raw []byte, key, path string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return malformed("the event is not valid JSON: " + err.Error())
	}
	list := bytes.TrimSpace(fields[key])
	if len(list) == 0 || list[0] == 'n' {
		return nil
	}
	var entries []json.RawMessage
	if json.Unmarshal(list, &entries) != nil {
		return invalid(path+key, "must be a list of objects")
	}
	for i, entry := range entries {
		if entry[0] != '{' {
			return invalid(path+key+"["+strconv.Itoa(i)+"]", "must be an object")
		}
	}
	return nil
}

// mergeTraits sets e.Traits: those of the call over those of its context. The
// traits of a group call describe the group, not the customer.
func mergeTraits[S, N ~string](s *scratch[S, N], e *Event) {
	if e.Kind == Group {
		e.Traits = nil
	}
	inner := s.context.Traits
	if len(inner) == 0 || inner[0] != '{' {
		return
	}
	if e.Traits == nil {
		i := bytes.Index(e.Context, inner)
		e.Traits = e.Context[i : i+len(inner) : i+len(inner)]
		return
	}
	if merged, ok := overlay(inner, e.Traits); ok {
		e.Traits = merged
	}
}

// overlay returns the object base with the fields of over, both valid JSON
// objects: what base alone has, keys sorted, then over as it is.
func overlay(base, over []byte) ([]byte, bool) {
	var below, above map[string]gojson.RawMessage
	if gojson.Unmarshal(base, &below) != nil || gojson.Unmarshal(over, &above) != nil {
		return nil, false
	}
	front := make([]byte, 0, len(base))
	for _, key := range slices.Sorted(maps.Keys(below)) {
		if _, ok := above[key]; ok {
			continue
		}
		name, err := gojson.Marshal(key)
		if err != nil {
			return nil, false
		}
		front = append(append(append(front, name...), ':'), below[key]...)
		front = append(front, ',')
	}
	if len(front) == 0 {
		return over, true
	}
	return splice(front, over), true
}
