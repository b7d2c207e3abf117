package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

const (
	// inFlight is how many messages of a partition may be under way: not yet
	// finished, or finished and not yet committed. A process that dies sends
	// these again at most.
	inFlight = 16
	// maxMetadata bounds what a commit says of the messages that are finished
	// above the oldest one that is not, in bytes; it leaves room for those in
	// flight, which may end or move to `retry` meanwhile.
	maxMetadata = 2048 - inFlight*12 - 2
)

// Queue delivers one topic: `messages`, or `retry`. It remembers what this
// process has finished for as long as the process lives, whatever becomes of a
// commit. Handle may be called for several partitions at once.
type Queue struct {
	d     *Delivery
	again bool // of `retry`
	dirty chan struct{}
	moves moves // of `retry`: what it has held

	mu         sync.Mutex           // guards what follows, not what partitions point to
	partitions map[int32]*partition // by number
	proven     time.Time            // when a commit was begun that succeeded: its partitions were this process's
	proof      chan struct{}        // closed, and made anew, when proven changes
}

// partition is what is known of a partition of a topic.
type partition struct {
	room chan struct{} // has one when there may be room for another message
	stop chan struct{} // closed: no message is tried again

	mu       sync.Mutex                      // guards everything below
	base     int64                           // all below is finished
	next     int64                           // to be handed over
	done     spans                           // finished, at and above base
	moving   spans                           // not to be sent here any more: they move, or have moved, to `retry`
	marks    map[string]streams.EffectNumber // the highest handed over, by source
	items    map[int64]*item                 // handed over and not finished, by offset
	last     map[string]*item                // of them, the last of each profile
	outcomes map[int64]*outcome              // of messages that are sent and not reported, by offset
	gaps     map[string]gap                  // where effects are missing, by source
	pending  int                             // finished and not committed
	asked    int                             // confirmations asked for
	answered int                             // and given
	answer   chan struct{}                   // closed, and made anew, when one is given
	trouble  string                          // why the last attempt to do something failed, until one succeeds
	running  sync.WaitGroup
}

// gap is where effects of a source are missing.
type gap struct {
	offset int64 // of the first record that waits for them
	why    string
}

// item is a message, or what should be one, on its way.
type item struct {
	rec     streams.Record
	effect  streams.EffectNumber
	before  streams.EffectNumber // the highest of its source that was handed over before it
	message *streams.Message     // nil: a dead letter for reason
	reason  string
	detail  string
	after   *item         // of the same profile, to be finished before it
	over    chan struct{} // closed when it is finished
}

func newQueue(d *Delivery, again bool) *Queue {
	return &Queue{d: d, again: again, dirty: make(chan struct{}, 1), partitions: map[int32]*partition{}, proof: make(chan struct{}),
		moves: moves{sink: d.c.Sink.Name(), first: map[[16]byte]int64{}}}
}

// Handle hands over the next records of a partition, in order, and returns when
// each is under way or passed over, or Stop was called: at most 16 are under way
// at once, those of one profile one after the other. The error is ctx's. ctx
// must last until Drain returns.
func (q *Queue) Handle(ctx context.Context, number int32, recs []streams.Record) error {
	p := q.partition(number)
	for i := range recs {
		if err := p.wait(ctx); errors.Is(err, errStopped) {
			return nil
		} else if err != nil {
			return err
		}
		if it := q.take(p, &recs[i]); it != nil {
			go q.run(ctx, p, it)
		}
	}
	notify(q.dirty)
	return nil
}

// wait returns when there is room for another message, or the partition ends.
func (p *partition) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		free := len(p.items)+p.pending < inFlight
		if free && len(p.done)+len(p.moving) > 50 {
			_, metadata := p.position()
			free = len(metadata) <= maxMetadata
		}
		p.mu.Unlock()
		select {
		case <-p.stop:
			return errStopped
		default:
		}
		if err := ctx.Err(); err != nil || free {
			return err
		}
		select {
		case <-p.room:
		case <-p.stop:
			return errStopped
		case <-ctx.Done():
		}
	}
}

