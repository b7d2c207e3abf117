package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// HTTPConfig is the request that a provider of SMS, push or chat messages
// takes. URL, the values of Headers and Body are Go templates over the
// message's JSON, with `subject`, `text` and `html` as its Templates render them.
type HTTPConfig struct {
	Name      string // default "http"
	Method    string // default POST
	URL       string // http or https
	Headers   map[string]string
	Body      string // default: the message's JSON
	Templates *Templates
	Timeout   time.Duration // of one attempt, reading the answer included; default 10s
	Now       func() time.Time
}

// HTTP hands messages to a provider's HTTP API.
type HTTP struct {
	name      string
	method    string
	url       *template.Template
	headers   map[string]*template.Template
	body      *template.Template // nil: the message's JSON
	templates *Templates
	client    *http.Client
	now       func() time.Time
}

// NewHTTP checks c and returns the sink. It opens no connection.
func NewHTTP(c HTTPConfig) (*HTTP, error) {
	h := &HTTP{name: c.Name, method: c.Method, headers: map[string]*template.Template{}, templates: c.Templates, now: c.Now}
	if h.name == "" {
		h.name = "http"
	}
	if h.method == "" {
		h.method = http.MethodPost
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.templates == nil {
		h.templates = NewTemplates("", nil)
	}
	if !strings.HasPrefix(c.URL, "http://") && !strings.HasPrefix(c.URL, "https://") {
		return nil, fmt.Errorf("cannot use url %q: must begin with http:// or https://", c.URL)
	}
	var err error
	if h.url, err = requestTemplate("url", c.URL); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if h.headers[name], err = requestTemplate("headers."+name, c.Headers[name]); err != nil {
			return nil, err
		}
	}
	if c.Body != "" {
		if h.body, err = requestTemplate("body", c.Body); err != nil {
			return nil, err
		}
	}
	h.client = httpClient(orDefault(c.Timeout, 10*time.Second))
	return h, nil
}

func requestTemplate(name, text string) (*template.Template, error) {
	t, err := template.New(name).Funcs(templateFuncs).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cannot read the template of %s: %w", name, err)
	}
	return t, nil
}

// Name returns the sink's name.
func (h *HTTP) Name() string { return h.name }

// Close closes idle connections.
func (h *HTTP) Close() { h.client.CloseIdleConnections() }

// Send makes the request. Answers mean what they mean to a webhook; a template
// that fails, or that makes no JSON where its Content-Type says so, is
// permanent.
func (h *HTTP) Send(ctx context.Context, m *streams.Message, body []byte) error {
	req, err := h.request(ctx, m, body)
	if err != nil {
		return &SendError{Err: err, Permanent: true}
	}
	return post(h.client, req, h.now)
}

func (h *HTTP) request(ctx context.Context, m *streams.Message, body []byte) (*http.Request, error) {
	data, err := h.data(m, body)
	if err != nil {
		return nil, err
	}
	target, err := fill(h.url, data)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(target); err != nil || u.Host == "" {
		return nil, fmt.Errorf("cannot use url %q of message %q", target, m.ID)
	}
	content := string(body)
	if h.body != nil {
		if content, err = fill(h.body, data); err != nil {
			return nil, err
		}
	}
	if h.method == http.MethodGet {
		content = ""
	}
	req, err := http.NewRequestWithContext(ctx, h.method, target, strings.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("cannot make request: %w", err)
	}
	req.Header.Set("User-Agent", "Rapport")
	req.Header.Set("Idempotency-Key", m.ID)
	if content != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, t := range h.headers {
		value, err := fill(t, data)
		if err != nil {
			return nil, err
		}
		req.Header.Set(name, value)
	}
	if strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") && content != "" && !json.Valid([]byte(content)) {
		return nil, fmt.Errorf("the template of the body makes no JSON of message %q: write texts as {{json .text}}", m.ID)
	}
	return req, nil
}

// data is the message with its rendered content.
func (h *HTTP) data(m *streams.Message, body []byte) (map[string]any, error) {
	content, err := h.templates.Render(m, body)
	if err != nil {
		return nil, err
	}
	data, err := templateData(body)
	if err != nil {
		return nil, err
	}
	data["subject"], data["text"], data["html"] = content.Subject, strings.TrimSpace(content.Text), content.HTML
	return data, nil
}

func fill(t *template.Template, data any) (string, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("cannot fill the template of %s: %w", t.Name(), err)
	}
	return strings.ReplaceAll(b.String(), "<no value>", ""), nil
}

// httpClient makes requests of at most that long.
func httpClient(timeout time.Duration) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	return &http.Client{
		Transport: transport,
		Timeout:   timeout,
		// A redirected POST would lose its body or its receiver's intent.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post makes a request and says what its answer means: 2xx is a sent message;
// 408, 425, 429, 5xx, timeouts and broken connections may be tried again; other
// answers are permanent.
func post(client *http.Client, req *http.Request, now func() time.Time) error {
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("cannot post message: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode/100 == 2 {
		if err != nil {
			return fmt.Errorf("cannot read answer: %w", err)
		}
		return nil
	}
	return &SendError{
		Err:        fmt.Errorf("the receiver answered %s: %s", res.Status, excerpt(answer)),
		Permanent:  permanent(res.StatusCode),
		RetryAfter: retryAfter(res.Header.Get("Retry-After"), now()),
	}
}
