package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rapport-engine/rapport/streams"
)

// WebhookConfig is where and how messages are posted.
type WebhookConfig struct {
	Name    string        // default "webhook"
	URL     string        // http or https
	Secret  string        // "whsec_" and base64; "" sends unsigned
	Timeout time.Duration // of one attempt, reading the answer included; default 10s
	Now     func() time.Time
}

// Webhook posts messages as JSON, signed as Standard Webhooks says, with the
// message's id as webhook-id and as Idempotency-Key.
type Webhook struct {
	name   string
	url    string
	signer *standardwebhooks.Webhook // nil: unsigned
	client *http.Client
	now    func() time.Time
}

// maxAnswer is how much of an answer is read, in bytes: the rest closes the
// connection.
const maxAnswer = 64 << 10

// NewWebhook checks c and returns the sink. It opens no connection.
func NewWebhook(c WebhookConfig) (*Webhook, error) {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("cannot use webhook url %q: must begin with http:// or https://", c.URL)
	}
	w := &Webhook{name: c.Name, url: c.URL, now: c.Now}
	if w.name == "" {
		w.name = "webhook"
	}
	if w.now == nil {
		w.now = time.Now
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Secret != "" {
		if !strings.HasPrefix(c.Secret, "whsec_") {
			return nil, errors.New(`cannot use webhook secret: must be "whsec_" and base64`)
		}
		if w.signer, err = standardwebhooks.NewWebhook(c.Secret); err != nil {
			return nil, errors.New(`cannot use webhook secret: must be "whsec_" and base64`)
		}
	}
	w.client = httpClient(c.Timeout)
	return w, nil
}

// Name returns the sink's name.
func (w *Webhook) Name() string { return w.name }

// Close closes idle connections.
func (w *Webhook) Close() { w.client.CloseIdleConnections() }

// Send posts body. Any 2xx answer is a sent message; 408, 425, 429 and 5xx,
// timeouts and broken connections may be tried again; other answers are
// permanent.
func (w *Webhook) Send(ctx context.Context, m *streams.Message, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return &SendError{Err: fmt.Errorf("cannot make request: %w", err), Permanent: true}
	}
	if err := w.sign(req, m.ID, body); err != nil {
		return &SendError{Err: err, Permanent: true}
	}
	return post(w.client, req, w.now)
}

// sign sets the headers of a request.
func (w *Webhook) sign(req *http.Request, id string, body []byte) error {
	now := w.now()
	h := req.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Rapport")
	h.Set("Idempotency-Key", id)
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if w.signer == nil {
		return nil
	}
	signature, err := w.signer.Sign(id, now, body)
	if err != nil {
		return fmt.Errorf("cannot sign message: %w", err)
	}
	h.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}

func permanent(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return status < 500
}

// retryAfter reads seconds or an HTTP date; 0 when it is neither or past.
func retryAfter(v string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// excerpt is what of an answer goes into errors.
func excerpt(answer []byte) string {
	const limit = 200
	if len(answer) > limit {
		answer = answer[:limit]
	}
	return strings.ToValidUTF8(string(bytes.TrimSpace(answer)), "?")
}
