package load_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
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
	return &load.Spec{Addr: addr, Connections: 2, Rate: 300, Duration: 100 * time.Millisecond, Calls: calls, Each: true}
}

func checkSpec(t *testing.T, r *load.Result) {
	t.Helper()
	if len(r.Each) != 30 || !r.Each[2].Done.IsZero() || !r.Each[0].Done.After(r.Each[0].Due) {
		t.Errorf("timings %v", r.Each)
	}
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

func TestPostedBodiesHaveIDsOfTheirOwn(t *testing.T) {
	var mu sync.Mutex
	got := map[string]int{}
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) != "/in" || !ctx.IsPost() {
			t.Errorf("%s %s", ctx.Method(), ctx.Path())
		}
		mu.Lock()
		defer mu.Unlock()
		for _, m := range regexp.MustCompile(`"messageId":"([0-9a-f]{16})"`).FindAllSubmatch(ctx.PostBody(), -1) {
			got[string(m[1])]++
		}
	})
	calls := filepath.Join(t.TempDir(), "calls")
	const zero = `"messageId":"0000000000000000"`
	if err := os.WriteFile(calls, []byte("[{"+zero+"},{"+zero+`,"a b":1}]`+"\n[{"+zero+"}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := load.RunProcess(t.Context(), nil, &load.Spec{
		Addr: addr, Connections: 2, Rate: 100, Duration: 100 * time.Millisecond, Calls: calls, Post: "/in", FirstID: 0xab00, Each: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Each) != 10 || r.Each[0].Done.IsZero() {
		t.Fatalf("timings %v", r.Each)
	}
	for n, each := range r.Each {
		if each.Done.IsZero() { // the machine was busy
			continue
		}
		for id := range 2 - n%2 {
			if want := fmt.Sprintf("%016x", 0xab00+2*n+id); got[want] != 1 {
				t.Errorf("request %d: id %s came %d times of %v", n, want, got[want], got)
			}
		}
	}
}
