package rules

import (
	"math"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// flips tells when a condition may change by time alone.
type flips struct {
	moments []*condition // each a timestamp around which a comparison changes
	counts  []window     // profile.count: an event leaves the window
	bought  []*condition // durations of profile.bought
	cart    bool         // lines leave the cart by their age
	daily   bool         // the time is read in another way: look every day
}

// window is the window of a profile.count.
type window struct {
	event string
	long  *condition // a duration
}

// flipsOf finds where a condition reads the time, nil where it does not.
func flipsOf(a *ast.AST) *flips {
	f := &flips{}
	named, solved := 0, 0
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.IdentKind && e.AsIdent() == "now":
			named++
		case e.Kind() == ast.CallKind:
			solved += f.call(e.AsCall(), a)
		case e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == "affinities":
			f.daily = true // they fade
		case e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == "cart":
			f.cart = true
		}
	}))
	f.daily = f.daily || named != solved
	if !f.daily && !f.cart && len(f.moments)+len(f.counts)+len(f.bought) == 0 {
		return nil
	}
	return f
}

// call looks at one call and returns how many times `now` it has dealt with.
func (f *flips) call(call ast.CallExpr, a *ast.AST) int {
	args := call.Args()
	switch name := call.FunctionName(); {
	case call.IsMemberFunction() && (name == "count" || name == "bought") && len(args) == 2:
		long, ok := compilePart(durationExpr, a, args[1])
		if !ok {
			f.daily = true
			break
		}
		if event, isText := literal(args[0]).(types.String); name == "count" && isText {
			f.counts = append(f.counts, window{string(event), long})
		} else {
			f.bought = append(f.bought, long)
		}
	case len(args) == 2 && comparisons[name]:
		for i := range 2 {
			if m, ok := moment(a, args[i], args[1-i]); ok {
				f.moments = append(f.moments, m)
				return 1
			}
		}
	}
	return 0
}

var comparisons = map[string]bool{
	operators.Less: true, operators.LessEquals: true, operators.Greater: true, operators.GreaterEquals: true,
	operators.Equals: true, operators.NotEquals: true,
}

const durationExpr = "duration(0) + (%)"

// moment solves side = other for now, where side is now, now - x, now + x or
// x - now.
func moment(a *ast.AST, side, other ast.Expr) (*condition, bool) {
	if isNow(side) {
		return compilePart("%", a, other)
	}
	if side.Kind() != ast.CallKind || len(side.AsCall().Args()) != 2 {
		return nil, false
	}
	x, y := side.AsCall().Args()[0], side.AsCall().Args()[1]
	switch op := side.AsCall().FunctionName(); {
	case op == operators.Subtract && isNow(x): // now - y = other
		return compilePart("(%) + (%)", a, y, other)
	case op == operators.Subtract && isNow(y): // x - now = other
		return compilePart("(%) - (%)", a, x, other)
	case op == operators.Add && isNow(x):
		return compilePart("(%) - (%)", a, other, y)
	case op == operators.Add && isNow(y):
		return compilePart("(%) - (%)", a, other, x)
	}
	return nil, false
}

func isNow(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "now" }

// compilePart compiles parts of a condition, put in the places of % in a
// pattern; false where they mean nothing outside of it.
func compilePart(pattern string, a *ast.AST, parts ...ast.Expr) (*condition, bool) {
	src := ""
	for _, r := range pattern {
		if r != '%' {
			src += string(r)
			continue
		}
		part, err := cel.ExprToString(parts[0], a.SourceInfo())
		if err != nil {
			return nil, false
		}
		src += part
		parts = parts[1:]
	}
	if pattern == durationExpr {
		src = src[len("duration(0) + "):]
	}
	c, errs := compile(src, siteSegment, false)
	if len(errs) > 0 {
		return nil, false
	}
	switch out := c.ast.GetType(c.ast.Expr().ID()); {
	case pattern == durationExpr && out.IsExactType(types.DurationType):
	case pattern != durationExpr && out.IsExactType(types.TimestampType):
	default:
		return nil, false
	}
	for _, r := range []string{"now"} {
		if names(c.ast, r) {
			return nil, false // both sides read the time
		}
	}
	return c, true
}

func names(a *ast.AST, ident string) bool {
	found := false
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.IdentKind && e.AsIdent() == ident
	}))
	return found
}

// next is the first moment after a time at which the condition may change,
// MaxInt64 for none.
func (f *flips) next(s *scope, after int64) int64 {
	due := int64(math.MaxInt64)
	note := func(at int64) {
		// A comparison changes at the moment, or just after it.
		for _, c := range []int64{at, at + 1} {
			if c > after {
				due = min(due, c)
				return
			}
		}
	}
	s.at(&zeroEvent, nil)
	for _, m := range f.moments {
		if v, failure := m.value(s); failure == "" {
			if t, ok := v.(types.Timestamp); ok {
				note(t.UnixMilli())
			}
		}
	}
	for _, w := range f.counts {
		if c, d := s.counted(w.event), length(w.long, s); c != nil && d > 0 {
			for _, at := range c.At {
				note(at + d)
			}
		}
	}
	for _, long := range f.bought {
		if d := length(long, s); d > 0 {
			for _, o := range orZero(s.profile.Orders, &zeroOrders).Recent {
				note(o.At + d)
			}
		}
	}
	if f.cart {
		for _, l := range orZero(s.profile.Cart, &zeroCart).Lines {
			note(l.AddedAt + s.cartTTL().Milliseconds())
		}
	}
	if f.daily {
		due = min(due, nextDay(after, s.defaultZone()))
	}
	return due
}

func length(c *condition, s *scope) int64 {
	v, failure := c.value(s)
	if d, ok := v.(types.Duration); ok && failure == "" {
		return d.Milliseconds()
	}
	return 0
}

// nextDay is the beginning of the next day.
func nextDay(after int64, loc *time.Location) int64 {
	if loc == nil {
		loc = time.UTC
	}
	t := time.UnixMilli(after).In(loc)
	d := time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
	if at := localTime(d, 0, loc); at > after {
		return at
	}
	return after + day
}
