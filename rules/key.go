package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/valyala/fastjson"
)

// maxKey is the longest key of a run that is kept as it is.
const maxKey = 200

// key joins the values of the event's properties with these names; "" for none.
func (t *Turn) key(names []string) string {
	if len(names) == 0 {
		return ""
	}
	v, err := t.parser.ParseBytes(t.Event.Properties)
	if err != nil {
		return ""
	}
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = keyPart(v.Get(name))
	}
	key := strings.Trim(strings.Join(parts, "\x1f"), "\x1f")
	if len(key) > maxKey {
		sum := sha256.Sum256([]byte(key))
		return hex.EncodeToString(sum[:])
	}
	return key
}

func keyPart(v *fastjson.Value) string {
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeString:
		return string(v.GetStringBytes())
	case fastjson.TypeNumber, fastjson.TypeTrue, fastjson.TypeFalse:
		return v.String()
	}
	return ""
}
