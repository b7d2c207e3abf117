package streams

// Identifier names a customer: "user:42", "card:7001", "email:a@b.c". Value is
// normalised (e-mail lower-cased, phone in E.164, others trimmed).
type Identifier struct {
	Type, Value string
}

// String is the form used as key, profile id and in URLs: "type:value".
func (i Identifier) String() string { return i.Type + ":" + i.Value }

// IsZero reports whether i names nobody.
func (i Identifier) IsZero() bool { return i.Type == "" }

// rank orders the types, the strongest first. Types not listed come between
// email and anonymous.
func rank(typ string) int {
	switch typ {
	case "user":
		return 0
	case "card":
		return 1
	case "phone":
		return 2
	case "email":
		return 3
	case "anonymous":
		return 5
	case MessageType:
		return 6 // never anybody's profile
	}
	return 4
}

// Stronger reports whether i names a customer better than o: by type (user,
// card, phone, email, other types, anonymous), then by bytes of "type:value", the
// smaller stronger.
func (i Identifier) Stronger(o Identifier) bool {
	if a, b := rank(i.Type), rank(o.Type); a != b {
		return a < b
	}
	if i.Type != o.Type {
		return i.Type < o.Type
	}
	return i.Value < o.Value
}
