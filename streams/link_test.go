package streams

import (
	"errors"
	"strings"
	"testing"
)

func TestOnlyAnOperatorTakesIdentifiersApart(t *testing.T) {
	const call = `{"userId":"1","previousId":"email:a@b.c","context":{"unlink":X}}`
	var d Decoder
	for _, tc := range []struct {
		value        string
		undo, permit bool
	}{{"true", true, false}, {"false", false, true}, {"1", false, false}, {"null", false, false}} {
		body := strings.Replace(call, "X", tc.value, 1)
		for _, operator := range []bool{false, true} {
			calls, err := d.ParseIngest("alias", []byte(body), IngestOptions{NewID: func() string { return "m" }, Operator: operator})
			if err != nil {
				t.Fatal(err)
			}
			wants := tc.undo || tc.permit
			if refused := calls[0].Err != nil; refused != (wants && !operator) {
				t.Errorf("unlink %s, operator %v: %v", tc.value, operator, calls[0].Err)
			}
		}
		stranger := IngestOptions{NewID: func() string { return "m" }, Verify: func(Identifier, string) bool { return false }}
		if calls, err := d.ParseIngest("alias", []byte(body), stranger); err != nil || errors.Is(calls[0].Err, ErrOperatorOnly) != (tc.undo || tc.permit) {
			t.Errorf("unlink %s with a public key: %v, %v", tc.value, calls[0].Err, err)
		}
		var e Event
		if err := d.Decode(&Record{Value: []byte(`{"type":"alias",` + body[1:])}, &e); err != nil {
			t.Fatal(err)
		}
		if undo, permit := e.Unlink(); undo != tc.undo || permit != tc.permit {
			t.Errorf("unlink %s: %v, %v", tc.value, undo, permit)
		}
	}
}
