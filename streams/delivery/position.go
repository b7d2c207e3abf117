package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// Position is what to commit of a partition.
type Position struct {
	Offset   int64  // of the oldest message that is not finished; -1: there is nothing to commit
	Metadata string // effect numbers below it, what is finished above, and what moves to `retry`
	// Due says that somebody waits for it to be committed, be it what was
	// committed last.
	Due bool

	finished int       // how many messages no commit has said to be finished
	asked    int       // the last confirmation asked for
	at       time.Time // when it was what there is to commit
}

// Position is what to commit of a partition now. Committed is told when that is
// done.
func (q *Queue) Position(number int32) Position {
	p := q.partition(number)
	p.mu.Lock()
	defer p.mu.Unlock()
	offset, metadata := p.position()
	p.base = max(p.base, offset)
	p.done.drop(p.base)
	p.moving.drop(p.base)
	return Position{Offset: offset, Metadata: metadata, Due: p.pending > 0 || p.asked > p.answered,
		finished: p.pending, asked: p.asked, at: q.d.c.Now()}
}

// position is called with mu held.
func (p *partition) position() (offset int64, metadata string) {
	offset = p.next
	low := map[string]streams.EffectNumber{}
	for o, it := range p.items {
		offset = min(offset, o)
		source := it.effect.Source()
		if n, ok := low[source]; !ok || it.before.Less(n) {
			low[source] = it.before
		}
	}
	for _, g := range p.gaps {
		offset = min(offset, g.offset)
	}
	marks := make([]streams.EffectNumber, 0, len(p.marks))
	for source, n := range p.marks {
		if below, ok := low[source]; ok {
			n = below
		}
		if !n.IsZero() {
			marks = append(marks, n)
		}
	}
	slices.SortFunc(marks, streams.EffectNumber.Compare)
	return offset, encode(marks, offset, p.done, p.moving)
}

// Committed tells that what Position returned is committed.
func (q *Queue) Committed(number int32, done Position) {
	p := q.partition(number)
	p.mu.Lock()
	p.pending = max(p.pending-done.finished, 0)
	p.answered = max(p.answered, done.asked)
	close(p.answer)
	p.answer = make(chan struct{})
	p.mu.Unlock()
	q.mu.Lock()
	if done.at.After(q.proven) {
		q.proven = done.at
		close(q.proof)
		q.proof = make(chan struct{})
	}
	q.mu.Unlock()
	notify(p.room)
}

// Dirty has one when there is something new to commit.
func (q *Queue) Dirty() <-chan struct{} { return q.dirty }

// Restore takes up a partition that was just assigned, with what was committed
// last: offset -1 where nothing was. What this process has finished itself stays
// known: a commit may have failed after it. Metadata that cannot be read is left
// out: its messages may be sent again.
func (q *Queue) Restore(number int32, offset int64, metadata string) {
	p := q.partition(number)
	p.running.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.base = max(p.base, offset)
	marks, done, moving, err := decode(metadata, offset)
	if err != nil {
		q.d.c.Logger.Error("messages may be sent again", "sink", q.d.c.Sink.Name(), "partition", number, "error", err)
	}
	for _, x := range done {
		for o := max(x.from, p.base); o <= x.to; o++ {
			p.done.add(o)
		}
	}
	p.done.drop(p.base)
	p.moving = moving
	p.next, p.pending, p.stop, p.trouble = offset, 0, make(chan struct{}), ""
	clear(p.marks)
	clear(p.items)
	clear(p.last)
	clear(p.gaps)
	for o := range p.outcomes {
		if o < p.base {
			delete(p.outcomes, o)
		}
	}
	for _, n := range marks {
		q.raise(p, n)
	}
}

// ours returns when the partition is certainly still this process's: a commit
// that was begun less than half a session ago has succeeded. A process that was
// stopped for longer finds out so before it sends anything more.
func (q *Queue) ours(ctx context.Context, p *partition) error {
	for {
		q.mu.Lock()
		proven, proof := q.proven, q.proof
		q.mu.Unlock()
		now := q.d.c.Now()
		// By both clocks: a machine that sleeps stops the one that never jumps.
		age := max(now.Sub(proven), now.Round(0).Sub(proven.Round(0)))
		if q.d.c.Session <= 0 || !proven.IsZero() && age < q.d.c.Session/2 {
			return nil
		}
		p.mu.Lock()
		p.asked++
		p.mu.Unlock()
		notify(q.dirty)
		if err := p.await(ctx, proof); err != nil {
			return err
		}
	}
}

// confirm returns when what is known now of a partition is committed. The error
// is that of the partition's end.
func (q *Queue) confirm(ctx context.Context, p *partition) error {
	p.mu.Lock()
	p.asked++
	n := p.asked
	p.mu.Unlock()
	notify(q.dirty)
	for {
		p.mu.Lock()
		done, answer := p.answered >= n, p.answer
		p.mu.Unlock()
		if done {
			return nil
		}
		if err := p.await(ctx, answer); err != nil {
			return err
		}
	}
}

// await waits for a channel to be closed. The error is that of the partition's
// end.
func (p *partition) await(ctx context.Context, closed <-chan struct{}) error {
	select {
	case <-closed:
		return nil
	case <-p.stop:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}
