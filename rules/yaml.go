package rules

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits of a rules file. Reading YAML takes time by the square of its marks:
// the colons, commas and line ends.
const (
	maxFile    = 1 << 20 // bytes
	maxMarks   = 40_000
	maxNesting = 100
)

const quoteAdvice = `put conditions in quotes, as in if: "..."`

// file reads one YAML file's tree strictly and collects every problem.
type file struct {
	name     string
	lines    []string
	problems *Problems
	defs     *definitions // what the file adds to; nil while something is only looked at
}

// entry is one `key: value` of a mapping, or one element of a list, which then
// has the list's key.
type entry struct {
	key string
	at  ast.Node // the key
	val ast.Node
}

// parseFile reads the tree; nil when the file is empty or no YAML.
func parseFile(name string, src []byte, problems *Problems) (f *file, root ast.Node) {
	f = &file{name: name, lines: strings.Split(string(src), "\n"), problems: problems}
	if len(src) > maxFile {
		f.addAt(0, 0, "must be at most %d bytes, this one has %d", maxFile, len(src))
		return f, nil
	}
	if len(f.lines)+bytes.Count(src, []byte(":"))+bytes.Count(src, []byte(",")) > maxMarks {
		f.addAt(0, 0, "is too large: split it into several files")
		return f, nil
	}
	if line := tooDeep(f.lines); line > 0 {
		f.addAt(line, 1, "nests more than %d levels deep", maxNesting)
		return f, nil
	}
	defer func() {
		if r := recover(); r != nil {
			f.addAt(1, 1, "cannot be read as YAML")
			root = nil
		}
	}()
	tree, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		f.syntax(err)
		return f, nil
	}
	for _, doc := range tree.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.CommentType:
		case root == nil:
			root = doc.Body
		default:
			f.add(doc.Body, "a file holds one document: put this one into a file of its own")
		}
	}
	return f, root
}

// tooDeep finds the line where brackets, or lists in one line, nest too deep.
func tooDeep(lines []string) int {
	depth := 0
	for i, l := range lines {
		if strings.Count(l, "- ")+strings.Count(l, "? ")+strings.Count(l, ": ") > 1000 {
			return i + 1
		}
		for _, c := range []byte(l) {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if depth > maxNesting {
				return i + 1
			}
		}
	}
	return 0
}

func (f *file) syntax(err error) {
	var se *yaml.SyntaxError
	if !errors.As(err, &se) || se.Token == nil {
		f.addAt(1, 1, "cannot be read as YAML: %v", err)
		return
	}
	p := se.Token.Position
	text := se.Message
	if l := f.line(p.Line); strings.Contains(l, "if:") || strings.Contains(l, "while:") || strings.Contains(l, "filter:") {
		text += "; " + quoteAdvice
	}
	f.addAt(p.Line, p.Column, "cannot be read as YAML: %s", text)
}

func (f *file) line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return f.lines[n-1]
}

func (f *file) addAt(line, column int, format string, args ...any) {
	*f.problems = append(*f.problems, Problem{f.name, line, column, fmt.Sprintf(format, args...)})
}

func (f *file) add(n ast.Node, format string, args ...any) {
	line, column := position(n)
	f.addAt(line, column, format, args...)
}

