package streams

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
)

// Limits of identifiers.
const (
	MaxIdentifier  = 256 // bytes of a value
	MaxIdentifiers = 50  // of one event
)

// MessageType is the type of the identifier that stands for a customer in
// feedback which names nobody but a message: "message:<message id>".
const MessageType = "message"

// Normalize returns the identifier that typ and value name: e-mail lower-cased
// and trimmed, phone in E.164 (read with d.Region), others trimmed. An error is
// an *InvalidError about the field "id".
func (d *Decoder) Normalize(typ, value string) (Identifier, error) {
	if !validType(typ) {
		return Identifier{}, invalid("id", "the type "+strconv.Quote(cut(typ))+
			" must start with a letter and have at most 32 of a-z, 0-9 and _")
	}
	value = trim(value)
	switch typ {
	case "email":
		value = strings.ToLower(value)
		if at := strings.LastIndexByte(value, '@'); at < 1 || at == len(value)-1 || strings.ContainsAny(value, " \t") {
			return Identifier{}, invalid("id", strconv.Quote(cut(value))+" is not an e-mail address")
		}
	case "phone":
		e164, ok := phone(value, d.Region)
		if !ok {
			return Identifier{}, invalid("id", strconv.Quote(cut(value))+
				" is not a phone number; write it as +380501234567")
		}
		value = e164
	}
	switch {
	case value == "":
		return Identifier{}, invalid("id", "the value after "+typ+": is empty")
	case len(value) > MaxIdentifier:
		return Identifier{}, invalid("id", "must be at most "+strconv.Itoa(MaxIdentifier)+" bytes")
	case hasControl(value):
		return Identifier{}, invalid("id", "must have no control characters")
	}
	return Identifier{Type: typ, Value: value}, nil
}

// hasControl reports whether s has ASCII control characters or is no UTF-8.
func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			return true
		case c >= utf8.RuneSelf:
			return strings.ContainsFunc(s[i:], func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
		}
	}
	return false
}

// ParseIdentifier reads "type:value" as written in paths and queries, after
// percent-decoding, and normalises it. An error is an *InvalidError.
func (d *Decoder) ParseIdentifier(s string) (Identifier, error) {
	typ, value, ok := strings.Cut(s, ":")
	if !ok {
		return Identifier{}, invalid("id", strconv.Quote(cut(s))+" must be type:value, like user:42")
	}
	return d.Normalize(trim(typ), value)
}

// Named reports whether s has the form of an identifier, "type:value", which a
// profile's id must have.
func Named(s string) bool {
	typ, value, ok := strings.Cut(s, ":")
	return ok && validType(typ) && value != "" && len(value) <= MaxIdentifier && !hasControl(value)
}

// cut shortens what is quoted in an error.
func cut(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "..."
	}
	return s
}

