package reference_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/rapport-engine/rapport/bench/reference"
	"github.com/rapport-engine/rapport/engine"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// action is one thing that happens: time passes (tick, Unix ms), an item changes,
// an event is logged, or the process starts again.
type action struct {
	tick    int64
	item    *reference.Item
	event   *reference.Event
	restart bool
}

func (a *action) String() string {
	switch {
	case a.event != nil:
		e := a.event
		return fmt.Sprintf("%s %s %s %v logged %d at %d product %+v %+v order %q %v %v consents %v message %q", e.ID, e.Name, e.Channel, e.IDs, e.Logged, e.At,
			e.Product, e.Products, e.Order, e.Properties, e.Traits, e.Consents, e.Message)
	case a.item != nil:
		return fmt.Sprintf("item %+v", *a.item)
	case a.restart:
		return "restart"
	}
	return fmt.Sprintf("tick %d (%s)", a.tick, time.UnixMilli(a.tick).UTC().Format(time.RFC3339))
}

// scenario is a set of rules and what happens under it.
type scenario struct {
	rules      *ruleText
	meaning    reference.Conditions
	live       bool
	gradual    bool // a live log's work is done in steps
	partitions int
	actions    []action
}

func newScenario(seed uint64) *scenario {
	p := &pool{Rand: rand.New(rand.NewPCG(seed, 7)), meaning: reference.Conditions{}} //nolint:gosec // the same each time
	s := &scenario{meaning: p.meaning, live: p.IntN(2) == 0, partitions: 1 + 3*p.IntN(2)}
	s.gradual = s.live && seed%2 == 0
	s.rules = p.rules()
	s.happen(p)
	return s
}

// happen makes what happens. Feedback is about messages that the model sends.
func (s *scenario) happen(p *pool) {
	model, err := s.model()
	if err != nil {
		return // run tells
	}
	now := time.Date(2026, time.Month(1+p.IntN(12)), 1+p.IntN(28), p.IntN(24), p.IntN(60), 0, 0, time.UTC).UnixMilli()
	g := &generator{pool: p, customers: 1 + p.IntN(3)}
	do := func(a action) {
		s.actions = append(s.actions, a)
		a.tell(model)
	}
	for range 10 + p.IntN(40) {
		now += int64(1+p.IntN(90)) * 60_000
		if p.IntN(4) == 0 {
			now += int64(p.IntN(72)) * 60 * 60_000
		}
		if p.IntN(40) == 0 {
			now += 20 * dayMs
		}
		do(action{tick: now})
		for i := range p.IntN(4) {
			switch n := p.IntN(20); {
			case n == 0:
				do(action{restart: true})
			case n < 4:
				do(action{item: g.item()})
			default:
				model.Finish() // so that feedback finds what was sent
				do(action{event: g.event(now, now+int64(i+1)*7, model)})
			}
		}
	}
	do(action{tick: now + 12*dayMs})
}

func (s *scenario) model() (*reference.Model, error) {
	read, err := reference.Read([]byte(s.rules.String()), s.meaning)
	if err != nil {
		return nil, err
	}
	return reference.New(read, "Europe/Kyiv", s.live), nil
}

func (a *action) tell(m *reference.Model) {
	switch {
	case a.item != nil:
		copied := *a.item
		m.PutItem(&copied)
	case a.event != nil:
		if !m.Live() {
			m.Tick(a.event.Logged)
		}
		m.Take(a.event)
	case a.tick > 0:
		m.Tick(a.tick)
	}
}

// run lists where engine and model differ.
func (s *scenario) run(ctx context.Context) ([]string, error) {
	model, err := s.model()
	if err != nil {
		return nil, err
	}
	for i := range s.actions {
		s.actions[i].tell(model)
	}
	model.Finish()
	set, err := rules.Parse(map[string][]byte{"rules.yaml": []byte(s.rules.String())})
	if err != nil {
		return nil, err
	}
	cfg := engine.DefaultConfig()
	cfg.Partitions = s.partitions
	var got watched
	fold := engine.NewFold(cfg, engine.FoldOptions{Rules: set, Watch: got.watch, Gradual: s.gradual})
	for i := range s.actions {
		if err := s.apply(ctx, fold, set, &s.actions[i]); err != nil {
			return nil, err
		}
	}
	return compare(model.Decisions, got), nil
}

