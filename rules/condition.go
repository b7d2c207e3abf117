package rules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/rapport-engine/rapport/streams"
)

// condition is a compiled CEL expression.
type condition struct {
	src    string
	ast    *ast.AST
	prog   cel.Program
	fast   func(*scope) bool // the same as a closure; nil where there is none
	counts []string          // event names that profile.count and profile.last read
}

// exprError is what is wrong in an expression: line from 1, column from 0.
type exprError struct {
	line, column int
	text         string
}

// compile compiles an expression that stands at a site. wantBool refuses any
// other result.
func compile(src string, s site, wantBool bool) (*condition, []exprError) {
	env := environment(s)
	checked, issues := env.Compile(src)
	if errs := issues.Errors(); len(errs) > 0 {
		out := make([]exprError, len(errs))
		for i, e := range errs {
			out[i] = exprError{e.Location.Line(), e.Location.Column(), explain(e.Message, s)}
		}
		return nil, out
	}
	if out := checked.OutputType(); wantBool && !out.IsExactType(types.BoolType) && !out.IsExactType(types.DynType) {
		return nil, []exprError{{1, 0, fmt.Sprintf("a condition must be true or false, this one is %s", typeName(out))}}
	}
	limit := uint64(costLimit)
	if s == siteFilter {
		limit = filterCostLimit
	}
	prog, err := env.Program(checked, cel.CostLimit(limit), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, []exprError{{1, 0, err.Error()}}
	}
	c := &condition{src: src, ast: checked.NativeRep(), prog: prog}
	if wantBool {
		c.fast = closure(checked.NativeRep())
	}
	var errs []exprError
	c.counts, errs = countedNames(checked.NativeRep())
	return c, errs
}

func typeName(t *types.Type) string {
	return strings.TrimPrefix(t.String(), "rapport.")
}

var noOverload = regexp.MustCompile(`^found no matching overload for '(\S+)' applied to '(.*)'$`)

// explain puts CEL's message into a marketer's words.
func explain(msg string, s site) string {
	msg = strings.ReplaceAll(msg, "rapport.", "")
	msg = strings.TrimPrefix(msg, "Syntax error: ")
	msg = strings.ReplaceAll(msg, "'<EOF>'", "the end")
	switch {
	case strings.HasPrefix(msg, "undeclared reference to"):
		msg = strings.Replace(msg, " (in container '')", "", 1)
		return fmt.Sprintf("%s: what can be read here is %s", msg, strings.Join(s.vars(), ", "))
	case strings.HasPrefix(msg, "undefined field '"):
		name := strings.TrimSuffix(strings.TrimPrefix(msg, "undefined field '"), "'")
		if near := nearestField(name); near != "" {
			return fmt.Sprintf("%s: did you mean '%s'?", msg, near)
		}
	case strings.HasPrefix(msg, "mismatched input the end"):
		return "it ends too early: something is missing after this"
	}
	if m := noOverload.FindStringSubmatch(msg); m != nil {
		name := strings.Trim(m[1], "_")
		if name == m[1] {
			return fmt.Sprintf("%s cannot take %s", name, m[2])
		}
		if m[2] == "(double, int)" || m[2] == "(int, double)" {
			return fmt.Sprintf("%s does not go between %s: write the number with a decimal point, as in 10.0", name, m[2])
		}
		return fmt.Sprintf("%s does not go between %s: convert one of them", name, m[2])
	}
	return msg
}

// countedNames finds the event names that profile.count and profile.last read.
func countedNames(a *ast.AST) (names []string, errs []exprError) {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || !e.AsCall().IsMemberFunction() {
			return
		}
		call := e.AsCall()
		if f := call.FunctionName(); f != "count" && f != "last" || !a.GetType(call.Target().ID()).IsExactType(profileType.typ) {
			return
		}
		arg := call.Args()[0]
		if name, ok := literal(arg).(types.String); ok {
			names = append(names, string(name))
			return
		}
		loc := a.SourceInfo().GetStartLocation(arg.ID())
		errs = append(errs, exprError{loc.Line(), loc.Column(),
			"profile." + call.FunctionName() + " needs the event's name as a text, such as \"Product Viewed\""})
	}))
	slices.Sort(names)
	return slices.Compact(names), errs
}

func literal(e ast.Expr) ref.Val {
	if e.Kind() == ast.LiteralKind {
		return e.AsLiteral()
	}
	return nil
}

