package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rapport-engine/rapport/streams"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receive starts a receiver and a webhook that posts to it.
func receive(t *testing.T, timeout time.Duration, h http.HandlerFunc) *Webhook {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	w, err := NewWebhook(WebhookConfig{URL: server.URL + "/hook", Secret: secret, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func TestWebhookSigned(t *testing.T) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var got atomic.Value
	sink := receive(t, 0, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		got.Store(fmt.Sprint(err, " ", r.Header.Get("Idempotency-Key"), " ", r.Header.Get("webhook-id"), " ",
			r.Header.Get("Content-Type"), " ", r.URL.Path, " ", len(body) > 0))
		w.WriteHeader(http.StatusNoContent)
	})
	w := newWorld()
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	if err := deliver(context.Background(), d.Messages, 3, []streams.Record{record(1, "m.1.5f", "webhook", "user:42")}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "request", got.Load(), "<nil> m.1.5f m.1.5f application/json /hook true")
	equal(t, "reports", w.reports, "[Message Sent m.1.5f.sent]")
}

// TestWebhookAnswers: what each answer makes of a message, over a real connection.
func TestWebhookAnswers(t *testing.T) {
	for _, c := range []struct {
		name, statuses, after, reports, pauses string
	}{
		{"500, then fine", "500 502 200", "", "[Message Sent m.sent]", "[250ms 500ms]"},
		{"429 with seconds", "429 201", "9", "[Message Sent m.sent]", "[9s]"},
		{"503 with seconds", "503 200", "3", "[Message Sent m.sent]", "[3s]"},
		{"408 and 425", "408 425 200", "", "[Message Sent m.sent]", "[250ms 500ms]"},
		{"Retry-After garbage", "503 200", "soon", "[Message Sent m.sent]", "[250ms]"},
		{"Retry-After past", "503 200", "Mon, 02 Jan 2006 15:04:05 GMT", "[Message Sent m.sent]", "[250ms]"},
		{"Retry-After beyond patience", "503 200", "86400", "[Message Failed m.failed timeout]", "[]"},
		{"400", "400 200", "", "[Message Failed m.failed refused]", "[]"},
		{"410", "410 200", "", "[Message Failed m.failed refused]", "[]"},
		{"redirect", "302 200", "", "[Message Failed m.failed refused]", "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			statuses := strings.Fields(c.statuses)
			var calls atomic.Int32
			sink := receive(t, 0, func(w http.ResponseWriter, _ *http.Request) {
				i := int(calls.Add(1)) - 1
				status, err := strconv.Atoi(statuses[min(i, len(statuses)-1)])
				if err != nil {
					t.Error(err)
				}
				w.Header().Set("Location", "/elsewhere")
				w.Header().Set("Retry-After", c.after)
				w.WriteHeader(status)
				fmt.Fprint(w, "because")
			})
			w := newWorld()
			d := w.delivery(t, sink, map[string][]string{"webhook": nil})
			if err := deliver(context.Background(), d.Messages, 3, []streams.Record{record(1, "m", "webhook", "user:42")}, true); err != nil {
				t.Fatal(err)
			}
			equal(t, "reports", w.reports, c.reports)
			equal(t, "pauses", w.pauses, c.pauses)
			if strings.Contains(c.reports, "Failed") && (len(w.letters) != 1 || !strings.Contains(w.letters[0].Detail, "because")) {
				t.Errorf("letters: got %+v", w.letters)
			}
		})
	}
}

// TestWebhookSlow: a receiver that does not answer, or that answers byte by
// byte for ever, is left after the timeout.
func TestWebhookSlow(t *testing.T) {
	for _, status := range []int{0, http.StatusOK, http.StatusInternalServerError} {
		sink := receive(t, 30*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the server notices the client's leaving
			if status == 0 {
				<-r.Context().Done()
				return
			}
			w.WriteHeader(status)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Millisecond):
				}
			}
		})
		err := sink.Send(context.Background(), &streams.Message{ID: "m"}, []byte("{}"))
		var failure *SendError
		if err == nil || (errors.As(err, &failure) && failure.Permanent) {
			t.Errorf("%d: got %v, want an error that may be tried again", status, err)
		}
	}
}

// TestWebhookFloods: an answer without end is not read to its end.
func TestWebhookFloods(t *testing.T) {
	sink := receive(t, 0, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	err := sink.Send(context.Background(), &streams.Message{ID: "m"}, []byte("{}"))
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("got %.500v", err)
	}
}

func TestWebhookBroken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	sink, err := NewWebhook(WebhookConfig{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	if err := deliver(context.Background(), d.Messages, 3, []streams.Record{record(1, "m", "webhook", "user:42")}, true); err != nil {
		t.Fatal(err)
	}
	equal(t, "reports", w.reports, "[Message Failed m.failed timeout]")
	if !slices.ContainsFunc(w.letters, func(l streams.DeadLetter) bool { return strings.Contains(l.Detail, "refused") }) {
		t.Errorf("got %+v", w.letters)
	}
}

func TestWebhookConfig(t *testing.T) {
	for _, c := range []WebhookConfig{{}, {URL: "ftp://x"}, {URL: "http://"}, {URL: "/hook"}, {URL: "http://x\x00"},
		{URL: "http://x", Secret: "MfKQ"}, {URL: "http://x", Secret: "whsec_!!"}} {
		if _, err := NewWebhook(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func TestRetryAfterDate(t *testing.T) {
	now := time.Date(2015, 6, 2, 5, 32, 14, 0, time.UTC)
	equal(t, "pause", retryAfter(now.Add(90*time.Second).Format(http.TimeFormat), now), "1m30s")
}
