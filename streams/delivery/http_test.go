package delivery

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// provider is a server that keeps the last request and gives an answer.
type provider struct {
	url     string
	status  int
	request *http.Request
	body    string
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{status: 200}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.request, p.body = r, string(body)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(p.status)
	}))
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func TestRequestsAreFilledFromTheMessage(t *testing.T) {
	p := startProvider(t)
	dir := files(t, map[string]string{"welcome.txt": "Hi \"{{.data.traits.name}}\"\n"})
	sink, err := NewHTTP(HTTPConfig{
		URL: p.url + "/send/{{urlquery .to}}?c={{.channel}}", Method: "PUT", Headers: map[string]string{"Authorization": "Bearer k", "X-Id": "{{.id}}"},
		Body: `{"to":{{json .to}},"title":{{json .subject}},"text":{{json .text}},"total":{{.data.cart.total}},"none":"{{.data.traits.none}}"}`, Templates: NewTemplates(dir, nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	m, body := sample(t, "welcome", "")
	m.To, m.Channel = "+380501234567", "sms"
	body = []byte(strings.Replace(string(body), "olena@mail.example", m.To, 1))
	if err := sink.Send(t.Context(), m, body); err != nil {
		t.Fatal(err)
	}
	want := `{"to":"+380501234567","title":"Welcome","text":"Hi \"Olena \u0026 Co\"","total":12.5,"none":""}`
	h := p.request.Header
	if p.request.Method != "PUT" || p.request.RequestURI != "/send/%2B380501234567?c=email" || p.body != want ||
		h.Get("Authorization") != "Bearer k" || h.Get("X-Id") != m.ID || h.Get("Content-Type") != "application/json" || h.Get("Idempotency-Key") != m.ID {
		t.Errorf("%s %s %v %s", p.request.Method, p.request.RequestURI, h, p.body)
	}
}

func TestRequestsWithoutABodyTemplate(t *testing.T) {
	p := startProvider(t)
	m, body := sample(t, "welcome", "")
	for method, want := range map[string]string{"": string(body), "GET": ""} {
		sink, err := NewHTTP(HTTPConfig{URL: p.url, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Send(t.Context(), m, body); err != nil || p.body != want || sink.Name() != "http" {
			t.Errorf("%s: %q, %v", method, p.body, err)
		}
		sink.Close()
	}
}

func TestAnswersOfProviders(t *testing.T) {
	p := startProvider(t)
	sink, err := NewHTTP(HTTPConfig{URL: p.url})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	m, body := sample(t, "welcome", "")
	for status, permanent := range map[int]bool{301: true, 400: true, 401: true, 404: true, 408: false, 429: false, 500: false, 503: false} {
		p.status = status
		var failure *SendError
		if err := sink.Send(t.Context(), m, body); !errors.As(err, &failure) || failure.Permanent != permanent || failure.RetryAfter != 7*time.Second {
			t.Errorf("%d: %+v", status, err)
		}
	}
}

func TestRequestsThatCannotBeMade(t *testing.T) {
	p := startProvider(t)
	for _, c := range []HTTPConfig{
		{URL: "crm.example"}, {URL: "ftp://x"}, {URL: "http://x/{{"}, {URL: "http://x", Body: "{{if}}"}, {URL: "http://x", Headers: map[string]string{"A": "{{"}},
	} {
		if _, err := NewHTTP(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
	m, body := sample(t, "welcome", "")
	for _, c := range []HTTPConfig{
		{URL: p.url, Body: `{"name":"{{(index .data.items 0).name}}"}`}, // quotes in the name
		{URL: p.url, Body: `{{index .data.items 9}}`}, {URL: "http://{{.none}}"}, {URL: p.url, Headers: map[string]string{"A": "{{index .data.items 9}}"}},
	} {
		sink, err := NewHTTP(c)
		if err != nil {
			t.Fatal(err)
		}
		var failure *SendError
		if err := sink.Send(t.Context(), m, body); !errors.As(err, &failure) || !failure.Permanent {
			t.Errorf("%+v: %v", c, err)
		}
		sink.Close()
	}
	if p.request != nil {
		t.Errorf("a request was made: %s", p.body)
	}
}