func validType(typ string) bool {
	if typ == "" || len(typ) > 32 || typ[0] < 'a' || typ[0] > 'z' {
		return false
	}
	for i := 1; i < len(typ); i++ {
		c := typ[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// phone returns a number in E.164. One whose form would be read as another
// number is none: a normalised value must stay as it is.
func phone(value, region string) (string, bool) {
	letters := func(r rune) bool { return r == utf8.RuneError || unicode.IsLetter(r) }
	if value == "" || len(value) > 64 || strings.ContainsFunc(value, letters) {
		return "", false
	}
	n, err := phonenumbers.Parse(value, region)
	if err != nil || phonenumbers.IsPossibleNumberWithReason(n) != phonenumbers.IS_POSSIBLE {
		return "", false
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if e164 != value {
		n, err = phonenumbers.Parse(e164, region)
		if err != nil || phonenumbers.Format(n, phonenumbers.E164) != e164 {
			return "", false
		}
	}
	return e164, true
}

// believed sorts the identifiers of an event as its source may be believed.
type believed struct {
	d         *Decoder
	anonymous bool
	proven    string
	e         *Event
}

// add normalises an identifier and keeps it. An e-mail address or a phone
// number that is none is passed over; anything else wrong is an error.
func (b *believed) add(typ, value, field string) (Identifier, error) {
	if value == "" {
		return Identifier{}, nil
	}
	id, err := b.d.Normalize(typ, value)
	switch {
	case err != nil && (typ == "email" || typ == "phone"):
		return Identifier{}, nil
	case err != nil:
		return Identifier{}, at(err, field, "")
	}
	list := &b.e.Identifiers
	if b.anonymous && typ != "anonymous" && (b.proven == "" || id.String() != b.proven) {
		list = &b.e.Claimed
	}
	if !slices.Contains(*list, id) {
		*list = append(*list, id)
	}
	if list == &b.e.Claimed {
		return Identifier{}, nil
	}
	return id, nil
}

// readIdentifiers sets Identifiers, Claimed and Previous.
func readIdentifiers[S, N ~string](d *Decoder, s *scratch[S, N], src *source, e *Event) error {
	b := &believed{d: d, anonymous: src.anonymous, proven: src.proven, e: e}
	for _, f := range [...]struct {
		typ   string
		value S
		field string
	}{
		{"user", s.call.UserID, "userId"},
		{"anonymous", s.call.AnonymousID, "anonymousId"},
	} {
		value, err := plain(f.value, f.field, MaxIdentifier)
		if err == nil {
			_, err = b.add(f.typ, value, f.field)
		}
		if err != nil {
			return err
		}
	}
	if err := readExternalIDs(b, s.context.ExternalIDs); err != nil {
		return err
	}
	if err := readTraitIDs(b, s); err != nil {
		return err
	}
	if e.Kind == Alias {
		if err := readPrevious(b, s.call.PreviousID); err != nil {
			return err
		}
	}
	if len(e.Identifiers) == 0 && e.MessageRef != "" && !e.Behaviour() {
		e.Identifiers = append(e.Identifiers, Identifier{Type: MessageType, Value: e.MessageRef})
	}
	return checkIdentifiers(e)
}

// checkIdentifiers sorts the identifiers, strongest first.
func checkIdentifiers(e *Event) error {
	switch n := len(e.Identifiers); {
	case n == 0 && len(e.Claimed) > 0:
		return &InvalidError{Reason: ReasonNoIdentifier, Field: "anonymousId",
			Detail: "a public key names customers by anonymousId only; send it, or sign the identifier in context.sig"}
	case n == 0:
		return &InvalidError{Reason: ReasonNoIdentifier, Field: "userId",
			Detail: "the event names no customer; send userId, anonymousId, context.externalIds, " +
				"or traits with a valid email, phone or card"}
	case n+len(e.Claimed) > MaxIdentifiers:
		return invalid("context.externalIds", "an event names its customer at most "+strconv.Itoa(MaxIdentifiers)+" times")
	case n > 1:
		slices.SortFunc(e.Identifiers, compareStrength)
	}
	slices.SortFunc(e.Claimed, compareStrength)
	return nil
}

// compareStrength orders the stronger identifier first.
func compareStrength(a, b Identifier) int {
	switch {
	case a == b:
		return 0
	case a.Stronger(b):
		return -1
	}
	return 1
}

func readExternalIDs[S ~string](b *believed, ids []wireID[S]) error {
	for i := range ids {
		typ, err := plain(ids[i].Type, ".type", MaxIdentifier)
		value := ""
		if err == nil {
			value, err = plain(ids[i].ID, ".id", 4*MaxIdentifier)
		}
		switch {
		case err != nil:
		case !validType(typ):
			err = invalid(".type", "must start with a letter and have at most 32 of a-z, 0-9 and _")
		case value == "":
			err = invalid(".id", "is missing")
		default:
			_, err = b.add(typ, value, ".id")
		}
		if err != nil {
			return under(err, "context.externalIds", i)
		}
	}
	return nil
}

// readTraitIDs reads the identifiers in the call's traits, unless they are
// those of a group, and in context.traits.
func readTraitIDs[S, N ~string](b *believed, s *scratch[S, N]) error {
	e := b.e
	if e.Traits != nil && e.Kind != Group {
		if err := addTraits(b, s, e.Traits, "traits"); err != nil {
			return err
		}
	}
	inner, err := object(e.Context, s.context.Traits, "context.traits")
	if err != nil || inner == nil {
		return err
	}
	return addTraits(b, s, inner, "context.traits")
}

func addTraits[S, N ~string](b *believed, s *scratch[S, N], raw []byte, path string) error {
	t := &s.traits
	*t = wireTraits[S]{}
	if err := s.unmarshal(raw, t); err != nil {
		return err
	}
	if _, err := b.add("email", info(t.Email), ""); err != nil {
		return err
	}
	if _, err := b.add("phone", info(t.Phone), ""); err != nil {
		return err
	}
	card, err := plain(t.Card, "", MaxIdentifier)
	if err == nil {
		_, err = b.add("card", card, "")
	}
	return at(err, path, ".card")
}

// readPrevious reads the other identifier of an alias call: an anonymous id,
// unless it is written "type:value" with a type that is known.
func readPrevious[S ~string](b *believed, previous S) error {
	value, err := plain(previous, "previousId", 4*MaxIdentifier)
	if err != nil {
		return err
	}
	typ := "anonymous"
	if t, rest, ok := strings.Cut(value, ":"); ok && rank(t) != rank("") {
		typ, value = t, rest
	}
	if value == "" && len(b.e.Identifiers) < 2 {
		return invalid("previousId", "an alias call needs it")
	}
	b.e.Previous, err = b.add(typ, value, "previousId")
	return err
}
