package rules

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// Conditions that only compare what cannot be missing (the item's fields, the
// number of lines in the cart, constants) run as Go closures: a hundred times
// faster than the same through CEL, and equal to it in every case.

// number, word and truth are expressions as closures.
type (
	number func(*scope) float64
	word   func(*scope) string
	truth  func(*scope) bool
)

var itemNumbers = map[string]func(*itemView) float64{
	"price":     (*itemView).price,
	"old_price": func(v *itemView) float64 { return v.get().OldPrice },
	"stock":     func(v *itemView) float64 { return float64(v.stock()) },
}

var itemWords = map[string]func(*itemView) string{
	"id": (*itemView).id, "name": (*itemView).name, "url": (*itemView).url,
	"image_url": (*itemView).imageURL, "brand": (*itemView).brand,
	"group_id": func(v *itemView) string { return v.get().GroupID },
}

// closure compiles a checked expression, nil when it needs CEL.
func closure(a *ast.AST) func(*scope) bool { return truthOf(a.Expr()) }

func truthOf(e ast.Expr) truth {
	if b, ok := literal(e).(types.Bool); ok {
		return func(*scope) bool { return bool(b) }
	}
	if itemField(e) == "available" {
		return func(s *scope) bool { return s.item().available() }
	}
	if e.Kind() != ast.CallKind {
		return nil
	}
	call := e.AsCall()
	switch args := call.Args(); {
	case call.FunctionName() == operators.LogicalNot:
		if x := truthOf(args[0]); x != nil {
			return func(s *scope) bool { return !x(s) }
		}
	case call.FunctionName() == operators.LogicalAnd:
		if x, y := truthOf(args[0]), truthOf(args[1]); x != nil && y != nil && len(args) == 2 {
			return func(s *scope) bool { return x(s) && y(s) }
		}
	case call.FunctionName() == operators.LogicalOr:
		if x, y := truthOf(args[0]), truthOf(args[1]); x != nil && y != nil && len(args) == 2 {
			return func(s *scope) bool { return x(s) || y(s) }
		}
	case call.FunctionName() == operators.In:
		if x := wordOf(args[0]); x != nil && itemField(args[1]) == "category" {
			return func(s *scope) bool { return slices.Contains(s.item().category(), x(s)) }
		}
	case len(args) == 2:
		if x, y := numberOf(args[0]), numberOf(args[1]); x != nil && y != nil {
			return compareNumbers(call.FunctionName(), x, y)
		}
		if x, y := wordOf(args[0]), wordOf(args[1]); x != nil && y != nil {
			return compareWords(call.FunctionName(), x, y)
		}
	}
	return nil
}

func compareNumbers(op string, x, y number) truth {
	switch op {
	case operators.Equals:
		return func(s *scope) bool { return x(s) == y(s) }
	case operators.NotEquals:
		return func(s *scope) bool { return x(s) != y(s) }
	case operators.Less:
		return func(s *scope) bool { return x(s) < y(s) }
	case operators.LessEquals:
		return func(s *scope) bool { return x(s) <= y(s) }
	case operators.Greater:
		return func(s *scope) bool { return x(s) > y(s) }
	case operators.GreaterEquals:
		return func(s *scope) bool { return x(s) >= y(s) }
	}
	return nil
}

func compareWords(op string, x, y word) truth {
	switch op {
	case operators.Equals:
		return func(s *scope) bool { return x(s) == y(s) }
	case operators.NotEquals:
		return func(s *scope) bool { return x(s) != y(s) }
	}
	return nil
}

// numberOf takes numbers that a float64 holds exactly.
func numberOf(e ast.Expr) number {
	const exact = 1 << 53
	switch v := literal(e).(type) {
	case types.Int:
		if v < exact && v > -exact {
			return func(*scope) float64 { return float64(v) }
		}
		return nil
	case types.Double:
		return func(*scope) float64 { return float64(v) }
	}
	if get := itemNumbers[itemField(e)]; get != nil {
		return func(s *scope) float64 { return get(s.item()) }
	}
	if isCartSize(e) {
		return func(s *scope) float64 { return float64(len(s.cart().Lines)) }
	}
	return nil
}

func wordOf(e ast.Expr) word {
	if v, ok := literal(e).(types.String); ok {
		return func(*scope) string { return string(v) }
	}
	if get := itemWords[itemField(e)]; get != nil {
		return func(s *scope) string { return get(s.item()) }
	}
	return nil
}

// itemField is f of `item.f`, "" for anything else.
func itemField(e ast.Expr) string {
	if path := selectPath(e); len(path) == 2 && path[0] == "item" {
		return path[1]
	}
	return ""
}

// isCartSize recognises size(profile.cart.items).
func isCartSize(e ast.Expr) bool {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "size" {
		return false
	}
	call := e.AsCall()
	arg := call.Target()
	if !call.IsMemberFunction() {
		arg = call.Args()[0]
	}
	p := selectPath(arg)
	return len(p) == 3 && p[0] == "profile" && p[1] == "cart" && p[2] == "items"
}

// selectPath is [a b c] of `a.b.c`, nil for anything else, has() included.
func selectPath(e ast.Expr) []string {
	switch e.Kind() {
	case ast.IdentKind:
		return []string{e.AsIdent()}
	case ast.SelectKind:
		sel := e.AsSelect()
		if path := selectPath(sel.Operand()); path != nil && !sel.IsTestOnly() {
			return append(path, sel.FieldName())
		}
	}
	return nil
}