// Kinds of failed conditions, see Failure.
const (
	FailureMissing = "missing" // a missing key or a wrong type
	FailureCost    = "cost"    // over the cost limit
)

// eval evaluates the condition; failure is "" or why it could not be told, and
// then it is false.
func (c *condition) eval(s *scope) (ok bool, failure string) {
	if c.fast != nil {
		return c.fast(s), ""
	}
	ok, _, failure = c.evalCost(s)
	return ok, failure
}

// evalCost is eval that also says in CEL's units what it cost.
func (c *condition) evalCost(s *scope) (ok bool, cost uint64, failure string) {
	v, cost, failure := c.valueCost(s)
	b, isBool := v.(types.Bool)
	if failure == "" && !isBool {
		failure = FailureMissing
	}
	return failure == "" && bool(b), cost, failure
}

// value evaluates the expression to any value.
func (c *condition) value(s *scope) (v ref.Val, failure string) {
	v, _, failure = c.valueCost(s)
	return v, failure
}

// valueCost is value that also says what it cost; nothing where it failed.
func (c *condition) valueCost(s *scope) (v ref.Val, cost uint64, failure string) {
	v, details, err := c.prog.Eval(s)
	if err == nil {
		if spent := details.ActualCost(); spent != nil {
			cost = *spent
		}
		return v, cost, ""
	}
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return nil, 0, FailureCost
	}
	return nil, 0, FailureMissing
}

// Filter is a compiled condition over `item`, safe for concurrent use.
type Filter struct {
	c     *condition
	match func(*streams.Item) bool
}

const (
	// requestCost is what a request's filter may cost over all items, in CEL's units:
	// item.attributes.color == 'red' on 125,000 of them.
	requestCost = 1_000_000
	// overrunCost counts for an item on which it costs more than it may on one, and
	// missingCost for one that lacks what it reads.
	overrunCost = requestCost / 8
	missingCost = 8
)

// ForRequest returns the filter for one request and one goroutine. An item that
// lacks what the filter reads does not match, nor does one on which it costs too
// much; after eight of these, or once all items together have cost too much, nothing
// matches any more, so that a request has a bounded cost.
func (f *Filter) ForRequest() func(*streams.Item) bool {
	if f.c.fast != nil {
		return f.match
	}
	left := int64(requestCost)
	return func(item *streams.Item) bool {
		if left <= 0 {
			return false
		}
		ok, cost, failure := f.c.onItem(item)
		switch failure {
		case "":
			left -= int64(cost) //nolint:gosec // at most filterCostLimit
		case FailureCost:
			left -= overrunCost
		default:
			left -= missingCost
		}
		return ok
	}
}

// CompileFilter compiles a condition over `item`, at most 2 KB. The error says
// what is wrong and where, for whoever wrote the filter.
func CompileFilter(expr string) (*Filter, error) {
	if len(expr) > maxExpr {
		return nil, fmt.Errorf("filter: must be at most %d bytes, this one has %d", maxExpr, len(expr))
	}
	if strings.TrimSpace(expr) == "" {
		return nil, errors.New("filter: must not be empty; leave it out to let every item pass")
	}
	c, errs := compile(expr, siteFilter, true)
	if len(errs) > 0 {
		texts := make([]string, len(errs))
		for i, e := range errs {
			texts[i] = fmt.Sprintf("filter:%d:%d: %s", e.line, e.column+1, e.text)
		}
		return nil, errors.New(strings.Join(texts, "\n"))
	}
	return &Filter{c, c.filter()}, nil
}

// filter is the condition as a func over items, safe for concurrent use.
func (c *condition) filter() func(*streams.Item) bool {
	return func(item *streams.Item) bool {
		ok, _, _ := c.onItem(item)
		return ok
	}
}

// onItem evaluates the condition for an item.
func (c *condition) onItem(item *streams.Item) (ok bool, cost uint64, failure string) {
	s := filterScopes.Get().(*scope)
	s.line = itemView{item: item, line: &zeroLine}
	if c.fast != nil {
		ok = c.fast(s)
	} else {
		ok, cost, failure = c.evalCost(s)
	}
	s.line.item = nil
	filterScopes.Put(s)
	return ok, cost, failure
}

var filterScopes = sync.Pool{New: func() any { return &scope{event: &zeroEvent, itemOf: &zeroEvent} }}