// take looks at a record and returns what has to be done about it, nil if
// nothing has.
func (q *Queue) take(p *partition, rec *streams.Record) *item {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = rec.Offset + 1
	it := &item{rec: *rec, over: make(chan struct{})}
	it.rec.Headers = slices.Clone(rec.Headers) // the slice is the caller's
	var err error
	if it.effect, err = rec.Effect(); err != nil {
		it.reason, it.detail = streams.ReasonMalformed, err.Error()
	}
	it.before = p.marks[it.effect.Source()]
	switch {
	case rec.Offset < p.base || p.done.has(rec.Offset):
		q.raise(p, it.effect)
		q.moves.twice(rec)
		return nil
	case !q.again && !q.follows(p, it):
		return nil
	case q.again && q.moves.twice(rec):
		q.d.metrics.outcomes.WithLabelValues("duplicate").Inc()
		p.done.add(rec.Offset)
		return nil
	}
	q.raise(p, it.effect)
	if it.reason == "" && !q.read(it) {
		p.done.add(rec.Offset)
		return nil
	}
	p.items[rec.Offset] = it
	if it.message != nil {
		it.after = p.last[it.message.Profile]
		p.last[it.message.Profile] = it
	}
	p.running.Add(1)
	return it
}

// follows reports whether an effect is higher than what was handed over of its
// source, and follows it. Where its predecessor is missing it is held back, and
// the commit with it: its source will produce what is missing, and it again.
func (q *Queue) follows(p *partition, it *item) bool {
	if it.effect.IsZero() {
		return true
	}
	source := it.effect.Source()
	prev, err := streams.ParseEffect(string(it.rec.Header(streams.HeaderPrev)))
	switch {
	case it.before.IsZero():
	case !it.before.Less(it.effect):
		q.d.metrics.outcomes.WithLabelValues("duplicate").Inc()
		p.done.add(it.rec.Offset)
		return false
	case err == nil && it.before.Less(prev) && !q.d.c.AcceptLoss:
		q.d.metrics.outcomes.WithLabelValues("gap").Inc()
		if _, known := p.gaps[source]; !known {
			p.gaps[source] = gap{it.rec.Offset, fmt.Sprintf("effect %s follows %s, which is missing: the last one delivered is %s", it.effect, prev, it.before)}
			q.d.c.Logger.Error("messages are missing; none of this source is delivered until they come", "sink", q.d.c.Sink.Name(),
				"partition", it.rec.Partition, "got", it.effect.String(), "after", prev.String(), "delivered", it.before.String())
		}
		return false
	}
	delete(p.gaps, source)
	return true
}

// read makes the item's message, or says why there is none; false for a message
// that another sink serves.
func (q *Queue) read(it *item) bool {
	m := new(streams.Message)
	switch err := json.Unmarshal(it.rec.Value, m); {
	case err != nil:
		it.reason, it.detail = streams.ReasonMalformed, "the message is not valid JSON: "+err.Error()
	case m.ID == "" || m.Channel == "":
		it.reason, it.detail = streams.ReasonInvalid, "the message needs an id and a channel"
	default:
		it.message = m
	}
	own := true
	if q.again {
		own = retryOf(&it.rec).sink == q.d.c.Sink.Name()
	} else if it.message != nil {
		own = q.d.c.Routes.Sink(m.Channel) == q.d.c.Sink.Name()
	}
	return own
}

// run takes an item to its end, unless the partition ends before.
func (q *Queue) run(ctx context.Context, p *partition, it *item) {
	defer p.running.Done()
	if it.after != nil && p.await(ctx, it.after.over) != nil {
		return
	}
	if q.finish(ctx, p, it) != nil {
		return // it is not finished: whoever has the partition next does it
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.items, it.rec.Offset)
	delete(p.outcomes, it.rec.Offset)
	if it.message != nil && p.last[it.message.Profile] == it {
		delete(p.last, it.message.Profile)
	}
	p.done.add(it.rec.Offset)
	p.moving.remove(it.rec.Offset)
	p.trouble = ""
	p.pending++
	close(it.over)
	notify(q.dirty)
	notify(p.room)
}

// Stop lets Handle return early and nothing be tried again: the partition is
// about to be given up.
func (q *Queue) Stop(number int32) {
	p := q.partition(number)
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
}

// Drain is Stop, and waits for what is being sent.
func (q *Queue) Drain(number int32) {
	q.Stop(number)
	q.partition(number).running.Wait()
}

func (q *Queue) partition(number int32) *partition {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.partitions[number]
	if p == nil {
		p = &partition{room: make(chan struct{}, 1), stop: make(chan struct{}), marks: map[string]streams.EffectNumber{},
			next: -1, items: map[int64]*item{}, last: map[string]*item{}, outcomes: map[int64]*outcome{}, gaps: map[string]gap{},
			answer: make(chan struct{})}
		q.partitions[number] = p
	}
	return p
}

// raise is called with p.mu held. In `retry` numbers come in no order.
func (q *Queue) raise(p *partition, n streams.EffectNumber) {
	if last, ok := p.marks[n.Source()]; !q.again && !n.IsZero() && (!ok || last.Less(n)) {
		p.marks[n.Source()] = n
	}
}

func notify(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
