package rules

import (
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// plainValue is a CEL value as JSON can hold it: times as RFC 3339, durations as
// seconds, objects with all their fields.
func plainValue(v ref.Val, depth int) (any, bool) {
	if depth > 8 {
		return nil, false
	}
	switch x := v.(type) {
	case types.String:
		return string(x), true
	case types.Int:
		return int64(x), true
	case types.Uint:
		return uint64(x), true
	case types.Double:
		return float64(x), float64(x) == float64(x) && float64(x)-float64(x) == 0
	case types.Bool:
		return bool(x), true
	case types.Null:
		return nil, true
	case types.Timestamp:
		return x.UTC().Format(time.RFC3339Nano), true
	case types.Duration:
		return x.Seconds(), true
	case *object:
		return plainObject(*x, depth)
	case object:
		return plainObject(x, depth)
	case traits.Mapper:
		return plainMap(x, depth)
	case traits.Lister:
		return plainList(x, depth)
	}
	return nil, false
}

func plainObject(o object, depth int) (any, bool) {
	out := make(map[string]any, len(o.t.fields))
	for _, name := range o.t.fieldNames() {
		if v, ok := plainValue(o.Get(types.String(name)), depth+1); ok {
			out[name] = v
		}
	}
	return out, len(out) > 0
}

func plainList(l traits.Lister, depth int) (any, bool) {
	out := []any{}
	for it := l.Iterator(); it.HasNext() == types.True; {
		v, ok := plainValue(it.Next(), depth+1)
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

func plainMap(m traits.Mapper, depth int) (any, bool) {
	out := map[string]any{}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, isText := key.(types.String)
		v, ok := plainValue(m.Get(key), depth+1)
		if !ok || !isText {
			return nil, false
		}
		out[string(name)] = v
	}
	return out, true
}
