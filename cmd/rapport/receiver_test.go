package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rapport-engine/rapport/streams"
)

// receiverSecret signs what the receiver is sent.
const receiverSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // a test's

// receiver is a shop's own server for messages. It verifies signatures, and
// answers 500 to the first request of all.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	verify *standardwebhooks.Webhook

	mu       sync.Mutex
	refused  string                       // the id that was answered 500; guarded by mu
	accepted map[string]int               // how often, by id; guarded by mu
	messages map[string][]streams.Message // by profile, in their order; guarded by mu
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	verify, err := standardwebhooks.NewWebhook(receiverSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, verify: verify, accepted: map[string]int{}, messages: map[string][]streams.Message{}}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// ServeHTTP takes one message.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender has gone, and sends again
	}
	var m streams.Message
	if err := r.verify.Verify(body, req.Header); err != nil {
		r.t.Errorf("the signature of %.200s: %v", body, err)
	}
	if err := json.Unmarshal(body, &m); err != nil || m.ID == "" || m.ID != req.Header.Get("Idempotency-Key") || m.ID != req.Header.Get("webhook-id") {
		r.t.Errorf("%v, headers %v, body %.200s", err, req.Header, body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused == "" {
		r.refused = m.ID
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.accepted[m.ID]++
	r.messages[m.Profile] = append(r.messages[m.Profile], m)
}

// of returns the messages with a template that a customer was sent.
func (r *receiver) of(profile, template string) (list []streams.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages[profile] {
		if m.Template == template {
			list = append(list, m)
		}
	}
	return list
}

// once fails where a message came twice, or the refused one never again.
func (r *receiver) once() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for profile, list := range r.messages {
		for _, m := range list {
			if n := r.accepted[m.ID]; n != 1 {
				r.t.Errorf("message %s to %s was sent %d times", m.ID, profile, n)
			}
		}
	}
	if r.refused == "" || r.accepted[r.refused] != 1 {
		r.t.Errorf("the refused message %q was not sent again", r.refused)
	}
	r.t.Logf("%d messages, each sent once", len(r.accepted))
}