// position is where a node begins.
func position(n ast.Node) (line, column int) {
	switch x := n.(type) {
	case *ast.MappingNode:
		if !x.IsFlowStyle && len(x.Values) > 0 {
			return position(x.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(x.Key)
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return t.Position.Line, max(t.Position.Column, 1)
}

// wrong reports that e's value is not what it must be.
func (f *file) wrong(e entry, must string) {
	switch x := e.val.(type) {
	case *ast.NullNode:
		f.add(e.at, "%s is empty: it must be %s, or left out", e.key, must)
	case *ast.TagNode:
		f.add(x, "%s: tags are not allowed: put a text that starts with ! in quotes", e.key)
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		f.add(x, "%s: anchors and aliases are not allowed: write it out", e.key)
	default:
		f.add(e.val, "%s must be %s", e.key, must)
	}
}

// mapping lists the entries of a mapping whose keys are known. what names it
// in problems; later are keys of the language that this version lacks.
func (f *file) mapping(e entry, what string, allowed, later []string) []entry {
	all, ok := f.entries(e, what)
	if !ok {
		return nil
	}
	var out []entry
	for _, x := range all {
		switch {
		case slices.Contains(allowed, x.key):
			out = append(out, x)
		case slices.Contains(later, x.key):
			f.add(x.at, "%s in %s is not supported by this version yet; supported are %s", x.key, what, strings.Join(allowed, ", "))
		case isNull(x.val) && hasCondition(all):
			f.add(x.at, "the condition in %s is cut short before %q: %s", what, x.key, quoteAdvice)
		default:
			f.unknown(x, what, allowed)
		}
	}
	return out
}

func (f *file) unknown(x entry, what string, allowed []string) {
	hint := ""
	if near := nearest(x.key, slices.Clone(allowed)); near != "" {
		hint = fmt.Sprintf("did you mean %s? ", near)
	}
	f.add(x.at, "unknown key %q in %s: %sallowed are %s", x.key, what, hint, strings.Join(allowed, ", "))
}

// entries lists the entries of a mapping with any keys, repeats refused.
func (f *file) entries(e entry, what string) ([]entry, bool) {
	var values []*ast.MappingValueNode
	switch x := e.val.(type) {
	case *ast.MappingNode:
		values = x.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{x}
	default:
		f.wrong(e, "a mapping of keys to values")
		return nil, false
	}
	out := make([]entry, 0, len(values))
	seen := map[string]int{}
	for _, v := range values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			f.add(v.Key, "a key in %s must be a plain text", what)
			continue
		}
		if line, ok := seen[key.Value]; ok {
			f.add(key, "%q is there twice in %s: first in line %d", key.Value, what, line)
			continue
		}
		seen[key.Value], _ = position(key)
		out = append(out, entry{key.Value, key, v.Value})
	}
	return out, true
}

func isNull(n ast.Node) bool {
	_, ok := n.(*ast.NullNode)
	return n == nil || ok
}

// hasCondition reports whether a plain (not quoted) condition is among entries.
func hasCondition(all []entry) bool {
	return slices.ContainsFunc(all, func(e entry) bool {
		s, ok := e.val.(*ast.StringNode)
		return ok && (e.key == "if" || e.key == "while" || e.key == "filter") && !quoted(s)
	})
}

func quoted(s *ast.StringNode) bool {
	o := strings.TrimSpace(s.Token.Origin)
	return strings.HasPrefix(o, `"`) || strings.HasPrefix(o, "'")
}

// hasTag reports whether a value is a tag: YAML may have lost what follows it.
func hasTag(e entry) bool {
	var p Problems
	all, _ := (&file{problems: &p}).entries(e, "")
	return slices.ContainsFunc(all, func(x entry) bool { _, ok := x.val.(*ast.TagNode); return ok })
}

// elements are the elements of a list, or the value itself where it is none.
func elements(e entry) []entry {
	seq, ok := e.val.(*ast.SequenceNode)
	if !ok {
		return []entry{e}
	}
	out := make([]entry, len(seq.Values))
	for i, v := range seq.Values {
		out[i] = entry{e.key, v, v}
	}
	return out
}

// list are the elements of what must be a list.
func (f *file) list(e entry, of string) []entry {
	if _, ok := e.val.(*ast.SequenceNode); !ok {
		f.wrong(e, "a list of "+of)
		return nil
	}
	return elements(e)
}

func scalarText(n ast.Node) (string, bool) {
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value, true
	case *ast.LiteralNode:
		return x.Value.Value, true
	}
	return "", false
}

// text is a text that is not blank.
func (f *file) text(e entry, must string) (string, bool) {
	s, ok := scalarText(e.val)
	if !ok {
		f.wrong(e, must)
		return "", false
	}
	if strings.TrimSpace(s) == "" {
		f.add(e.val, "%s is blank: it must be %s", e.key, must)
		return "", false
	}
	return s, true
}

// texts is a text or a list of them, without repeats.
func (f *file) texts(e entry, must string) []string {
	var out []string
	all := elements(e)
	if len(all) == 0 {
		f.add(e.val, "%s is an empty list: it must be %s, or several", e.key, must)
	}
	for _, x := range all {
		s, ok := f.text(x, must)
		switch {
		case !ok:
		case slices.Contains(out, s):
			f.add(x.val, "%s has %q twice", e.key, s)
		default:
			out = append(out, s)
		}
	}
	return out
}

// oneOf is a text out of a few.
func (f *file) oneOf(e entry, allowed ...string) (string, bool) {
	must := "one of " + strings.Join(allowed, ", ")
	s, ok := f.text(e, must)
	if ok && !slices.Contains(allowed, s) {
		f.add(e.val, "%s is %q: it must be %s", e.key, s, must)
		return "", false
	}
	return s, ok
}

func (f *file) boolean(e entry) bool {
	b, ok := e.val.(*ast.BoolNode)
	if !ok {
		f.wrong(e, "true or false")
		return false
	}
	return b.Value
}

func (f *file) integer(e entry, least, most int) (int, bool) {
	must := fmt.Sprintf("a whole number from %d to %d", least, most)
	n, ok := e.val.(*ast.IntegerNode)
	if !ok {
		f.wrong(e, must)
		return 0, false
	}
	var v int64
	switch x := n.Value.(type) {
	case int64:
		v = x
	case uint64:
		v = int64(min(x, math.MaxInt64))
	}
	if v < int64(least) || v > int64(most) {
		f.add(e.val, "%s is %d: it must be %s", e.key, v, must)
		return 0, false
	}
	return int(v), true
}

// fraction is a number above 0 and at most 1.
func (f *file) fraction(e entry) (float64, bool) {
	return f.number(e, "a share above 0, at most 1", func(v float64) bool { return v > 0 && v <= 1 })
}

// number is one that is as it must be.
func (f *file) number(e entry, must string, ok func(float64) bool) (float64, bool) {
	var v float64
	switch n := e.val.(type) {
	case *ast.FloatNode:
		v = n.Value
	case *ast.IntegerNode:
		i, _ := n.Value.(uint64)
		v = float64(i)
	default:
		f.wrong(e, must)
		return 0, false
	}
	if ok(v) {
		return v, true
	}
	f.add(e.val, "%s is %v: it must be %s", e.key, v, must)
	return 0, false
}
