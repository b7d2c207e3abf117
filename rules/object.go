package rules

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// structType is a type of the rule language with its fields.
type structType struct {
	name   string
	typ    *types.Type
	fields map[string]field
}

// field reads one field of a Go value.
type field struct {
	typ *types.Type
	get func(v any) any // v is never nil
}

func newStruct(name string, fields map[string]field) *structType {
	typ := types.NewObjectType("rapport."+name, traits.IndexerType|traits.FieldTesterType)
	return &structType{name: name, typ: typ, fields: fields}
}

// object is a value of a structType: a pointer into the profile, the event or
// the catalogue, whose fields are read when a condition asks for them.
type object struct {
	t *structType
	v any // a pointer
}

// ConvertToNative is part of ref.Val.
func (o object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("cannot convert %s to %v", o.t.name, t)
}

// ConvertToType is part of ref.Val.
func (o object) ConvertToType(t ref.Type) ref.Val {
	if t == types.TypeType {
		return o.t.typ
	}
	return types.NewErr("cannot convert %s to %s", o.t.name, t.TypeName())
}

// Equal is part of ref.Val: the same object.
func (o object) Equal(other ref.Val) ref.Val {
	switch x := other.(type) {
	case object:
		return types.Bool(x.v == o.v)
	case *object:
		return types.Bool(x.v == o.v)
	}
	return types.False
}

// Type is part of ref.Val.
func (o object) Type() ref.Type { return o.t.typ }

// Value is part of ref.Val: the Go value that fields are read from.
func (o object) Value() any { return o.v }

// Get reads a field by name, where the type was not known at load.
func (o object) Get(index ref.Val) ref.Val {
	name, _ := index.(types.String)
	f, ok := o.t.fields[string(name)]
	if !ok {
		return types.NewErr("no such field: %v", index)
	}
	return types.DefaultTypeAdapter.NativeToValue(f.get(o.v))
}

// IsSet tells whether a field has a value other than its zero value.
func (o object) IsSet(index ref.Val) ref.Val {
	name, _ := index.(types.String)
	f, ok := o.t.fields[string(name)]
	if !ok {
		return types.NewErr("no such field: %v", index)
	}
	return types.Bool(isSet(f.get(o.v)))
}

func isSet(v any) bool {
	switch x := v.(type) {
	case string:
		return x != ""
	case int64:
		return x != 0
	case float64:
		return x != 0
	case bool:
		return x
	case types.Timestamp:
		return x.UnixMilli() != 0
	case traits.Sizer:
		return x.Size() != types.IntZero
	case []string:
		return len(x) > 0
	case map[string]any:
		return len(x) > 0
	}
	return true
}

// list is a list of objects that are made when they are asked for.
type list struct {
	t  *structType
	n  int
	at func(i int) any
}

func listOf[T any](t *structType, s []*T) ref.Val {
	return &list{t, len(s), func(i int) any { return s[i] }}
}

// whole is the list with all elements made.
func (l *list) whole() traits.Lister {
	vals := make([]ref.Val, l.n)
	for i := range vals {
		vals[i] = object{l.t, l.at(i)}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, vals)
}

// The methods of traits.Lister.

func (l *list) Size() ref.Val { return types.Int(l.n) }

func (l *list) Get(index ref.Val) ref.Val {
	i, ok := index.(types.Int)
	if !ok || i < 0 || int(i) >= l.n {
		return l.whole().Get(index)
	}
	return object{l.t, l.at(int(i))}
}

func (l *list) Iterator() traits.Iterator { return &listIterator{l: l} }

func (l *list) Add(other ref.Val) ref.Val      { return l.whole().Add(wholeOf(other)) }
func (l *list) Contains(value ref.Val) ref.Val { return l.whole().Contains(value) }
func (l *list) Equal(other ref.Val) ref.Val    { return l.whole().Equal(wholeOf(other)) }
func (l *list) Type() ref.Type                 { return types.ListType }
func (l *list) Value() any                     { return l.whole().Value() }

func (l *list) ConvertToNative(t reflect.Type) (any, error) { return l.whole().ConvertToNative(t) }
func (l *list) ConvertToType(t ref.Type) ref.Val {
	if t == types.ListType {
		return l
	}
	return l.whole().ConvertToType(t)
}

func wholeOf(v ref.Val) ref.Val {
	if l, ok := v.(*list); ok {
		return l.whole()
	}
	return v
}

type listIterator struct {
	noVal
	l *list
	i int
}

// HasNext is part of traits.Iterator.
func (it *listIterator) HasNext() ref.Val { return types.Bool(it.i < it.l.n) }

// Next is part of traits.Iterator.
func (it *listIterator) Next() ref.Val {
	if it.i >= it.l.n {
		return nil
	}
	it.i++
	return object{it.l.t, it.l.at(it.i - 1)}
}

// noVal makes an iterator a ref.Val that is never looked at.
type noVal struct{}

func (noVal) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("cannot convert an iterator")
}
func (noVal) ConvertToType(ref.Type) ref.Val { return types.NewErr("cannot convert an iterator") }
func (noVal) Equal(ref.Val) ref.Val          { return types.False }
func (noVal) Type() ref.Type                 { return types.IteratorType }
func (noVal) Value() any                     { return nil }

// entries is a map in which every key exists: one that has no entry answers
// the zero object. Listing it gives the entries that there are.
type entries struct {
	traits.Mapper // the map of what there is
	find          func(name string) ref.Val
}

func newEntries(t *structType, names []string, find func(name string) any) ref.Val {
	m := make(map[string]ref.Val, len(names))
	for _, n := range names {
		m[n] = object{t, find(n)}
	}
	return &entries{
		Mapper: types.NewDynamicMap(types.DefaultTypeAdapter, m),
		find:   func(n string) ref.Val { return object{t, find(n)} },
	}
}

// Find is part of traits.Mapper.
func (e *entries) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	return e.find(string(name)), true
}

// Get is part of traits.Mapper.
func (e *entries) Get(key ref.Val) ref.Val {
	v, _ := e.Find(key)
	return v
}
