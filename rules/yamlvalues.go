package rules

import (
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

var units = map[byte]int64{'s': second, 'm': minute, 'h': hour, 'd': day, 'w': 7 * day}

// maxDuration is far longer than any wait: ten years.
const maxDuration = 3660 * day

// parseDuration reads "30m", "14d", "1h30m": milliseconds.
func parseDuration(s string) (int64, bool) {
	var total int64
	if s == "" {
		return 0, false
	}
	for s != "" {
		i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
		if i < 1 || i > 9 || units[s[i]] == 0 {
			return 0, false
		}
		n, err := strconv.ParseInt(s[:i], 10, 64)
		if err != nil {
			return 0, false
		}
		total += n * units[s[i]]
		s = s[i+1:]
	}
	return total, total <= maxDuration
}

// duration is a length of time above 0, in ms.
func (f *file) duration(e entry) (int64, bool) {
	const must = "a time such as 30m, 24h or 14d (units s, m, h, d, w; at most ten years)"
	s, ok := scalarText(e.val)
	if !ok {
		f.wrong(e, must)
		return 0, false
	}
	ms, ok := parseDuration(s)
	if !ok || ms == 0 {
		f.add(e.val, "%s is %q: it must be %s", e.key, s, must)
		return 0, false
	}
	return ms, true
}

// days is an offset in calendar days: -7d, 2w.
func (f *file) days(e entry) (int, bool) {
	const must = "whole days before (-7d) or after (3d), at most 365"
	s, ok := scalarText(e.val)
	if !ok {
		f.wrong(e, must)
		return 0, false
	}
	sign, digits := 1, s
	if strings.HasPrefix(s, "-") {
		sign, digits = -1, s[1:]
	}
	ms, ok := parseDuration(digits)
	if !ok || ms%day != 0 || ms > 365*day {
		f.add(e.val, "%s is %q: it must be %s", e.key, s, must)
		return 0, false
	}
	return sign * int(ms/day), true
}

// clock is a time of day, in minutes after midnight.
func (f *file) clock(e entry) (int, bool) {
	const must = `a time of day in quotes, such as "10:00"`
	s, ok := scalarText(e.val)
	if !ok {
		f.wrong(e, must)
		return 0, false
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		f.add(e.val, "%s is %q: it must be %s", e.key, s, must)
		return 0, false
	}
	return t.Hour()*60 + t.Minute(), true
}

// condition compiles a condition that stands at a site; nil after a problem.
func (f *file) condition(e entry, s site) *condition { return f.expression(e, s, true) }

func (f *file) expression(e entry, s site, wantBool bool) *condition {
	src, ok := f.conditionText(e)
	if !ok {
		return nil
	}
	if limit := exprLimit(s); len(src) > limit {
		f.add(e.val, "%s must be at most %d bytes, this one has %d", e.key, limit, len(src))
		return nil
	}
	c, errs := compile(src, s, wantBool)
	for _, x := range errs {
		line, column := f.inside(e.val, x.line, x.column)
		text := x.text
		if n, ok := e.val.(*ast.StringNode); ok && !quoted(n) {
			text += "; " + quoteAdvice
		}
		f.addAt(line, column, "%s: %s", e.key, text)
	}
	return c
}

func exprLimit(s site) int {
	if s == siteFilter {
		return maxExpr
	}
	return maxCondition
}

func (f *file) conditionText(e entry) (string, bool) {
	switch e.val.(type) {
	case *ast.NullNode:
		f.add(e.at, "%s is empty: %s, or leave it out", e.key, quoteAdvice)
	case *ast.TagNode:
		f.add(e.val, "%s: YAML takes what starts with ! as a tag: %s", e.key, quoteAdvice)
	default:
		return f.text(e, "a condition in quotes")
	}
	return "", false
}

// inside maps a place in a text (line from 1, column from 0) to the file.
func (f *file) inside(n ast.Node, line, column int) (int, int) {
	l, c := position(n)
	switch x := n.(type) {
	case *ast.LiteralNode:
		if !strings.HasPrefix(x.Start.Value, "|") {
			return l, c // folded: lines of the text are not lines of the file
		}
		src := f.line(l + line)
		first := f.line(l + 1)
		indent := len(first) - len(strings.TrimLeft(first, " "))
		if len(src) < indent {
			indent = 0
		}
		return l + line, indent + column + 1
	case *ast.StringNode:
		if line == 1 {
			return l, c + rawColumn(f.line(l), c-1, column)
		}
	}
	return l, c
}

// rawColumn is how far after the token at start the column-th character of its
// text stands, quotes and escapes counted.
func rawColumn(line string, start, column int) int {
	raw := []rune(line)
	if start >= len(raw) {
		return 0
	}
	raw = raw[start:]
	quote := raw[0]
	if quote != '"' && quote != '\'' {
		return column
	}
	i := 1
	for ; column > 0 && i < len(raw); column-- {
		if i+1 < len(raw) && (quote == '"' && raw[i] == '\\' || quote == '\'' && raw[i] == '\'' && raw[i+1] == '\'') {
			i++
		}
		i++
	}
	return i
}
