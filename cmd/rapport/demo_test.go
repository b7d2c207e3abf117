package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rapport-engine/rapport/bench/retailer"
)

func TestDemoOnceShowsWhatItIsThereToShow(t *testing.T) {
	got := rapport(t, "demo", "--once", "--duration", "1s", "--shoppers", "600", "--listen", "127.0.0.1:0")
	if got.code != exitDone {
		t.Fatalf("exit %d: %s\n%s", got.code, got.stderr, got.stdout)
	}
	for _, want := range []string{
		"RAPPORT DEMO", "abandoned_cart: ", "birthday: ", "viewed_item: ", "not sent: ",
		"Olena Verbova, one profile across channels", "shows her loyalty card at the till", "card:70010001",
		"because: ", "event to message     p50", "recommend over HTTP  p50",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
}

// The demonstration serves on, and the calls that it prints work.
func TestDemoServesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	var errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: write, stderr: &errs}
	code := make(chan int, 1)
	go func() {
		code <- p.run(ctx, []string{"demo", "--duration", "1s", "--shoppers", "600", "--listen", "127.0.0.1:0"})
		_ = write.Close()
	}()
	var out strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(out.String(), "Ctrl-C") {
		n, err := read.Read(buf)
		if err != nil {
			t.Fatalf("%v: %s%s", err, out.String(), errs.String())
		}
		out.Write(buf[:n])
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	calls := 0
	for line := range strings.SplitSeq(out.String(), "\n") {
		url, body, ok := curl(line)
		if !ok {
			continue
		}
		calls++
		method := http.MethodGet
		if body != "" {
			method = http.MethodPost
		}
		req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", line, resp.StatusCode, answer)
		}
	}
	cancel()
	if got := <-code; got != exitDone || calls != 3 {
		t.Errorf("exit %d after %d calls: %s", got, calls, errs.String())
	}
}

// curl reads a line such as: curl 'URL' -d 'BODY'.
func curl(line string) (url, body string, ok bool) {
	parts := strings.Split(line, "'")
	if !strings.HasPrefix(strings.TrimSpace(line), "curl ") || len(parts) < 3 {
		return "", "", false
	}
	if len(parts) > 3 {
		body = parts[3]
	}
	return parts[1], body, true
}

func TestDemoScreen(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out, stderr: io.Discard}
	o := &demoOptions{shoppers: 100, listen: "127.0.0.1:0"}
	s, err := p.demoServer(t.Context(), o, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := newDemo(p, s, retailer.New(retailer.Config{Shoppers: 100}), o)
	d.screen = true
	for ev := range d.shop.Events() {
		d.onEvent(ev)
	}
	d.frame(1)
	for _, want := range []string{"ONE SHOPPER, ALL CHANNELS: Olena", "MESSAGES AS THEY FIRE", "WHAT TO SHOW HER"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestDemoRefuses(t *testing.T) {
	for _, args := range []string{"demo --shoppers 5", "demo --duration 0s", "demo --duration soon", "demo now"} {
		if got := rapport(t, strings.Fields(args)...); got.code != exitUsage {
			t.Errorf("rapport %s: %+v", args, got)
		}
	}
}
