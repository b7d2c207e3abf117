package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// good is an event of a customer that does nothing wrong.
func good(user string) string {
	return `{"type":"track","event":"Product Viewed","userId":"` + user + `","properties":{"product_id":"p1"}}`
}

func batch(calls ...string) string { return `{"batch":[` + strings.Join(calls, ",") + `]}` }

// zipped is a gzip of n bytes that are all alike.
func zipped(t *testing.T, n int) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, io.LimitReader(alike{}, int64(n))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type alike struct{}

func (alike) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func properties(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	return `{"type":"track","event":"Many","userId":"many","properties":{` + b.String()[1:] + `}}`
}

// badRequests are answered with a status and a text in the answer.
func badRequests(t *testing.T) []struct {
	path, body, encoding string
	status               int
	says                 string
} {
	t.Helper()
	x := func(n int) string { return strings.Repeat("x", n) }
	return []struct {
		path, body, encoding string
		status               int
		says                 string
	}{
		{"/v1/track", `{"event":`, "", 400, "JSON"},
		{"/v1/track", ``, "", 400, ""},
		{"/v1/track", `[]`, "", 400, "object"},
		{"/v1/track", "{\"event\":\"\xff\xfe\",\"userId\":\"1\"}", "", 400, "UTF-8"},
		{"/v1/track", `{"event":"X"}`, "", 400, "userId"},
		{"/v1/track", `{"event":7,"userId":{}}`, "", 400, "userId"},
		{"/v1/track", `{"userId":"1"}`, "", 400, "event"},
		{"/v1/track", `{"event":"X","userId":"1","properties":[]}`, "", 400, "properties: must be an object"},
		{"/v1/track", `{"event":"X","userId":"1","timestamp":"0000-01-01T00:00:00Z"}`, "", 400, "timestamp: must not be before 1970"},
		{"/v1/track", `{"event":"X","userId":"1","timestamp":-1}`, "", 400, "timestamp"},
		{"/v1/track", `{"event":"X","userId":"1","timestamp":"+1000000-01-01T00:00:00Z"}`, "", 400, "timestamp: must be RFC 3339"},
		{"/v1/track", `{"event":"Product Added","userId":"1","properties":{"product_id":"p","quantity":-1}}`, "", 400, "properties.quantity: must be a number >= 0"},
		{"/v1/track", `{"event":"Order Completed","userId":"1","properties":{"order_id":"o","products":[{"product_id":"p","price":"dear"}]}}`, "", 400, "properties.products[0].price"},
		{"/v1/track", `{"event":"X","userId":"1","properties":{"x":"` + x(33<<10) + `"}}`, "", 413, "32 KB"},
		{"/v1/batch", batch(good("1"), `{"properties":"`+x(501<<10)+`"}`), "", 413, "500 KB"},
		{"/v1/batch", batch(strings.Split(strings.Repeat("{},", 2500)+"{}", ",")...), "", 400, "2500"},
		{"/v1/batch", `{"batch":{}}`, "", 400, "batch"},
		{"/v1/batch", `{"events":[]}`, "", 400, "batch"},
		{"/v1/batch", zipped(t, 100<<20), "gzip", 413, "decompression"},
		{"/v1/track", zipped(t, 100<<20), "gzip", 413, "decompression"},
		{"/v1/batch", "not gzip", "gzip", 400, "gzip"},
		{"/v1/batch", "?", "lzma", 415, "Content-Encoding"},
		{"/v1/consents", `{"id":"user:1","consents":{"sms":"no"}}`, "", 400, "consents"},
		{"/v1/recommend", `{"limit":-1}`, "", 400, "limit"},
		{"/v1/recommend", `{"filter":"item."}`, "", 422, "filter"},
		{"/v1/dance", `{}`, "", 404, ""},
	}
}

// badBatch is events of a batch that are refused one by one, by reason.
func badBatch() map[string][]string {
	return map[string][]string{
		"malformed":     {`7`, `"text"`, `null`, strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200)},
		"too_large":     {`{"type":"track","event":"X","userId":"1","properties":{"x":"` + strings.Repeat("x", 33<<10) + `"}}`, properties(10_000)},
		"no_identifier": {`{"type":"page"}`, `{"type":"track","event":"X","userId":""}`},
		"invalid": {
			`{"type":"dance","userId":"1"}`, `{"type":"track","userId":"1"}`, `{"type":"page","userId":"1","timestamp":"soon"}`,
			`{"type":"track","event":"Product Added","userId":"1","properties":{"product_id":"p","price":"12,50"}}`,
			`{"type":"track","event":"Product Added","userId":"1","properties":{"product_id":"p","quantity":"-2"}}`,
			`{"type":"page","userId":"1","messageId":"` + strings.Repeat("m", 101) + `"}`,
		},
	}
}

