package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/recommender"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// maxAliases bounds the way from an identifier to its profile.
const maxAliases = 64

// Profile is ReadProfile for who does not ask how old the answer is.
func (e *Engine) Profile(ctx context.Context, id streams.Identifier) (*profiles.Profile, error) {
	p, _, err := e.ReadProfile(ctx, id)
	return p, err
}

// ReadProfile returns a private copy of the customer's profile; a weaker
// identifier leads to the profile that it points to. age is 0, unless another
// process owns the profile and the snapshot store is away: then it is that of the
// copy. ErrNotFound where nothing is known; ErrUnavailable where nobody can say.
func (e *Engine) ReadProfile(ctx context.Context, id streams.Identifier) (p *profiles.Profile, age time.Duration, err error) {
	p = new(profiles.Profile)
	age, err = e.readProfile(ctx, id.String(), p)
	if err != nil {
		return nil, 0, err
	}
	return p, age, nil
}

// readProfile fills p with what is known of a customer.
func (e *Engine) readProfile(ctx context.Context, id string, p *profiles.Profile) (age time.Duration, err error) {
	var room [4]string
	passed := room[:0] // identifiers on the way to the profile
	for range maxAliases {
		at, err := e.readOne(ctx, id, p)
		if err != nil && !(errors.Is(err, ErrNotFound) && at.stored) {
			return 0, err
		}
		age = max(age, at.age)
		passed = append(passed, id)
		switch {
		case p.AliasOf != "":
			id = p.AliasOf
			continue
		case !at.stored:
			return age, nil
		}
		if next := e.overlay.stronger(id); next != "" && e.leads(p, next) && !slices.Contains(passed, next) {
			id = next
			continue
		}
		if !e.overlay.lay(p, passed, e) && err != nil {
			return 0, err
		}
		return age, nil
	}
	return 0, ErrNotFound
}

// leads reports whether an identifier that is a profile of its own may be taken
// for the stronger one that an event named beside it.
func (e *Engine) leads(p *profiles.Profile, stronger string) bool {
	blocked := e.settings.Identity.Blocked
	return !p.Blocked && !blocked[p.Id] && !blocked[stronger] && !slices.Contains(p.Forbidden, stronger)
}

// readAt is where a profile was read.
type readAt struct {
	stored bool          // in the snapshot store, or in a copy of that
	age    time.Duration // of the copy, while the store is away
}

// readOne reads from memory what this process owns and has not evicted, else what
// the store has.
func (e *Engine) readOne(ctx context.Context, id string, p *profiles.Profile) (at readAt, err error) {
	home := streams.Partition(id, e.settings.Partitions)
	if owner := e.partition(home); owner != nil && e.believes(ctx, owner) {
		switch owner.store.Find(id, p) {
		case profiles.InMemory:
			return at, nil
		case profiles.Nowhere:
			return at, ErrNotFound
		}
	}
	at.stored = true
	at.age, err = e.readStored(ctx, home, id, p)
	return at, err
}

// readStored reads the latest snapshot of a profile that this process does not
// hold; where there is none, p is one that is empty.
func (e *Engine) readStored(ctx context.Context, home int32, id string, p *profiles.Profile) (age time.Duration, err error) {
	copies := e.readCopies()
	if copies == nil {
		return 0, fmt.Errorf("%w: the engine is not running yet", ErrUnavailable)
	}
	data, age, err := copies.get(ctx, home, id)
	if err != nil {
		return 0, err
	}
	if err := profiles.Decode(id, data, p); err != nil || data != nil {
		return age, err
	}
	return age, ErrNotFound
}

// readCopies are the copies of what the snapshot store has, nil until it is open.
func (e *Engine) readCopies() *copies {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if !e.running {
		return nil
	}
	return e.copies
}

// Now is the time that answers are given at: the wall clock on a live log, the
// greatest tick on one of history. Unix ms.
func (e *Engine) Now() int64 {
	if e.live.Load() {
		return time.Now().UnixMilli()
	}
	var now int64
	for _, p := range e.ownedPartitions() {
		now = max(now, p.clock.Load())
	}
	if now == 0 {
		return time.Now().UnixMilli()
	}
	return now
}

var profilePool = sync.Pool{New: func() any { return new(profiles.Profile) }}

// Recommend answers requests of one customer; the zero identifier is a
// stranger, and so is a customer that is not known yet.
func (e *Engine) Recommend(ctx context.Context, id streams.Identifier, reqs []*recommender.Request, dedupe bool, answers []recommender.Answer) error {
	now := e.Now()
	p := profilePool.Get().(*profiles.Profile)
	defer profilePool.Put(p)
	known, age := e.know(ctx, id, p)
	for _, req := range reqs {
		req.Now = now
		switch {
		case known:
			fillCustomer(&req.Customer, p, now, e.settings.Profile.CartTTL)
		case !id.IsZero():
			req.Customer.Key = id.String()
		}
	}
	err := e.model.RecommendMany(reqs, dedupe, answers)
	for i := range answers {
		answers[i].Messages, answers[i].Age = nil, age
	}
	if known && len(p.Inbox) > 0 && len(reqs) > 0 {
		answers[0].Messages = p.Waits(reqs[0].Channel, now)
	}
	return err
}

// Earned is what each strategy of each placement did, and the names of all placements.
func (e *Engine) Earned() (list []recommender.Earned, placements []string) {
	return e.model.Earned(), e.model.Placements()
}

