package torture

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Load sends what shoppers do to processes that may die at any time, and
// records what was answered.
type Load struct {
	// Seed chooses the shoppers and what they do.
	Seed uint64
	// Senders send batches at the same time, each for shoppers of its own.
	Senders int
	// Rate is how many events are sent in a second, over all senders.
	Rate int
	// URL is where to send a batch, "" while nobody listens; n is a random number.
	URL func(n uint64) string

	// Answered counts batches by what was answered: a status, or 0 for nothing.
	answers [4]atomic.Int64

	mu     sync.Mutex
	events []*Event        // sent; guarded by mu
	acked  map[string]bool // messageIds answered 200; guarded by mu
	refuse error           // an answer that may not be; guarded by mu
}

const (
	batchSize     = 20
	activeShopper = 40 // of one sender at a time
	answerTimeout = 3 * time.Second
)

// Run sends until ctx ends; then it returns the first answer that may not be, nil
// if there was none.
func (l *Load) Run(ctx context.Context) error {
	l.mu.Lock()
	l.acked = map[string]bool{}
	l.mu.Unlock()
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * l.Senders}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: answerTimeout}
	var g errgroup.Group
	for n := range l.Senders {
		s := &sender{load: l, number: n, client: client, random: rand.New(rand.NewPCG(l.Seed, 1<<32+uint64(n)))} //nolint:gosec // repeatable on purpose
		g.Go(func() error { s.run(ctx); return nil })
	}
	_ = g.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refuse
}

// Sent returns every event that was sent, and those that were acknowledged.
func (l *Load) Sent() (events []*Event, acked map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events, l.acked
}

// Answers says how many requests were answered 200, 503, otherwise, or not at all.
func (l *Load) Answers() (done, away, other, none int64) {
	return l.answers[0].Load(), l.answers[1].Load(), l.answers[2].Load(), l.answers[3].Load()
}

// Record notes events that are sent in another way; acked once they are in the log.
func (l *Load) Record(events []*Event, acked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !acked {
		l.events = append(l.events, events...)
		return
	}
	for _, e := range events {
		l.acked[e.ID] = true
	}
}

// sender is a shop's system that sends batches, one after the other.
type sender struct {
	load     *Load
	number   int
	client   *http.Client
	random   *rand.Rand
	shoppers []*shopper
	born     int
	previous []byte // a batch that was acknowledged
}

func (s *sender) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second * time.Duration(batchSize*s.load.Senders) / time.Duration(s.load.Rate))
	defer ticker.Stop()
	for ctx.Err() == nil {
		s.batch(ctx)
		if s.previous != nil && s.random.IntN(50) == 0 {
			s.post(ctx, s.previous) // a producer that does not believe the answer
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// batch sends one batch, again where the answer is not 200; half of the time it
// gives up on those.
func (s *sender) batch(ctx context.Context) {
	events := make([]*Event, 0, batchSize)
	now := time.Now().UnixMilli()
	for range batchSize {
		events = append(events, s.shopper().next(now))
	}
	s.load.Record(events, false)
	body := encodeBatch(events)
	for patient := s.random.IntN(2) == 0; ; {
		if s.post(ctx, body) {
			s.load.Record(events, true)
			s.previous = body
			return
		}
		if !patient || ctx.Err() != nil {
			return
		}
	}
}

func encodeBatch(events []*Event) []byte {
	var b bytes.Buffer
	b.WriteString(`{"batch":[`)
	for i, e := range events {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(e.JSON())
	}
	b.WriteString("]}")
	return b.Bytes()
}

// shopper is one of the active ones; who is done makes room for somebody new.
func (s *sender) shopper() *shopper {
	i := s.random.IntN(activeShopper)
	for len(s.shoppers) <= i {
		s.shoppers = append(s.shoppers, s.newcomer())
	}
	if s.shoppers[i].left == 0 {
		s.shoppers[i] = s.newcomer()
	}
	return s.shoppers[i]
}

func (s *sender) newcomer() *shopper {
	s.born++
	return newShopper(s.load.Seed, fmt.Sprintf("%dx%d", s.number, s.born), s.number<<24+s.born)
}

// post reports whether a batch was acknowledged. It waits for somebody to listen.
func (s *sender) post(ctx context.Context, body []byte) bool {
	url := s.load.URL(s.random.Uint64())
	for ; url == ""; url = s.load.URL(s.random.Uint64()) {
		if !pause(ctx, 5*time.Millisecond) {
			return false
		}
	}
	status, answer := s.ask(url, body)
	switch status {
	case http.StatusOK:
		s.load.answers[0].Add(1)
		return true
	case http.StatusServiceUnavailable:
		s.load.answers[1].Add(1)
	case 0:
		s.load.answers[3].Add(1)
	default:
		s.load.answers[2].Add(1)
		s.load.mu.Lock()
		s.load.refuse = fmt.Errorf("a batch was answered %d: %.300s", status, answer)
		s.load.mu.Unlock()
	}
	pause(ctx, time.Duration(20+s.random.IntN(80))*time.Millisecond)
	return false
}

// ask posts a batch; status 0 is no answer. It is not cut short by the end of the
// run: what was answered must be known.
func (s *sender) ask(url string, body []byte) (status int, answer []byte) {
	resp, err := s.client.Post(url+"/v1/batch", "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// pause waits for d; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