func TestBadInputIsAnsweredAndTheRestIsTaken(t *testing.T) {
	c := newChild(t, "--partitions", "4")
	c.start()
	eventually(t, c.url+"/readyz", func(status int, _ string) bool { return status == http.StatusOK })
	for _, r := range badRequests(t) {
		header := http.Header{}
		if r.encoding != "" {
			header.Set("Content-Encoding", r.encoding)
		}
		status, answer, err := c.do(http.MethodPost, r.path, header, []byte(r.body))
		if err != nil || status != r.status || !strings.Contains(string(answer), r.says) {
			t.Errorf("%s %.100q: %d %s %v; want %d with %q", r.path, r.body, status, answer, err, r.status, r.says)
		}
	}
	calls, want := []string{good("first")}, 0
	for _, list := range badBatch() {
		calls, want = append(calls, list...), want+len(list)
	}
	calls = append(calls, good("last"), properties(2500),
		`{"type":"page","userId":"9999","timestamp":"9999-12-31T23:59:59Z"}`, `{"type":"page","userId":"million","timestamp":31556889864403199}`,
		`{"type":"track","event":"Product Added","userId":"text","surprise":[{}],"properties":{"product_id":"p","price":"12.50","quantity":"2"}}`)
	c.mustPost("/v1/batch", batch(calls...), http.StatusOK)
	for _, user := range []string{"first", "last", "many", "9999", "million", "text"} {
		eventually(t, c.url+"/v1/profiles/user:"+user, func(status int, body string) bool {
			return status == http.StatusOK && !strings.Contains(body, "9999-")
		})
	}
	for reason, list := range badBatch() {
		eventually(t, c.url+"/v1/deadletters?limit=100&reason="+reason, func(_ int, body string) bool {
			return deadLetters(t, body) == len(list)
		})
	}
	eventually(t, c.url+"/v1/deadletters?limit=100", func(_ int, body string) bool { return deadLetters(t, body) == want })
	c.mustPost("/v1/batch?strict=true", batch(good("strict"), `{"type":"dance"}`), http.StatusBadRequest)
	if status, _, err := c.do(http.MethodGet, "/v1/profiles/user:strict", nil, nil); err != nil || status != http.StatusNotFound {
		t.Errorf("a refused batch was taken: %d %v", status, err)
	}
	c.stop()
}

// TestFloodsDoNotFillMemory sends what is large again and again: bombs, dead
// letters of the greatest size, and clients that never end their requests.
func TestFloodsDoNotFillMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("sends a lot")
	}
	c := newChild(t, "--partitions", "4")
	c.start()
	for range 100 { // requests that never end
		conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, c.url+"/readyz", func(status int, _ string) bool { return status == http.StatusOK })
	bomb := []byte(zipped(t, 10<<20))
	for range 20 {
		if status, _, err := c.do(http.MethodPost, "/v1/batch", http.Header{"Content-Encoding": {"gzip"}}, bomb); err != nil || status != http.StatusRequestEntityTooLarge {
			t.Fatalf("a bomb: %d %v", status, err)
		}
	}
	large := batch(strings.Split(strings.Repeat(`{"x":"`+strings.Repeat("x", 32<<10)+`"}|`, 15)+"{}", "|")...)
	for range 40 {
		c.mustPost("/v1/batch", large, http.StatusOK)
	}
	c.mustPost("/v1/track", good("after"), http.StatusOK)
	eventually(t, c.url+"/v1/profiles/user:after", func(status int, _ string) bool { return status == http.StatusOK })
	if used := c.memory(); used > 500<<20 {
		t.Errorf("the server uses %d MB", used>>20)
	} else {
		t.Logf("the server uses %d MB", used>>20)
	}
	c.stop()
}

// mustPost sends a body and wants a status.
func (c *child) mustPost(path, body string, want int) {
	c.t.Helper()
	status, answer, err := c.do(http.MethodPost, path, http.Header{}, []byte(body))
	if err != nil || status != want {
		c.t.Fatalf("%s: %d %s %v, want %d", path, status, answer, err, want)
	}
}

func deadLetters(t *testing.T, body string) int {
	t.Helper()
	var answer map[string][]struct{ Reason, Detail string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	n := 0
	for _, list := range answer {
		for _, l := range list {
			if l.Reason == "" || l.Detail == "" {
				t.Errorf("a dead letter without a reason: %+v", l)
			}
		}
		n += len(list)
	}
	return n
}

// memory is the most that the process has used, in bytes.
func (c *child) memory() int {
	c.t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(c.cmd.Process.Pid) + "/status")
	if err != nil {
		c.t.Skipf("this system does not tell what a process uses: %v", err)
	}
	var kilobytes int
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(after, &kilobytes); err != nil {
		c.t.Fatal(err)
	}
	return kilobytes << 10
}
