package rules

import (
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// ctxName is the variable that functions such as catalog read from. It is no
// identifier, so no condition can name it.
const ctxName = "@ctx"

// Limits of conditions.
const (
	maxExpr         = 2 << 10 // bytes of a filter
	maxCondition    = 16 << 10
	costLimit       = 100_000 // CEL's cost units, of one evaluation of a condition
	filterCostLimit = 10_000  // of one evaluation of a filter
)

// site says where a condition stands: which variables it has.
type site int

const (
	siteStart   site = iota // `if` of a start
	siteRun                 // while, exit, and what stands in steps
	siteFilter              // over `item` alone
	siteSegment             // of a segment
	siteChange              // `if` of a start by trait or item
	sites
)

// vars are the variables that a condition at the site may read.
func (s site) vars() []string {
	switch s {
	case siteStart:
		return []string{"now", "event", "order", "item", "session", "profile"}
	case siteSegment:
		return []string{"now", "session", "profile"}
	case siteChange:
		return []string{"now", "event", "order", "item", "session", "profile", "change"}
	case siteRun:
		return []string{"now", "event", "order", "item", "run", "session", "profile"}
	}
	return []string{"item"}
}

var varTypes = map[string]*types.Type{
	"now": types.TimestampType, "event": eventType.typ, "order": orderType.typ, "item": itemType.typ,
	"run": runType.typ, "session": sessionType.typ, "profile": profileType.typ, "change": changeType.typ,
}

// environments are built once: they are immutable and take a millisecond each.
var environments = sync.OnceValues(func() (envs [sites]*cel.Env, err error) {
	// The libraries need CEL's own provider of types; ours goes over it.
	base, err := cel.NewEnv(cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Math())
	if err != nil {
		return envs, fmt.Errorf("cannot make the environment of conditions: %w", err)
	}
	for s := siteStart; s < sites; s++ {
		if envs[s], err = newEnv(s, base); err != nil {
			return envs, fmt.Errorf("cannot make the environment of conditions: %w", err)
		}
	}
	return envs, nil
})

func environment(s site) *cel.Env {
	envs, err := environments()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return envs[s]
}

func newEnv(s site, base *cel.Env) (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.CustomTypeProvider(newProvider(base.CELTypeProvider())),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(64),
		cel.ParserExpressionSizeLimit(maxCondition),
	}
	for _, name := range s.vars() {
		opts = append(opts, cel.Variable(name, varTypes[name]))
	}
	opts = append(opts, functions()...)
	if s != siteFilter {
		opts = append(opts, profileFunctions()...)
	}
	return base.Extend(opts...)
}

// functions need nothing but their arguments.
func functions() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Function("days", cel.Overload("days_int", []*cel.Type{cel.IntType}, cel.DurationType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return duration(v, 24) }))),
		cel.Function("hours", cel.Overload("hours_int", []*cel.Type{cel.IntType}, cel.DurationType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return duration(v, 1) }))),
		cel.Function("date", cel.Overload("date_string", []*cel.Type{cel.StringType}, cel.TimestampType,
			cel.UnaryBinding(parseTimestamp))),
		cel.Function("number", cel.Overload("number_dyn", []*cel.Type{cel.DynType}, cel.DoubleType,
			cel.UnaryBinding(parseNumber))),
	}
}

// profileFunctions read the customer and the catalogue.
func profileFunctions() []cel.EnvOption {
	p, s, d := profileType.typ, cel.StringType, cel.DurationType
	return []cel.EnvOption{
		cel.Variable(ctxName, ctxType.typ),
		cel.Macros(cel.GlobalMacro("catalog", 1, func(eh cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			return eh.NewMemberCall("catalog", eh.NewIdent(ctxName), args[0]), nil
		})),
		cel.Function("catalog", cel.MemberOverload("ctx_catalog", []*cel.Type{ctxType.typ, s}, itemType.typ,
			cel.BinaryBinding(func(ctx, id ref.Val) ref.Val {
				return object{itemType, scopeOf(ctx).catalog(string(id.(types.String)))}
			}))),
		cel.Function("count", cel.MemberOverload("profile_count", []*cel.Type{p, s, d}, cel.IntType,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				return types.Int(scopeOf(args[0]).count(string(args[1].(types.String)), args[2].(types.Duration).Milliseconds()))
			}))),
		cel.Function("last", cel.MemberOverload("profile_last", []*cel.Type{p, s}, cel.TimestampType,
			cel.BinaryBinding(func(p, name ref.Val) ref.Val {
				return stamp(scopeOf(p).last(string(name.(types.String))))
			}))),
		cel.Function("bought", cel.MemberOverload("profile_bought", []*cel.Type{p, s, d}, cel.BoolType,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				return types.Bool(scopeOf(args[0]).bought(string(args[1].(types.String)), args[2].(types.Duration).Milliseconds()))
			}))),
		cel.Function("reachable", cel.MemberOverload("profile_reachable", []*cel.Type{p, s}, cel.BoolType,
			cel.BinaryBinding(func(p, channel ref.Val) ref.Val {
				s := scopeOf(p)
				_, reason := s.policy.address(s.profile, string(channel.(types.String)), false)
				return types.Bool(reason == "")
			}))),
	}
}

func scopeOf(v ref.Val) *scope { return v.Value().(*scope) }

// provider adds the types of the rule language to CEL's own.
type provider struct {
	types.Provider
	structs map[string]*structType
}

func newProvider(base types.Provider) *provider {
	p := &provider{Provider: base, structs: make(map[string]*structType, len(structTypes))}
	for _, t := range structTypes {
		p.structs[t.typ.TypeName()] = t
	}
	return p
}

// FindStructType is part of types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if t, ok := p.structs[name]; ok {
		return types.NewTypeTypeWithParam(t.typ), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames is part of types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if t, ok := p.structs[name]; ok {
		return t.fieldNames(), true
	}
	return p.Provider.FindStructFieldNames(name)
}

// FindStructFieldType is part of types.Provider.
func (p *provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	t, ok := p.structs[name]
	if !ok {
		return p.Provider.FindStructFieldType(name, fieldName)
	}
	f, ok := t.fields[fieldName]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type:    f.typ,
		IsSet:   func(target any) bool { return isSet(f.get(target)) },
		GetFrom: func(target any) (any, error) { return f.get(target), nil },
	}, true
}

// NewValue is part of types.Provider: values of these types are never made.
func (p *provider) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if _, ok := p.structs[name]; ok {
		return types.NewErr("cannot make a %s", strings.TrimPrefix(name, "rapport."))
	}
	return p.Provider.NewValue(name, fields)
}