func (s *scenario) apply(ctx context.Context, fold *engine.Fold, set *rules.Set, a *action) error {
	switch {
	case a.restart:
		fold.Restart()
		fold.SetRules(set) // the same text: nothing changes
	case a.item != nil:
		return fold.PutItems(ctx, catalogue([]*reference.Item{a.item}))
	case a.event != nil:
		if !s.live {
			if err := s.tick(ctx, fold, a.event.Logged); err != nil {
				return err
			}
		}
		return fold.Apply(ctx, []streams.Record{record(a.event, s.live)})
	case a.tick > 0:
		return s.tick(ctx, fold, a.tick)
	}
	return nil
}

// tick tells all partitions the time.
func (s *scenario) tick(ctx context.Context, fold *engine.Fold, now int64) error {
	clock := engine.HistoryTick(now)
	if s.live {
		clock = []byte("live")
	}
	var records []streams.Record
	for p := range fold.Partitions() {
		records = append(records, streams.Record{Partition: p, Time: now, Headers: []streams.Header{{Key: streams.HeaderClock, Value: clock}}})
	}
	return fold.Apply(ctx, records)
}

// record is an event as a producer writes it.
func record(e *reference.Event, live bool) streams.Record {
	call := map[string]any{"type": "track", "event": e.Name, "messageId": e.ID, "timestamp": stamp(e.At)}
	context := map[string]any{"channel": e.Channel}
	if e.Zone != "" {
		context["timezone"] = e.Zone
	}
	var external []any
	for _, id := range e.IDs {
		typ, value, _ := strings.Cut(id, ":")
		switch typ {
		case "user":
			call["userId"] = value
		case "anonymous":
			call["anonymousId"] = value
		default:
			external = append(external, map[string]any{"type": typ, "id": value})
		}
	}
	context["externalIds"], call["context"] = external, context
	switch e.Name {
	case "identify":
		traits := map[string]any{}
		for name, value := range e.Traits {
			traits[name] = value
		}
		if e.Consents != nil {
			traits["consents"] = e.Consents
		}
		call["type"], call["traits"] = "identify", traits
	case "page":
		call["type"] = "page"
	}
	call["properties"] = properties(e)
	value, err := json.Marshal(call)
	if err != nil {
		panic(err)
	}
	rec := streams.Record{Partition: -1, Key: []byte(e.IDs[0]), Value: value, Time: e.Logged}
	if !live {
		rec.Headers = []streams.Header{{Key: streams.HeaderClock, Value: engine.HistoryTick(e.Logged)}}
	}
	return rec
}

func properties(e *reference.Event) map[string]any {
	out := map[string]any{}
	for name, value := range e.Properties {
		out[name] = value
	}
	line := func(l reference.Line, to map[string]any) map[string]any {
		to["product_id"] = l.ID
		if l.Given {
			to["quantity"] = l.Quantity
		}
		if l.Price > 0 {
			to["price"] = l.Price
		}
		return to
	}
	if e.Product.ID != "" {
		line(e.Product, out)
	}
	if e.Products != nil {
		list := []any{}
		for _, l := range e.Products {
			list = append(list, line(l, map[string]any{}))
		}
		out["products"] = list
	}
	if e.Order != "" {
		out["order_id"] = e.Order
	}
	if e.HasTotal {
		out["total"] = e.Total
	}
	if e.Message != "" {
		out["message_id"] = e.Message
	}
	return out
}

func stamp(at int64) string { return time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z") }

// shrink leaves out what is not needed for engine and model to differ.
func (s *scenario) shrink(ctx context.Context) {
	differs := func() bool {
		d, err := s.run(ctx)
		return err == nil && len(d) > 0
	}
	for changed := true; changed; {
		changed = false
		for _, list := range []*[]string{&s.rules.triggers, &s.rules.segments} {
			for i := len(*list) - 1; i >= 0; i-- {
				before := *list
				*list = slices.Delete(slices.Clone(before), i, i+1)
				if len(s.rules.triggers) == 0 || !differs() {
					*list = before
				} else {
					changed = true
				}
			}
		}
		for size := max(len(s.actions)/2, 1); size > 0; size /= 2 {
			for i := len(s.actions) - size; i >= 0; i = min(i, len(s.actions)) - size {
				before := s.actions
				s.actions = without(before, i, i+size, s.live)
				if len(s.actions) == len(before) || !differs() {
					s.actions = before
				} else {
					changed = true
				}
			}
		}
		if before := s.rules.policy; before != "" {
			if s.rules.policy = ""; !differs() {
				s.rules.policy = before
			}
		}
	}
}

// without leaves actions out, but for the ticks of a live log: time passes.
func without(list []action, from, to int, ticks bool) (out []action) {
	for i, a := range list {
		if i < from || i >= to || a.tick > 0 && (ticks || i == 0) {
			out = append(out, a)
		}
	}
	return out
}
