package rules

import (
	"time"

	"github.com/valyala/fastjson"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

// Env is what rules read beside the customer's profile. Its functions are
// called on the goroutine that evaluates.
type Env struct {
	// Catalog answers the item as of this place in the log, nil when unknown.
	// A nil func knows no item.
	Catalog func(id string) *streams.Item
	// Secret makes coupons unguessable, and signs the links to unsubscribe.
	Secret string
	// URL is the public address of the API, for those links; "" for none.
	URL string
	// Timezone is the IANA zone of customers whose own is unknown; "" is UTC.
	Timezone string
	// Number is that of the rules in force, 0 where they came with no record;
	// Births has when each segment came, or changed.
	Number int64
	Births map[string]Birth
	// Launches has when each trigger with `existing` came.
	Launches map[string]Launch
	// Past are earlier rules by number: a run goes on by those that it began with.
	Past map[int64]*Set
	// CartTTL is how long a line stays in a cart; 0 is 30 days.
	CartTTL time.Duration
	// Decode fills e with the run's last start event (run.Event, as logged). A
	// nil func leaves it empty.
	Decode func(run *profiles.Run, e *streams.Event) error
}

func (e *Env) secret() string {
	if e == nil {
		return ""
	}
	return e.Secret
}

func (e *Env) number() int64 {
	if e == nil {
		return 0
	}
	return e.Number
}

// Birth is when a segment came into the rules, or its condition changed.
type Birth struct {
	Number int64  `json:"n"`  // of the rules
	At     int64  `json:"at"` // the partition's time, Unix ms
	If     string `json:"if"`
}

// Turn is one evaluation for one customer: what goes in, and what was decided.
// A worker keeps one Turn and calls Reset between uses.
type Turn struct {
	Now     int64 // Unix ms, the partition's time
	Live    bool  // the clock is live, not history
	Profile *profiles.Profile
	Event   *streams.Event // nil on timers
	Env     *Env

	// Messages, Skips, Started and Ended are what was decided, in order.
	Messages []Send
	Skips    []Skip
	Started  []string // triggers of which a run began
	Ended    []string // triggers of which a run ended
	Failures []Failure
	// Reached are runs whose first message was decided: sent or held out.
	// Goals are those of them that led to what the trigger is for.
	Reached []Reach
	Goals   []Reach
	Flips   []Flip // segments entered and exited
	Changed bool   // OnItem has changed the profile

	set       *Set
	cause     *streams.Event    // that flips of segments come of; nil: of time
	due       int64             // of the timer that is evaluated
	measured  int64             // up to when the flips of segments by time are dealt with
	old       map[string][]byte // traits before the event, those that starts ask for
	scope     scope
	runs      []*profiles.Run // of the customer, while they are gone through
	spare     *profiles.Run   // a run that did not begin
	parser    fastjson.Parser
	traitsSet bool // by a step
}

// Failure is a condition that could not be told, and so was false.
type Failure struct {
	Trigger string
	Kind    string // FailureMissing or FailureCost
}

// Reach is a run that counts for what its trigger earns.
type Reach struct {
	Trigger string
	Variant string
	Holdout bool    // the message was held out
	Revenue float64 // of the order that reached the goal
}

// Reset forgets the outputs and the inputs but Env.
func (t *Turn) Reset() {
	clear(t.Messages)
	clear(t.Skips)
	t.Messages, t.Skips = t.Messages[:0], t.Skips[:0]
	t.Started, t.Ended = t.Started[:0], t.Ended[:0]
	t.Failures, t.Reached, t.Goals = t.Failures[:0], t.Reached[:0], t.Goals[:0]
	clear(t.Flips)
	t.Changed = false
	t.Flips = t.Flips[:0]
	clear(t.old)
	t.Profile, t.Event, t.set = nil, nil, nil
	clear(t.runs)
}

// prepare makes the scope ready for the turn's customer. Before a log's first
// tick, the time is when the event was logged.
func (t *Turn) prepare(s *Set) {
	if t.Now == 0 && t.Event != nil {
		t.Now = t.Event.LoggedAt
	}
	t.set, t.due, t.measured, t.traitsSet = s, t.Now, t.Now, false
	t.scope = scope{now: t.Now, profile: t.Profile, env: t.Env, policy: s.policy, zones: s.zones, decoded: t.scope.decoded}
}

// Send is a message that was decided and what it wants recommended.
type Send struct {
	Message   streams.Message
	Recommend *Recommend // nil: no recommendations
}

// Recommend asks for recommendations in a message.
type Recommend struct {
	Placement string
	Limit     int
	Items     []string // ids of the message's items: the context of the request
}

// Skip is a send that was not made.
type Skip struct {
	Trigger string
	Step    int    // index of the send, depth first
	Reason  string // one of the Reason... constants
}

// Reasons of a send not made.
const (
	ReasonExited    = "exited"     // an event of the trigger's exit came
	ReasonCondition = "condition"  // while, or the send's if, was false
	ReasonLate      = "late"       // the start event was logged too long after it happened
	ReasonExpired   = "expired"    // due too long ago
	ReasonNoConsent = "no_consent" // an address, but no consent
	ReasonNoAddress = "no_address" // no address in any of the channels
	ReasonRemoved   = "removed"    // the trigger is no longer in the rules

	ReasonSuperseded = "superseded" // the customer turned out to have an older run of the same trigger and key
	ReasonSuppressed = "suppressed" // the address bounced or complained, or a rule stopped the channel
	ReasonCapped     = "capped"     // a cap is reached
	ReasonQuiet      = "quiet"      // held by quiet hours, or the send's own, until it was too old
	ReasonHoldout    = "holdout"    // the customer is one of those left out to measure the effect
	ReasonShadow     = "shadow"     // the trigger decides and counts, and sends nothing

	ReasonUnavailable = "unavailable" // delivery found that what it is about is gone, or costs more
)

// What Decision.Reason says of a send that is no send not made.
const (
	DecisionSent = "sent"
	DecisionHeld = "held" // until Decision.Until, when it is decided again
)

// Reasons are all reasons of a send not made.
var Reasons = []string{
	ReasonCapped, ReasonQuiet, ReasonExpired, ReasonNoConsent, ReasonNoAddress, ReasonHoldout, ReasonCondition,
	ReasonExited, ReasonSuppressed, ReasonLate, ReasonShadow, ReasonRemoved, ReasonSuperseded, ReasonUnavailable,
}
