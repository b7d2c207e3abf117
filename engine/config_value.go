package engine

import (
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Size is an amount of data in bytes, written as "512KB", "100MB" or "4GB"
// (powers of 1000).
type Size int64

// Units of Size.
const (
	KB Size = 1000
	MB Size = 1000 * KB
	GB Size = 1000 * MB
)

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

var sizeUnits = []struct {
	name string
	size Size
}{{"GB", GB}, {"MB", MB}, {"KB", KB}}

// ParseSize reads what Size.String writes, with a fraction allowed; 0 needs no unit.
func ParseSize(text string) (Size, error) {
	if strings.TrimSpace(text) == "0" {
		return 0, nil
	}
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(strings.TrimSpace(text), u.name)
		if !ok {
			continue
		}
		f, err := parseDecimal(strings.TrimSpace(number))
		if err != nil || f*float64(u.size) >= math.MaxInt64 {
			break
		}
		return Size(f * float64(u.size)), nil
	}
	return 0, fmt.Errorf("must be a size such as 512KB, 100MB or 4GB, not %q", text)
}

var durationUnits = []struct {
	name string
	unit time.Duration
}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// ParseDuration reads durations as the config and the rules write them: numbers
// with the units s, m, h, d and w, largest first ("90s", "1d12h", "0.5s").
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("must be a duration with a unit of s m h d w, such as 30s or 14d, not %q", text)
	rest, total := strings.TrimSpace(text), 0.0
	if rest == "" {
		return 0, bad
	}
	for _, u := range durationUnits {
		number, after, ok := strings.Cut(rest, u.name)
		if !ok {
			continue
		}
		f, err := parseDecimal(number)
		if err != nil {
			return 0, bad
		}
		total += f * float64(u.unit)
		rest = after
	}
	if rest != "" || total >= math.MaxInt64 {
		return 0, bad
	}
	return time.Duration(total), nil
}

// parseDecimal reads digits with at most one point; no sign and no exponent.
func parseDecimal(s string) (float64, error) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// formatDuration writes d in the units that ParseDuration reads.
func formatDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var out strings.Builder
	for _, u := range durationUnits[:4] {
		if n := d / u.unit; n > 0 {
			fmt.Fprintf(&out, "%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	if d > 0 {
		out.WriteString(strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s")
	}
	return out.String()
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	sizeType     = reflect.TypeFor[Size]()
	textsType    = reflect.TypeFor[map[string]string]()
)

// setText sets a scalar, a list of texts or a map of numbers from the text form
// that the environment and flags use. Its error says what is allowed.
func setText(v reflect.Value, text string) error {
	switch {
	case v.Type() == durationType:
		d, err := ParseDuration(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(d))
	case v.Type() == sizeType:
		s, err := ParseSize(text)
		if err != nil {
			return err
		}
		v.SetInt(int64(s))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Int:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("must be a whole number, not %q", text)
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("must be true or false, not %q", text)
		}
		v.SetBool(text == "true")
	case v.Kind() == reflect.Slice:
		v.Set(reflect.ValueOf(splitList(text)))
	case v.Type() == textsType:
		return setTexts(v, text)
	case v.Kind() == reflect.Map:
		return setRates(v, text)
	default:
		panic("BUG: config field of type " + v.Type().String())
	}
	return nil
}

// splitList splits "a,b" and drops spaces and empty elements.
func splitList(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

func setRates(v reflect.Value, text string) error {
	rates := map[string]float64{}
	for _, part := range splitList(text) {
		name, number, ok := strings.Cut(part, "=")
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if !ok || err != nil {
			return fmt.Errorf("must be names and numbers such as USD=41.5,EUR=45, not %q", text)
		}
		rates[strings.TrimSpace(name)] = f
	}
	v.Set(reflect.ValueOf(rates))
	return nil
}

func setTexts(v reflect.Value, text string) error {
	texts := map[string]string{}
	for _, part := range splitList(text) {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("must be names and texts such as Authorization=Bearer x, not %q", text)
		}
		texts[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	v.Set(reflect.ValueOf(texts))
	return nil
}

// textOf is the inverse of setText, for the reference.
func textOf(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return formatDuration(x)
	case []string:
		return strings.Join(x, ",")
	case map[string]float64:
		parts := make([]string, 0, len(x))
		for k, f := range x {
			parts = append(parts, k+"="+strconv.FormatFloat(f, 'f', -1, 64))
		}
		sort.Strings(parts)
		return strings.Join(parts, ",")
	case map[string]string:
		parts := make([]string, 0, len(x))
		for k, text := range x {
			parts = append(parts, k+"="+text)
		}
		sort.Strings(parts)
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(x)
	}
}
