package rules

import (
	"testing"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// TestBeforeFirstTick: before a log's first tick, the time is that of the event.
func TestBeforeFirstTick(t *testing.T) {
	const logged = 1_780_000_000_000 // 2026-05-28
	s := BuiltIn()
	p := &profiles.Profile{Id: "user:1", LastAt: logged, Traits: []byte(`{"birthday":"06-09"}`),
		Cart: &profiles.Cart{Lines: []*profiles.Line{{Id: "a", AddedAt: logged}}}}
	turn := &Turn{Env: &Env{}, Profile: p, Event: &streams.Event{
		Name: "Product Added", MessageID: "m", At: logged, LoggedAt: logged, Traits: p.Traits}}
	s.OnEvent(turn)
	var timers Timers
	s.TurnTimers(turn, timers.Push)
	if due, _ := timers.NextDue(); timers.Len() != 2 || due != logged+30*minute {
		t.Errorf("%d timers, the first at %d, want 2, the first at %d", timers.Len(), due, logged+30*minute)
	}
}

// TestConditionReadsRunEvent: a run's event is decoded only where it is read.
func TestConditionReadsRunEvent(t *testing.T) {
	s, err := Parse(map[string][]byte{"t.yaml": []byte(`
triggers:
  a:
    start: {event: A}
    while: "profile.events < 10"
    exit: {event: B, if: "event.properties.x == run.event.properties.x"}
    steps: [{wait: 1h}, {send: {template: a, channels: [webhook]}}]
`)})
	if err != nil {
		t.Fatal(err)
	}
	decoded := 0
	turn := &Turn{Now: 1, Env: &Env{Decode: func(r *profiles.Run, e *streams.Event) error {
		decoded++
		e.Name, e.Properties = "A", r.Event
		return nil
	}}}
	p := &profiles.Profile{Id: "user:1"}
	for i, c := range []struct {
		name, properties string
		runs, decoded    int
	}{{"A", `{"x":1}`, 1, 0}, {"C", `{"x":1}`, 1, 0}, {"B", `{"x":2}`, 1, 1}, {"B", `{}`, 1, 1}, {"B", `{"x":1}`, 0, 2}} {
		turn.Reset()
		turn.Profile, turn.Event = p, &streams.Event{Name: c.name, MessageID: "m", Properties: []byte(c.properties), Raw: []byte(c.properties)}
		s.OnEvent(turn)
		if len(p.Runs) != c.runs || decoded != c.decoded {
			t.Errorf("event %d: %d runs and %d decoded, want %d and %d", i, len(p.Runs), decoded, c.runs, c.decoded)
		}
	}
}
