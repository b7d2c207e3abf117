package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestMessagesTakeTheWayOfTheirChannel configures sinks by flags: a provider of
// SMS gets what its templates say, and push messages are left to others.
func TestMessagesTakeTheWayOfTheirChannel(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process")
	}
	got := make(chan string, 10)
	provider := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + string(body)
	}))
	defer provider.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "rules.yaml"), `
triggers:
  text: {start: {event: Text}, steps: [{send: {template: hello, channels: [sms], transactional: true}}]}
  ring: {start: {event: Ring}, steps: [{send: {template: hello, channels: [push], transactional: true}}]}
`)
	write(t, filepath.Join(dir, "hello.sms.uk.txt"), `Вітаємо, {{.data.traits.name}}!`)
	c := newChild(t, "--rules", dir, "--templates", dir, "--sinks-http-url", provider.URL+"/{{.template}}",
		"--sinks-http-body", `{"to":{{json .to}},"text":{{json .text}}}`, "--sinks-http-channels", "sms", "--sinks-kafka-channels", "push")
	c.start()
	status, answer, err := c.do(http.MethodPost, "/v1/batch", nil, []byte(`{"batch":[
		{"type":"identify","userId":"42","traits":{"name":"Olena","phone":"+380501234567"},"context":{"locale":"uk-UA","device":{"token":"t0"}}},
		{"type":"track","userId":"42","event":"Ring"},{"type":"track","userId":"42","event":"Text"}]}`))
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v", status, answer, err)
	}
	eventually(t, c.url+"/v1/messages?profile=user:42", func(_ int, body string) bool {
		return strings.Contains(body, `"status":"sent"`) && strings.Contains(body, `"status":"queued"`) && strings.Contains(body, `"channel":"push","to":"t0"`)
	})
	c.stop()
	close(got)
	var requests []string
	for r := range got {
		requests = append(requests, r)
	}
	if want := `/hello {"to":"+380501234567","text":"Вітаємо, Olena!"}`; len(requests) != 1 || requests[0] != want {
		t.Errorf("the provider got %q, want %s", requests, want)
	}
}
