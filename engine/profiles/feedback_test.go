package profiles

import (
	"fmt"
	"testing"

	"github.com/rapport-engine/rapport/streams"
)

func about(id string) func(*streams.Event) {
	return func(e *streams.Event) {
		e.MessageRef = id
		e.Identifiers = append(e.Identifiers, streams.Identifier{Type: "message", Value: id})
	}
}

// raw is the name that an event was sent with.
func raw(name string) func(*streams.Event) {
	return func(e *streams.Event) { e.Raw = []byte(`{"event":"` + name + `"}`) }
}

func TestFeedback(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []*streams.Event
		want   string // status channel:sent/opened/clicked/unopened suppressed
	}{
		{"sent", []*streams.Event{event("Message Sent", at(1), about("m"))}, "sent email:1/0/0/1"},
		{"opened before it was sent", []*streams.Event{event("Message Opened", at(2), about("m")), event("Message Sent", at(1), about("m"))}, "opened email:1/1/0/0"},
		{"clicked twice", []*streams.Event{event("Message Sent", at(1), about("m")), event("Message Clicked", at(2), about("m")), event("Message Clicked", at(3), about("m"))}, "clicked email:1/1/1/0"},
		{"skipped", []*streams.Event{event("Message Skipped", at(1), about("m"))}, "skipped email:0/0/0/0"},
		{"hard bounce", []*streams.Event{event("Message Bounced", at(1), about("m"))}, "bounced email:1/0/0/1 email=hard_bounce"},
		{"soft bounce", []*streams.Event{event("Message Bounced", at(1), about("m"), props(`{"bounce_type":"soft"}`))}, "bounced email:1/0/0/1"},
		{"complaint", []*streams.Event{event("Message Complained", at(1), about("m"))}, "queued email=complaint"},
		{"Segment's names", []*streams.Event{event("Message Opened", at(1), raw("Email Opened")), event("Message Clicked", at(2), raw("Email Link Clicked")), event("Message Complained", at(3), raw("Email Marked as Spam"))}, "queued email:0/1/1/0 email=complaint"},
		{"another message", []*streams.Event{event("Message Opened", at(1), about("other"), props(`{"channel":"push"}`))}, "queued push:0/1/0/0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProfile("user:42")
			p.Messages = []*SentMessage{{Id: "m", Channel: "email", Status: "queued", At: at(0)}}
			for _, out := range apply(t, p, tc.events...) {
				if out.NewSession || out.NewProfile {
					t.Error("feedback is no behaviour")
				}
			}
			if len(p.Identifiers) != 1 || p.Events != 0 || p.LastAt != 0 || p.Session != nil || len(p.Channels) != 0 || len(p.History()) != 0 {
				t.Error("feedback is no behaviour")
			}
			got := p.Messages[0].Status
			for _, s := range p.MessageStats {
				got += fmt.Sprintf(" %s:%d/%d/%d/%d", s.Channel, s.Sent, s.Opened, s.Clicked, s.Unopened)
			}
			for _, s := range p.Suppressed {
				got += fmt.Sprintf(" %s=%s", s.Channel, s.Reason)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSoftBouncesInARow(t *testing.T) {
	p := newProfile("user:42")
	soft := func(s int64) *streams.Event {
		return event("Message Bounced", at(s), raw("Email Bounced"), props(`{"type":"soft"}`))
	}
	apply(t, p, soft(1), soft(2), soft(3), soft(4), event("Message Opened", at(5), raw("Email Opened")), soft(6), soft(7), soft(8), soft(9))
	if len(p.Suppressed) != 0 {
		t.Fatalf("suppressed after four in a row: %v", p.Suppressed)
	}
	apply(t, p, soft(10))
	if len(p.Suppressed) != 1 || p.Suppressed[0].Reason != "soft_bounces" {
		t.Errorf("suppressed: %v", p.Suppressed)
	}
}
