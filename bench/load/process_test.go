package load_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/rapport-engine/rapport/bench/load"
)

// TestSender is the process that sends when another test starts this binary.
func TestSender(t *testing.T) {
	if os.Getenv("RAPPORT_TEST_SENDER") == "" {
		t.Skip("runs in a process of its own, started by another test")
	}
	out, err := os.Create(os.Getenv("RAPPORT_TEST_SENDER"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := load.Serve(t.Context(), os.Stdin, out); err != nil {
		t.Fatal(err)
	}
}

func spec(t *testing.T) *load.Spec {
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/no" {
			ctx.SetStatusCode(fasthttp.StatusTeapot)
		}
	})
	calls := filepath.Join(t.TempDir(), "calls")
	if err := os.WriteFile(calls, []byte("/a\n/b?c=d\n/no"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &load.Spec{Addr: addr, Connections: 2, Rate: 300, Duration: 100 * time.Millisecond, Calls: calls}
}

func checkSpec(t *testing.T, r *load.Result) {
	t.Helper()
	if n := r.Answered + r.Failed + r.Unsent; n != 30 || r.Failed == 0 || r.Err == nil || r.FromDue.TotalCount() != r.Answered+r.Unsent {
		t.Errorf("got %+v", r)
	}
}

func TestProcessesSendTheSame(t *testing.T) {
	s := spec(t)
	r, err := load.RunProcess(t.Context(), nil, s)
	if err != nil {
		t.Fatal(err)
	}
	checkSpec(t, r)

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	answer := filepath.Join(t.TempDir(), "answer")
	script := `RAPPORT_TEST_SENDER="$1" "$0" -test.run '^TestSender$' >&2 && cat "$1"`
	if r, err = load.RunProcess(t.Context(), []string{"sh", "-c", script, self, answer}, s); err != nil {
		t.Fatal(err)
	}
	checkSpec(t, r)
}

func TestProcessFailures(t *testing.T) {
	s := spec(t)
	for _, command := range [][]string{{"false"}, {"echo", "no JSON"}, {"/nonexistent"}} {
		if _, err := load.RunProcess(t.Context(), command, s); err == nil {
			t.Errorf("%q: no error", command)
		}
	}
	s.Calls += "x"
	if _, err := load.RunProcess(t.Context(), nil, s); err == nil {
		t.Error("missing calls: no error")
	}
	for _, in := range []string{"", "{", `{"Rate":"x"}`} {
		if err := load.Serve(t.Context(), strings.NewReader(in), &bytes.Buffer{}); err == nil {
			t.Errorf("%q: no error", in)
		}
	}
	in, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := load.Serve(t.Context(), bytes.NewReader(in), &bytes.Buffer{}); err == nil {
		t.Error("nothing to send: no error")
	}
}
