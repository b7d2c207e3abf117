package engine

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// A message that delivery skips is no message sent: it counts as not sent, once, by
// the reason that delivery gives.
func TestSkippedMessagesAreNotSent(t *testing.T) {
	set, err := rules.Parse(map[string][]byte{"a.yaml": []byte("triggers: {hello: {start: {event: Hi}, steps: [{send: {template: t, channels: [webhook]}}], reentry: 1s}}")})
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Partitions = 1
	var ids []string
	f := NewFold(cfg, FoldOptions{Rules: set, Watch: func(turn *rules.Turn) {
		for i := range turn.Messages {
			ids = append(ids, turn.Messages[i].Message.ID)
		}
	}})
	apply := func(at int64, call string) {
		t.Helper()
		if err := f.Apply(t.Context(), []streams.Record{told(at, call)}); err != nil {
			t.Fatal(err)
		}
	}
	const start = 1_780_000_000_000
	for i := range 4 {
		apply(start+int64(i)*60_000, fmt.Sprintf(`{"type":"track","event":"Hi","userId":"1","messageId":"m%d"}`, i))
	}
	if len(ids) != 4 {
		t.Fatalf("messages %v", ids)
	}
	report := func(message, of, reason string) {
		t.Helper()
		apply(start+600_000, fmt.Sprintf(`{"type":"track","event":"Message %s","userId":"1","messageId":%q,"properties":{"message_id":%q,"reason":%q}}`, of, message+of+reason, message, reason))
	}
	report(ids[0], "Skipped", "expired")
	report(ids[0], "Skipped", "unavailable") // again: nothing new
	report(ids[1], "Skipped", "the moon")
	report(ids[2], "Sent", "")
	report("hello.0.0123456789abcdef", "Skipped", "expired") // nobody's
	s := newTriggerStats("hello", []*triggerCounts{f.workers[0].state.Triggers["hello"]})
	if diff := cmp.Diff(map[string]int64{"expired": 1, "unavailable": 1}, s.NotSent); diff != "" || s.Sent != 2 || s.Steps[0].Sent != 2 {
		t.Errorf("%d sent, steps %+v %s", s.Sent, s.Steps, diff)
	}
}

func TestMessageOrigin(t *testing.T) {
	for id, want := range map[string]string{
		"a.0.0123456789abcdef": "a 0 true", "a.b.12.0123456789abcdef": "a.b 12 true", "": " 0 false", "a": " 0 false", "a.b": " 0 false", "a.x.y": "a 0 false", "a.-1.y": "a -1 false",
	} {
		if trigger, step, ok := messageOrigin(id); fmt.Sprint(trigger, " ", step, " ", ok) != want && (ok || want[len(want)-5:] != "false") {
			t.Errorf("%q: %q %d %v, want %s", id, trigger, step, ok, want)
		}
	}
}
