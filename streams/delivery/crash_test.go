package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

var errDead = errors.New("the process is dead")

// broker is what outlives a process: `retry`, and what was committed.
type broker struct {
	retry []streams.Record
	held  map[bool]Position // what is committed of `retry`, and of `messages`
	sent  int
}

// life is one process, which dies at one of its steps: before each thing that it
// does to the outside, and after it, before it knows.
type life struct {
	*broker
	world *world
	up    time.Time // from when on the receiver answers

	mu     sync.Mutex
	steps  int
	die    int // at which step; 0: never
	dead   bool
	cancel context.CancelFunc
	open   bool // sent, and no commit says so

	current *Queue // which was given a record last
	offset  int64  // of that
}

func (l *life) do(effect func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.step(); l.dead {
		return errDead
	}
	effect()
	if l.step(); l.dead {
		return errDead
	}
	return nil
}

func (l *life) step() {
	if l.steps++; l.steps == l.die {
		l.dead = true
		l.cancel()
	}
}

func (l *life) Name() string { return "webhook" }

func (l *life) Send(context.Context, *streams.Message, []byte) error {
	l.world.mu.Lock()
	down := l.world.now.Before(l.up)
	l.world.mu.Unlock()
	if down {
		return errors.New("down")
	}
	return l.do(func() { l.sent++; l.open = true })
}

func (l *life) commit(q *Queue) {
	at := q.Position(0)
	err := l.do(func() {
		l.held[q.again] = at
		if q == l.current && at.Offset > l.offset {
			l.open = false
		}
	})
	if err == nil {
		q.Committed(0, at)
	}
}

// run is a life from its start until all is delivered, or its death.
func (l *life) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l.cancel = cancel
	d := l.world.delivery(t, l, map[string][]string{"webhook": nil})
	d.c.Retry = func(_ context.Context, rec streams.Record) error {
		return l.do(func() {
			rec.Offset = int64(len(l.retry))
			l.retry = append(l.retry, rec)
		})
	}
	var over sync.WaitGroup
	for _, q := range []*Queue{d.Messages, d.Retries} {
		at, known := l.held[q.again]
		if !known {
			at.Offset = -1
		}
		q.Restore(0, at.Offset, at.Metadata)
		over.Go(func() {
			for ctx.Err() == nil {
				select {
				case <-q.Dirty():
					l.commit(q)
				case <-ctx.Done():
				}
			}
		})
	}
	l.hand(ctx, d.Messages, []streams.Record{record(0, "m", "webhook", "user:1")})
	from := max(l.done(d.Retries), 0)
	d.Retries.Saw(l.moved(0)[:from])
	for rest := l.moved(from); len(rest) > 0 && ctx.Err() == nil; rest = l.moved(from) {
		l.hand(ctx, d.Retries, rest[:1])
		from++
	}
	if ctx.Err() == nil { // what the end commits
		l.commit(d.Messages)
		l.commit(d.Retries)
	}
	cancel()
	over.Wait()
	d.Messages.Drain(0)
	d.Retries.Drain(0)
}

// done is below which offset all is committed.
func (l *life) done(q *Queue) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[q.again].Offset
}

// moved is what `retry` holds.
func (l *life) moved(from int64) []streams.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.retry[from:])
}

func (l *life) hand(ctx context.Context, q *Queue, recs []streams.Record) {
	if recs[0].Offset < l.done(q) {
		return
	}
	l.mu.Lock()
	l.current, l.offset = q, recs[0].Offset
	l.mu.Unlock()
	if q.Handle(ctx, 0, recs) == nil {
		q.partition(0).running.Wait()
	}
}

// TestDeathWhileAMessageMoves dies at each step of a message that moves to
// `retry`, there to its end, and is sent then; and goes on in another process,
// which meets the receiver up or still down. It is sent once; twice only where the
// process died between the receiver's answer and the commit after it.
func TestDeathWhileAMessageMoves(t *testing.T) {
	start := newWorld().now
	for _, later := range []time.Duration{0, 25 * time.Minute} { // the receiver is up when the process dies, or this much later
		for die := 1; ; die++ {
			b := &broker{held: map[bool]Position{}}
			w := newWorld()
			first := &life{broker: b, world: w, up: start.Add(15 * time.Minute), die: die}
			first.run(t)
			if !first.dead {
				if die < 12 {
					t.Errorf("only %d steps", die)
				}
				break
			}
			allowed := 1
			if first.open {
				allowed = 2
			}
			second := &life{broker: b, world: w, up: w.now.Add(later)}
			second.run(t)
			if b.sent < 1 || b.sent > allowed {
				t.Errorf("died at step %d, up %v later: sent %d times, at most %d allowed; retry holds %d", die, later, b.sent, allowed, len(b.retry))
			}
			third := &life{broker: b, world: w}
			third.run(t)
			if third.sent != second.sent || third.open {
				t.Errorf("died at step %d: sent again at a clean restart", die)
			}
		}
	}
}

// TestOnlyTheOwnerSends: before each attempt a commit that is less than half a
// session old says whose the partition is; where there is none, one is asked for.
func TestOnlyTheOwnerSends(t *testing.T) {
	w, sink := newWorld(), &fake{name: "webhook"}
	d := w.delivery(t, sink, map[string][]string{"webhook": nil})
	d.c.Session = 6 * time.Second
	q := d.Messages
	hand := func(offset int64) {
		t.Helper()
		if err := q.Handle(t.Context(), 0, []streams.Record{record(offset, fmt.Sprint("m", offset), "webhook", "user:1")}); err != nil {
			t.Fatal(err)
		}
	}
	asked := func() Position {
		for {
			<-q.Dirty()
			if at := q.Position(0); at.asked > q.partition(0).answered {
				return at
			}
		}
	}
	q.Restore(0, 0, "")
	hand(0)
	q.Committed(0, asked())
	q.partition(0).running.Wait()
	equal(t, "sent", sink.ids(), "[m0]")
	w.now = w.now.Add(2 * time.Second)
	hand(1)
	q.partition(0).running.Wait()
	equal(t, "sent within half a session", sink.ids(), "[m0 m1]")

	w.now = w.now.Add(time.Minute) // the process was stopped
	hand(2)
	at := asked()
	equal(t, "sent by a process that was stopped", sink.ids(), "[m0 m1]")
	q.Drain(0) // it was: the group has given the partition to another
	equal(t, "sent", sink.ids(), "[m0 m1]")
	equal(t, "to be committed", fmt.Sprint(at.Offset, at.Due), "2 true")
}
