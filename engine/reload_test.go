package engine

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/goccy/go-json"

	"github.com/rapport-engine/rapport/streams"
)

// A run in progress goes on by the rules that it began with, through changes of the
// rules, snapshots and restarts; one whose trigger is gone has ended.
func TestRunsKeepTheirRulesThroughRestarts(t *testing.T) {
	for name, setups := range map[string][]func(*simulation){
		"at once":  {func(s *simulation) { s.rules = func(name string) []byte { return ruleObject(s.logs, name) } }},
		"in steps": {inSteps(1)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSimulation(t, 1, setups...)
			const start = 1_770_000_000_000
			tick := func(at int64) {
				s.append(0, streams.Record{Time: start + at, Headers: []streams.Header{{Key: streams.HeaderClock, Value: clockLive}}})
			}
			reload := func(number int64, text string) {
				value, err := json.Marshal(rulesRecord{Number: number, Files: map[string]string{"a.yaml": text}})
				if err != nil {
					t.Fatal(err)
				}
				s.append(0, streams.Record{Value: value, Headers: []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindRules)}}})
			}
			track := func(user string) {
				s.append(0, streams.Record{Key: []byte("user:" + user), Time: start, Value: []byte(`{"type":"track","event":"X","userId":"` + user + `","messageId":"` + user + `"}`)})
			}
			r := rand.New(rand.NewPCG(1, 2))
			again := func() {
				s.run(t, r, false)
				s.snapshot(t, 0)
				s.restart(t, 0)
			}
			rule := func(name, template, wait string) string {
				return name + ": {start: {event: X}, steps: [{wait: " + wait + "}, {send: {template: " + template + ", channels: [webhook]}}]}\n"
			}
			tick(0)
			reload(1, "triggers:\n  "+rule("kept", "old", "1h")+"  "+rule("gone", "gone", "1h"))
			track("1")
			again()
			reload(2, "triggers:\n  "+rule("kept", "new", "5m"))
			again()
			track("2")
			tick(10 * 60_000)
			again()
			if n := len(s.messages); n != 1 {
				t.Fatalf("%d messages before the old run's time", n)
			}
			reload(3, "triggers:\n  "+rule("kept", "newest", "5m"))
			again()
			tick(2 * 3600_000)
			again()
			got := map[string]string{}
			for _, body := range s.messages {
				var m streams.Message
				if err := json.Unmarshal([]byte(body), &m); err != nil {
					t.Fatal(err)
				}
				got[m.Profile] += m.Template + " "
			}
			if got["user:1"] != "old " || got["user:2"] != "new " || len(got) != 2 {
				t.Errorf("messages %v", got)
			}
			if c := s.workers[0].state.Triggers["gone"]; c == nil || c.Skipped["0"]["removed"] != 1 || c.Ended != 1 {
				t.Errorf("the run of the trigger that is gone: %+v", c)
			}
			if state := string(s.saved[0].meta.State); !strings.Contains(state, `"number":3`) {
				t.Errorf("the rules in force are not the last: %s", state)
			}
		})
	}
}
