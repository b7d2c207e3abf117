package rules

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/rapport-engine/rapport/engine/profiles"
)

// duration is days(int) and hours(int); a time.Duration holds 292 years.
func duration(v ref.Val, hours int64) ref.Val {
	n := int64(v.(types.Int))
	if limit := int64(math.MaxInt64/time.Hour) / hours; n > limit || n < -limit {
		return types.NewErr("duration out of range: %d", n)
	}
	return types.Duration{Duration: time.Duration(n*hours) * time.Hour}
}

// parseTimestamp is date(string): RFC 3339, or a day, which begins in UTC.
func parseTimestamp(v ref.Val) ref.Val {
	s := string(v.(types.String))
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return types.Timestamp{Time: t.UTC()}
		}
	}
	return types.NewErr("not a date: %q", s)
}

// parseNumber is number(dyn): numbers and numeric strings.
func parseNumber(v ref.Val) ref.Val {
	switch x := v.(type) {
	case types.Double:
		return x
	case types.Int:
		return types.Double(x)
	case types.Uint:
		return types.Double(x)
	case types.String:
		f, err := strconv.ParseFloat(strings.TrimSpace(string(x)), 64)
		if err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return types.Double(f)
		}
	}
	return types.NewErr("not a number: %v", v.Value())
}

// catalog is the item of that id as of this place in the log.
func (s *scope) catalog(id string) *itemView {
	v := &itemView{item: s.env.item(id)}
	if v.item == nil {
		line := zeroLine
		line.ID = id
		v.line = &line
	}
	return v
}

func (s *scope) counted(name string) *profiles.EventCount {
	for _, c := range s.profile.Counts {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// count is how often the event came in the last ms milliseconds.
func (s *scope) count(name string, ms int64) int {
	c := s.counted(name)
	if c == nil {
		return 0
	}
	n := 0
	for _, at := range c.At {
		if at > s.now-ms {
			n++
		}
	}
	return n
}

// last is when the event last came, 0 for never.
func (s *scope) last(name string) int64 {
	if c := s.counted(name); c != nil {
		return c.LastAt
	}
	return 0
}

// bought reports an order with the item in the last ms milliseconds that was
// neither cancelled nor refunded.
func (s *scope) bought(id string, ms int64) bool {
	for _, o := range orZero(s.profile.Orders, &zeroOrders).Recent {
		if o.At <= s.now-ms || o.Status == "cancelled" || o.Status == "refunded" {
			continue
		}
		if slices.ContainsFunc(o.Products, func(l *profiles.Line) bool { return l.Id == id }) {
			return true
		}
	}
	return false
}
