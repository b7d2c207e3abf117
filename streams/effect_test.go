package streams

import "testing"

func TestEffectNumber(t *testing.T) {
	ordered := []EffectNumber{
		{"catalog", 9, 9, 9, 9}, {"events", 0, 5, 5, 5}, {"events", 2, 0, 100, 3}, {"events", 2, 1, 0, 0},
		{"events", 2, 1, 9, 0}, {"events", 2, 1, 10, 0}, {"events", 2, 1, 10, 2}, {"events", 10, 0, 0, 0},
	}
	for i, a := range ordered {
		back, err := ParseEffect(a.String())
		if err != nil || back != a {
			t.Errorf("%v: read back as %v, %v", a, back, err)
		}
		for j, b := range ordered {
			if a.Less(b) != (i < j) {
				t.Errorf("%v < %v: got %v", a, b, a.Less(b))
			}
		}
	}
	if got := ordered[3].String() + " " + ordered[3].Source(); got != "events/2/1/0/0 events/2" {
		t.Error(got)
	}
	for _, bad := range []string{"x", "/1/2/3/4", "events/1/2/3", "events/1/2/3/4/5", "events/-1/2/3/4",
		"events/1/2/3/99999999999", "events/1/2/x/4", "events/1/2/99999999999999999999/4"} {
		if n, err := ParseEffect(bad); err == nil {
			t.Errorf("%q: read as %v", bad, n)
		}
	}
	if n, err := (&Record{}).Effect(); err != nil || !n.IsZero() || n.String() != "" {
		t.Errorf("no header: got %v, %v", n, err)
	}
	rec := &Record{Headers: []Header{{HeaderEffect, []byte("events/2/1/0/7")}}}
	if n, err := rec.Effect(); err != nil || n.Index != 7 {
		t.Errorf("got %v, %v", n, err)
	}
}
