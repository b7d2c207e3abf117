package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rapport-engine/rapport/streams"
)

// outcome is what became of a message.
type outcome struct {
	event  string // "Message Sent", "Message Failed", "Message Skipped", "Message Bounced"
	suffix string // of the report's messageId
	reason string // why not sent
	detail string // of a failure
	bounce string // "hard"
	at     time.Time
	moved  *streams.Record // to `retry`; nothing is reported yet
}

func sent(at time.Time) *outcome { return &outcome{event: "Message Sent", suffix: ".sent", at: at} }

func skipped(at time.Time, reason string) *outcome {
	return &outcome{event: "Message Skipped", suffix: ".skipped", reason: reason, at: at}
}

func failed(at time.Time, reason, detail string) *outcome {
	return &outcome{event: "Message Failed", suffix: ".failed", reason: reason, detail: detail, at: at}
}

// refused is a failure that trying again does not mend; where the address is to
// blame, it is a bounce, after which nothing more is sent there.
func refused(at time.Time, err error) *outcome {
	var failure *SendError
	if errors.As(err, &failure) && failure.Bounced {
		return &outcome{event: "Message Bounced", suffix: ".bounced", bounce: "hard", detail: err.Error(), at: at}
	}
	return failed(at, "refused", err.Error())
}

type reportEvent struct {
	Type        string           `json:"type"`
	Event       string           `json:"event"`
	MessageID   string           `json:"messageId"`
	UserID      string           `json:"userId,omitempty"`
	AnonymousID string           `json:"anonymousId,omitempty"`
	Timestamp   time.Time        `json:"timestamp"`
	Context     reportContext    `json:"context"`
	Properties  reportProperties `json:"properties"`
}

type reportContext struct {
	Channel     string     `json:"channel"`
	ExternalIDs []reportID `json:"externalIds,omitempty"`
}

type reportID struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type reportProperties struct {
	MessageID string `json:"message_id"`
	Channel   string `json:"channel"`
	Sink      string `json:"sink"`
	Trigger   string `json:"trigger,omitempty"`
	Template  string `json:"template,omitempty"`
	Variant   string `json:"variant,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Error     string `json:"error,omitempty"`
	Bounce    string `json:"bounce_type,omitempty"`
}

// report makes the record on `events` that tells a customer's profile what
// became of a message. Its messageId depends on the message and the outcome
// only, so that a repeated report counts once.
func report(m *streams.Message, o *outcome, sink string) (streams.Record, error) {
	typ, value, ok := strings.Cut(m.Profile, ":")
	if !ok || value == "" {
		return streams.Record{}, fmt.Errorf("cannot report message %q: profile %q is not type:value", m.ID, m.Profile)
	}
	e := reportEvent{
		Type: "track", Event: o.event, MessageID: reportIDOf(m.ID, o.suffix), Timestamp: o.at.UTC(),
		Context: reportContext{Channel: m.Channel},
		Properties: reportProperties{MessageID: m.ID, Channel: m.Channel, Sink: sink, Trigger: m.Trigger,
			Template: m.Template, Variant: m.Variant, Reason: o.reason, Error: o.detail, Bounce: o.bounce},
	}
	switch typ {
	case "user":
		e.UserID = value
	case "anonymous":
		e.AnonymousID = value
	default:
		e.Context.ExternalIDs = []reportID{{Type: typ, ID: value}}
	}
	body, err := json.Marshal(e)
	if err != nil {
		return streams.Record{}, fmt.Errorf("cannot encode report: %w", err)
	}
	return streams.Record{
		Topic: "events", Partition: -1, Time: o.at.UnixMilli(), Key: []byte(m.Profile), Value: body,
		Headers: []streams.Header{{Key: streams.HeaderKind, Value: []byte(streams.KindReport)}},
	}, nil
}

// reportIDOf keeps the end of a long id, which is what tells messages apart.
func reportIDOf(id, suffix string) string {
	if over := len(id) + len(suffix) - streams.MaxMessageID; over > 0 {
		id = strings.ToValidUTF8(id[over:], "")
	}
	return id + suffix
}
