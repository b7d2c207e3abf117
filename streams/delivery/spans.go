package delivery

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rapport-engine/rapport/streams"
)

// spans is a set of offsets: ranges in order, none touching the next.
type spans []span

type span struct{ from, to int64 } // both in it

func (s spans) has(offset int64) bool {
	i, _ := s.at(offset)
	return i < len(s) && s[i].from <= offset
}

// at is the first span that does not end before an offset.
func (s spans) at(offset int64) (int, bool) {
	return slices.BinarySearchFunc(s, offset, func(x span, offset int64) int {
		switch {
		case x.to < offset:
			return -1
		case x.from > offset:
			return 1
		}
		return 0
	})
}

// add puts an offset into the set.
func (s *spans) add(offset int64) {
	i, found := s.at(offset)
	if found {
		return
	}
	l := *s
	before, behind := i > 0 && l[i-1].to == offset-1, i < len(l) && l[i].from == offset+1
	switch {
	case before && behind:
		l[i-1].to = l[i].to
		*s = slices.Delete(l, i, i+1)
	case before:
		l[i-1].to = offset
	case behind:
		l[i].from = offset
	default:
		*s = slices.Insert(l, i, span{offset, offset})
	}
}

// drop takes out what is below an offset.
func (s *spans) drop(below int64) {
	i, _ := s.at(below)
	l := slices.Delete(*s, 0, i)
	if len(l) > 0 && l[0].from < below {
		l[0].from = below
	}
	*s = l
}

// remove takes an offset out.
func (s *spans) remove(offset int64) {
	i, found := s.at(offset)
	if !found {
		return
	}
	l := *s
	switch x := l[i]; {
	case x.from == x.to:
		*s = slices.Delete(l, i, i+1)
	case x.from == offset:
		l[i].from++
	case x.to == offset:
		l[i].to--
	default:
		l[i].to = offset - 1
		*s = slices.Insert(l, i+1, span{offset + 1, x.to})
	}
}

// encode is the metadata of a commit: effect numbers, and, where there are any,
// "+" and the spans of what is finished, "~" and those of what moves to `retry`.
func encode(marks []streams.EffectNumber, offset int64, done, moving spans) string {
	var b []byte
	for _, n := range marks {
		b = append(n.Append(b), ' ')
	}
	b = done.append(b, '+', offset)
	if len(b) > 0 && b[len(b)-1] != ' ' && len(moving) > 0 {
		b = append(b, ' ')
	}
	return string(moving.append(b, '~', offset))
}

// append adds a mark and the spans at and above an offset, each as how far it is
// from the end of the one before and how much longer it is than one, in base 36.
func (s spans) append(b []byte, sep byte, offset int64) []byte {
	for _, x := range s {
		if x.from < offset {
			continue
		}
		b = strconv.AppendInt(append(b, sep), x.from-offset, 36)
		if x.to > x.from {
			b = strconv.AppendInt(append(b, '.'), x.to-x.from, 36)
		}
		offset, sep = x.to+1, ','
	}
	return b
}

// decode reads what encode wrote of a commit at offset.
func decode(metadata string, offset int64) (marks []streams.EffectNumber, done, moving spans, err error) {
	for _, field := range strings.Fields(metadata) {
		switch field[0] {
		case '+':
			done, err = parse(field[1:], offset)
		case '~':
			moving, err = parse(field[1:], offset)
		default:
			var n streams.EffectNumber
			n, err = streams.ParseEffect(field)
			marks = append(marks, n)
		}
		if err != nil {
			return nil, nil, nil, fmt.Errorf("cannot read the metadata of a commit: %w", err)
		}
	}
	return marks, done, moving, nil
}

// parse reads spans above an offset.
func parse(list string, offset int64) (s spans, err error) {
	for text := range strings.SplitSeq(list, ",") {
		gap, length, _ := strings.Cut(text, ".")
		from, err := strconv.ParseUint(gap, 36, 48)
		var more uint64
		if err == nil && length != "" {
			more, err = strconv.ParseUint(length, 36, 48)
		}
		if err != nil || offset > 1<<60 {
			return nil, fmt.Errorf("%q in %.100q is no range of offsets", text, list)
		}
		x := span{offset + int64(from), offset + int64(from) + int64(more)}
		if n := len(s); n > 0 && s[n-1].to == x.from-1 {
			s[n-1].to = x.to
		} else {
			s = append(s, x)
		}
		offset = x.to + 1
	}
	return s, nil
}
