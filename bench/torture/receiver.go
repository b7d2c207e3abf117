package torture

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Receiver is a shop's own server for messages, which counts how often each comes
// and whether it is the same each time.
type Receiver struct {
	// Before and After are told of a message before it is answered and after that.
	Before, After Hook

	mu       sync.Mutex
	received map[string]*Receipt // by message id; guarded by mu
	last     time.Time           // of the latest one; guarded by mu
}

// Receipt is what came under one message id.
type Receipt struct {
	Body    []byte      // of the first
	At      []time.Time // when it came, each time
	Differs bool        // one came with another body
}

// NewReceiver returns one that has received nothing.
func NewReceiver() *Receiver { return &Receiver{received: map[string]*Receipt{}} }

// ServeHTTP takes one message.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now()
	body, err := io.ReadAll(req.Body)
	var message struct {
		ID string `json:"id"`
	}
	if err != nil || json.Unmarshal(body, &message) != nil || message.ID == "" || message.ID != req.Header.Get("Idempotency-Key") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.Before.call(message.ID, req.URL.Path)
	if !r.answer(w) {
		return
	}
	r.note(message.ID, body, now)
	r.After.call(message.ID, req.URL.Path)
}

// Hook is a function that may be set while messages come.
type Hook struct {
	set atomic.Pointer[func(id, path string)]
}

// Set sets what is called with the id of each message from now on, and the path
// that it was posted to; nil calls nothing.
func (h *Hook) Set(f func(id, path string)) {
	if f == nil {
		h.set.Store(nil)
		return
	}
	h.set.Store(&f)
}

func (h *Hook) call(id, path string) {
	if f := h.set.Load(); f != nil {
		(*f)(id, path)
	}
}

// answer reports whether the answer left for the sender.
func (r *Receiver) answer(w http.ResponseWriter) bool {
	w.WriteHeader(http.StatusOK)
	return http.NewResponseController(w).Flush() == nil
}

func (r *Receiver) note(id string, body []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = now
	receipt := r.received[id]
	if receipt == nil {
		receipt = &Receipt{Body: body}
		r.received[id] = receipt
	}
	receipt.At = append(receipt.At, r.last)
	receipt.Differs = receipt.Differs || string(receipt.Body) != string(body)
}

// Received returns what came, by message id; nobody may be sending.
func (r *Receiver) Received() map[string]*Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received
}

// Count is how many ids came, and how long ago the latest message did.
func (r *Receiver) Count() (ids int, quiet time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.received), time.Since(r.last)
}
