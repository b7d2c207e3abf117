package engine

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// configBuilder puts a Config together from its layers and remembers where each
// value came from, so that checks made at the end can say where to look.
type configBuilder struct {
	config   Config
	name     string             // of the file read, for problems without a place
	origin   map[string]Problem // by path: File, Line and Column only
	problems []Problem
}

func newConfigBuilder() *configBuilder {
	return &configBuilder{config: DefaultConfig(), origin: map[string]Problem{}}
}

// finish checks the values and returns all problems as one error.
func (b *configBuilder) finish() (Config, error) {
	b.check()
	if len(b.problems) > 0 {
		slices.SortStableFunc(b.problems, func(x, y Problem) int {
			if x.Line == 0 || y.Line == 0 { // environment and flags stay after the file
				return cmp.Compare(y.Line, 0) - cmp.Compare(x.Line, 0)
			}
			return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
		})
		return b.config, &ConfigError{Problems: b.problems}
	}
	return b.config, nil
}

// file decodes a YAML document over what is there.
func (b *configBuilder) file(name string, data []byte) {
	b.name = name
	doc, err := parseYAML(data)
	if err != nil {
		b.syntax(err)
		return
	}
	if len(doc.Docs) > 1 {
		b.at(doc.Docs[1].Start, "must be one YAML document, not several")
	}
	if len(doc.Docs) == 0 {
		return
	}
	switch body := doc.Docs[0].Body.(type) {
	case nil, *ast.CommentGroupNode, *ast.NullNode:
	default:
		b.decodeStruct("", body, reflect.ValueOf(&b.config).Elem())
	}
}

// parseYAML parses with duplicates allowed, so that they are reported together
// with the other problems. A panic of the parser is an error of the file.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("is not YAML: %v", r)
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func (b *configBuilder) syntax(err error) {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		b.at(syntax.Token, "%s", syntax.Message)
		return
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	b.problems = append(b.problems, Problem{File: b.name, Line: 1, Column: 1, Text: text})
}

// at adds a problem at a token of the file.
func (b *configBuilder) at(t *token.Token, format string, args ...any) {
	p := b.place(t)
	p.Text = fmt.Sprintf(format, args...)
	b.problems = append(b.problems, p)
}

func (b *configBuilder) place(t *token.Token) Problem {
	p := Problem{File: b.name, Line: 1, Column: 1}
	if t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

// decodeStruct sets the fields of v from a mapping.
func (b *configBuilder) decodeStruct(path string, node ast.Node, v reflect.Value) {
	values, ok := b.mapping(path, node)
	if !ok {
		return
	}
	fields := fieldsByName(v.Type())
	b.eachKey(path, values, func(key string, t *token.Token, value ast.Node) {
		field, known := fields[key]
		if !known {
			b.at(t, "%s: unknown key; allowed here: %s", join(path, key), strings.Join(fieldNames(v.Type()), " "))
			return
		}
		b.origin[join(path, key)] = b.place(value.GetToken())
		b.decodeValue(join(path, key), value, v.Field(field))
	})
}

// eachKey visits the pairs of a mapping and reports keys given twice and keys
// that are no text.
func (b *configBuilder) eachKey(path string, values []*ast.MappingValueNode, visit func(key string, t *token.Token, value ast.Node)) {
	seen := map[string]bool{}
	for _, pair := range values {
		t := pair.Key.GetToken()
		key, ok := pair.Key.(*ast.StringNode)
		switch {
		case !ok:
			b.at(t, "%s: is no key; write a plain name", join(path, pair.Key.String()))
		case seen[key.Value]:
			b.at(t, "%s: is given twice", join(path, key.Value))
		default:
			seen[key.Value] = true
			visit(key.Value, t, pair.Value)
		}
	}
}

// mapping returns the pairs of a mapping; an empty section has none.
func (b *configBuilder) mapping(path string, node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	case *ast.NullNode:
		return nil, path != ""
	}
	if path == "" {
		b.at(node.GetToken(), "must be keys with values, such as listen: 127.0.0.1:8080")
	} else {
		b.at(node.GetToken(), "%s: must be a section of keys with values, not %s", path, describe(node))
	}
	return nil, false
}

