package backtest

import (
	"maps"
	"slices"
	"time"

	"github.com/rapport-engine/rapport/bench/replay"
)

// Report is what a backtest found: the document of `rapport backtest --json`.
// Names are those of a replay's summary where they mean the same.
type Report struct {
	Read         int64            `json:"read"`                   // events of the file
	Outside      int64            `json:"outside"`                // left out by --from and --to
	DeadLetters  map[string]int64 `json:"deadletters"`            // by reason; rows that are no event as well
	Invalid      []string         `json:"invalid_rows,omitempty"` // what is wrong with the first rows that are no event
	Events       int64            `json:"events"`                 // applied to a profile
	Profiles     int64            `json:"profiles"`
	From         time.Time        `json:"from"` // event time
	To           time.Time        `json:"to"`
	Seconds      float64          `json:"seconds"`
	EventsPerSec float64          `json:"events_per_s"`
	New          Side             `json:"new"`
	InForce      Side             `json:"in_force"`
	Difference   Difference       `json:"difference"`
	Samples      []Sample         `json:"samples"` // of the new rules
}

// Side is what one set of rules would have decided.
type Side struct {
	Rules     string                      `json:"rules"`
	Runs      map[string]int64            `json:"runs"`      // by trigger
	Messages  map[string]int64            `json:"messages"`  // by trigger
	Skipped   map[string]map[string]int64 `json:"skipped"`   // by trigger and reason
	Steps     map[string]map[string]int64 `json:"steps"`     // by trigger.step and "sent" or reason
	Days      map[string]map[string]int64 `json:"days"`      // messages by trigger and day
	Channels  map[string]int64            `json:"channels"`  // messages
	Failures  map[string]map[string]int64 `json:"failures"`  // conditions that could not be told, by trigger
	Customers int64                       `json:"customers"` // who would have got a message
	Weekly    []Over                      `json:"weekly"`    // in any 7 days
}

// Difference is the new rules' figures less those in force; what is equal is
// left out. Messages are told apart by id: the same trigger, step, customer
// and start.
type Difference struct {
	Runs        map[string]int64            `json:"runs"`
	Messages    map[string]int64            `json:"messages"`
	Skipped     map[string]map[string]int64 `json:"skipped"`
	Customers   int64                       `json:"customers"`
	Both        int64                       `json:"messages_in_both"`
	OnlyNew     int64                       `json:"messages_only_new"`
	OnlyInForce int64                       `json:"messages_only_in_force"`
}

func newReport(fed replay.Fed, fresh, inForce *side, took time.Duration) *Report {
	counts := fresh.fold.Counts()
	r := &Report{
		Read: fed.Events, Outside: fed.Outside, DeadLetters: counts.DeadLetters, Invalid: fed.Samples, Events: counts.Applied, Profiles: counts.Profiles,
		From: time.UnixMilli(fed.First).UTC(), To: time.UnixMilli(fed.Last).UTC(),
		Seconds: took.Seconds(), EventsPerSec: float64(fed.Events) / took.Seconds(),
		New: fresh.report(), InForce: inForce.report(), Samples: fresh.stories.sample(),
	}
	if fed.Invalid > 0 {
		r.DeadLetters[replay.InvalidRow] += fed.Invalid
	}
	r.Difference = Difference{
		Runs: less(r.New.Runs, r.InForce.Runs), Messages: less(r.New.Messages, r.InForce.Messages),
		Skipped:   map[string]map[string]int64{},
		Customers: r.New.Customers - r.InForce.Customers,
	}
	for _, trigger := range r.triggers() {
		if d := less(r.New.Skipped[trigger], r.InForce.Skipped[trigger]); len(d) > 0 {
			r.Difference.Skipped[trigger] = d
		}
	}
	for id := range fresh.ids {
		if _, ok := inForce.ids[id]; ok {
			r.Difference.Both++
		}
	}
	r.Difference.OnlyNew = int64(len(fresh.ids)) - r.Difference.Both
	r.Difference.OnlyInForce = int64(len(inForce.ids)) - r.Difference.Both
	return r
}

func (s *side) report() Side {
	return Side{
		Rules: s.name, Runs: s.runs, Messages: s.sent, Skipped: s.skipped, Steps: s.steps, Days: s.days,
		Channels: s.channel, Failures: s.failed, Customers: int64(len(s.customers)), Weekly: s.weekly(),
	}
}

// less is a - b, without what is equal.
func less(a, b map[string]int64) map[string]int64 {
	d := map[string]int64{}
	for name, n := range a {
		d[name] += n
	}
	for name, n := range b {
		d[name] -= n
	}
	maps.DeleteFunc(d, func(_ string, n int64) bool { return n == 0 })
	return d
}

// triggers lists the triggers of both sides that decided something.
func (r *Report) triggers() []string {
	names := map[string]bool{}
	for _, s := range []*Side{&r.New, &r.InForce} {
		for name := range s.Runs {
			names[name] = true
		}
		for name := range s.Messages {
			names[name] = true
		}
		for name := range s.Skipped {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// days lists the days on which either side sends.
func (r *Report) days() []string {
	names := map[string]bool{}
	for _, s := range []*Side{&r.New, &r.InForce} {
		for _, days := range s.Days {
			for day := range days {
				names[day] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