// Rank puts the request's items in order for one customer, as Recommend reads it.
func (e *Engine) Rank(ctx context.Context, id streams.Identifier, req *recommender.Request, answer *recommender.Answer) error {
	p := profilePool.Get().(*profiles.Profile)
	defer profilePool.Put(p)
	req.Now = e.Now()
	known, age := e.know(ctx, id, p)
	if known {
		fillCustomer(&req.Customer, p, req.Now, e.settings.Profile.CartTTL)
	}
	err := e.model.Rank(req, answer)
	answer.Age = age
	return err
}

// know reads who is asking; false for a stranger, and for whom nothing is known.
func (e *Engine) know(ctx context.Context, id streams.Identifier, p *profiles.Profile) (known bool, age time.Duration) {
	if id.IsZero() {
		return false, 0
	}
	age, err := e.readProfile(ctx, id.String(), p)
	return err == nil, age
}

// fillCustomer tells the recommender what it needs to know of a profile.
func fillCustomer(c *recommender.Customer, p *profiles.Profile, now int64, cartTTL time.Duration) {
	c.Key, c.Known = p.Id, p.Known()
	for _, v := range p.Viewed {
		c.Recent = append(c.Recent, recommender.Seen{ID: v.Id, At: v.At})
	}
	if s := p.Session; s != nil && now-s.LastAt < sessionGap.Milliseconds() {
		c.Session = append(c.Session, s.Viewed...)
	}
	for _, line := range p.LiveCart(now, cartTTL) {
		c.Cart = append(c.Cart, line.Id)
	}
	if p.Orders != nil {
		for _, o := range slices.Backward(p.Orders.Recent) { // newest last
			for _, line := range o.Products {
				c.Purchased = append(c.Purchased, line.Id)
				if !o.Void {
					c.Bought = append(c.Bought, recommender.Seen{ID: line.Id, At: o.At})
				}
			}
		}
	}
	c.Categories = appendAffinities(c.Categories, p.Categories)
	c.Brands = appendAffinities(c.Brands, p.Brands)
}

func appendAffinities(to []recommender.Affinity, list []byte) []recommender.Affinity {
	var memory [32]profiles.Preference
	for _, a := range profiles.AppendPreferences(memory[:0], list) {
		to = append(to, recommender.Affinity{Name: a.Name, Log2: float64(a.Score)})
	}
	return to
}

const sessionGap = 30 * time.Minute

// recommendFor fills the recommendations of a message that was just decided:
// a reading of the model, not part of the fold.
func (e *Engine) recommendFor(p *profiles.Profile, now int64, send *rules.Send) {
	req := recommender.Request{
		Placement: send.Recommend.Placement, Items: send.Recommend.Items,
		Limit: send.Recommend.Limit, Now: now, Channel: send.Message.Channel, ID: "rec_" + send.Message.ID,
	}
	fillCustomer(&req.Customer, p, now, e.settings.Profile.CartTTL)
	var answer recommender.Answer
	if err := e.model.Recommend(&req, &answer); err != nil {
		e.log.Warn("cannot recommend for a message", "message", send.Message.ID, "error", err)
		return
	}
	list := &streams.Recommendations{ID: req.ID, Items: []streams.MessageItem{}}
	for _, r := range answer.Items {
		list.Items = append(list.Items, messageItem(r))
	}
	send.Message.Recommendations = list
}

func messageItem(r recommender.Ranked) streams.MessageItem {
	item := streams.MessageItem{ID: r.ID, Available: r.Item.IsAvailable()}
	if i := r.Item; i != nil {
		item.Name, item.URL, item.ImageURL = i.Name, i.URL, i.ImageURL
		item.Price, item.OldPrice, item.Stock = i.Price, i.OldPrice, i.Stock
	}
	return item
}

// MessageQuery selects messages; the zero value all.
type MessageQuery struct {
	Profile, Trigger string
	Limit            int
	After            string // `next` of the page before
}

// Messages lists the latest messages, newest first.
func (e *Engine) Messages(ctx context.Context, q MessageQuery) (list []streams.Message, next string) {
	before, _ := strconv.ParseInt(q.After, 10, 64)
	list, n := e.messages.list(q.Limit, before, func(m *streams.Message) bool {
		return (q.Profile == "" || m.Profile == q.Profile) && (q.Trigger == "" || m.Trigger == q.Trigger)
	})
	if n > 0 {
		next = strconv.FormatInt(n, 10)
	}
	for i := range list {
		e.settle(ctx, &list[i])
	}
	return list, next
}

// settle gives a message the status that its customer's profile has: the list
// does not know what became of it before the start, or in another process.
func (e *Engine) settle(ctx context.Context, m *streams.Message) {
	var p profiles.Profile
	if m.Status != statusQueued {
		return
	}
	if _, err := e.readProfile(ctx, m.Profile, &p); err != nil {
		return
	}
	for _, kept := range p.Messages {
		if kept.Id == m.ID && kept.Status != "" {
			m.Status = kept.Status
		}
	}
}

// DeadLetters lists the latest dead letters, newest first; an empty reason is
// any.
func (e *Engine) DeadLetters(limit int, reason string) []streams.DeadLetter {
	list, _ := e.letters.list(limit, 0, func(l *streams.DeadLetter) bool { return reason == "" || l.Reason == reason })
	return list
}