func (b *configBuilder) decodeValue(path string, node ast.Node, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		b.decodeStruct(path, node, v.Elem())
	case v.Kind() == reflect.Struct:
		b.decodeStruct(path, node, v)
	case v.Kind() == reflect.Slice:
		b.decodeList(path, node, v)
	case v.Type() == textsType:
		b.decodeTexts(path, node, v)
	case v.Kind() == reflect.Map:
		b.decodeRates(path, node, v)
	default:
		b.decodeScalar(path, node, v)
	}
}

func (b *configBuilder) decodeList(path string, node ast.Node, v reflect.Value) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		b.at(node.GetToken(), "%s: must be a list such as [a, b], not %s", path, describe(node))
		return
	}
	list := make([]string, 0, len(sequence.Values))
	for i, element := range sequence.Values {
		at := indexed(path, i)
		text, ok := stringValue(element)
		if !ok {
			b.at(element.GetToken(), "%s: must be a text, not %s; quote it", at, describe(element))
			continue
		}
		b.origin[indexed(path, len(list))] = b.place(element.GetToken())
		list = append(list, text)
	}
	v.Set(reflect.ValueOf(list))
}

func (b *configBuilder) decodeRates(path string, node ast.Node, v reflect.Value) {
	values, ok := b.mapping(path, node)
	if !ok {
		return
	}
	rates := map[string]float64{}
	b.eachKey(path, values, func(key string, _ *token.Token, value ast.Node) {
		b.origin[join(path, key)] = b.place(value.GetToken())
		switch n := value.(type) {
		case *ast.FloatNode:
			rates[key] = n.Value
		case *ast.IntegerNode:
			rates[key] = number(n)
		default:
			b.at(value.GetToken(), "%s: must be a number, not %s", join(path, key), describe(value))
		}
	})
	v.Set(reflect.ValueOf(rates))
}

func (b *configBuilder) decodeTexts(path string, node ast.Node, v reflect.Value) {
	values, ok := b.mapping(path, node)
	if !ok {
		return
	}
	texts := map[string]string{}
	b.eachKey(path, values, func(key string, _ *token.Token, value ast.Node) {
		text, ok := stringValue(value)
		if !ok {
			b.at(value.GetToken(), "%s: must be a text, not %s; quote it", join(path, key), describe(value))
		}
		texts[key] = text
	})
	v.Set(reflect.ValueOf(texts))
}

// decodeScalar checks that the YAML type is the field's, then reads the text.
func (b *configBuilder) decodeScalar(path string, node ast.Node, v reflect.Value) {
	var ok bool
	want, text := "a text", ""
	switch {
	case v.Type() == durationType:
		want = "a duration with a unit of s m h d w, such as 30s or 14d"
		text, ok = stringValue(node)
	case v.Type() == sizeType:
		want = "a size such as 512KB, 100MB or 4GB"
		if text, ok = stringValue(node); !ok {
			n, number := node.(*ast.IntegerNode)
			text, ok = "0", number && fmt.Sprint(n.Value) == "0" // which needs no unit
		}
	case v.Kind() == reflect.String:
		text, ok = stringValue(node)
	case v.Kind() == reflect.Int:
		want = "a whole number"
		var n *ast.IntegerNode
		if n, ok = node.(*ast.IntegerNode); ok {
			text = fmt.Sprint(n.Value)
		}
	case v.Kind() == reflect.Bool:
		want = "true or false"
		var n *ast.BoolNode
		if n, ok = node.(*ast.BoolNode); ok {
			text = fmt.Sprint(n.Value)
		}
	}
	if !ok {
		b.at(node.GetToken(), "%s: must be %s, not %s", path, want, describe(node))
		return
	}
	if err := setText(v, text); err != nil {
		b.at(node.GetToken(), "%s: %v", path, err)
	}
}

func stringValue(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

func number(n *ast.IntegerNode) float64 {
	switch x := n.Value.(type) {
	case int64:
		return float64(x)
	case uint64:
		return float64(x)
	}
	return 0
}

// describe names a node for people, with its text where that is short.
func describe(node ast.Node) string {
	text := ""
	if t := node.GetToken(); t != nil {
		text = t.Value
	}
	switch node.(type) {
	case *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode:
		return "the number " + text
	case *ast.BoolNode:
		return "the truth value " + text
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", text)
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "an anchor, alias or tag, which are not used here"
	}
	return fmt.Sprintf("%q", text)
}

// join appends a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func fieldsByName(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		fields[t.Field(i).Tag.Get("yaml")] = i
	}
	return fields
}

func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("yaml")
	}
	return names
}
