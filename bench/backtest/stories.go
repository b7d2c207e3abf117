package backtest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/rules"
)

// Sample is what happened to one customer, from the first decision on.
type Sample struct {
	Customer string `json:"customer"`
	Steps    []Step `json:"steps"`
	Cut      bool   `json:"cut,omitempty"` // more happened
}

// Step is one thing that a customer did or that was decided for one.
type Step struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // event, start, message, not sent, end
	Text string    `json:"text"` // the event and its item; the trigger, its step and the reason
}

const (
	samples  = 10        // how many customers are reported
	maxSteps = 60        // of one customer
	maxKept  = 1_000_000 // steps of all; after them nobody new is followed
)

// stories follow every customer from the first decision on, so that samples
// can be taken of each trigger and outcome, however rare.
type stories struct {
	kept int
	by   map[string]*story // by profile
}

type story struct {
	Sample
	outcomes map[string]bool // "trigger message", "trigger reason"
}

func newStories() *stories { return &stories{by: map[string]*story{}} }

func (s *stories) watch(t *rules.Turn) {
	decided := len(t.Started)+len(t.Messages)+len(t.Skips) > 0
	of := s.by[t.Profile.Id]
	if of == nil {
		if !decided || s.kept >= maxKept {
			return
		}
		of = &story{Sample: Sample{Customer: strings.Clone(t.Profile.Id)}, outcomes: map[string]bool{}}
		s.by[of.Customer] = of
	}
	step := func(what, text string) {
		if len(of.Steps) >= maxSteps {
			of.Cut = true
			return
		}
		s.kept++
		of.Steps = append(of.Steps, Step{At: time.UnixMilli(t.Now).UTC(), What: what, Text: text})
	}
	if e := t.Event; e != nil {
		step("event", strings.TrimSpace(e.Name+" "+e.Product.ID))
	}
	for _, trigger := range t.Started {
		step("start", trigger)
	}
	for i := range t.Messages {
		m := &t.Messages[i].Message
		step("message", fmt.Sprintf("%s by %s (%s)", stepName(m.Trigger, m.Step), m.Channel, m.Template))
		of.outcomes[m.Trigger+" message"] = true
	}
	for _, skip := range t.Skips {
		step("not sent", stepName(skip.Trigger, skip.Step)+": "+skip.Reason)
		of.outcomes[skip.Trigger+" "+skip.Reason] = true
	}
	for _, trigger := range t.Ended {
		step("end", trigger)
	}
}

func stepName(trigger string, step int) string { return trigger + "." + strconv.Itoa(step) }

// sample picks ten customers, the same ones for the same events: one for each
// trigger and outcome in turn, which one by a hash of the id.
func (s *stories) sample() []Sample {
	outcomes := map[string][]*story{}
	for _, of := range s.by {
		for outcome := range of.outcomes {
			outcomes[outcome] = append(outcomes[outcome], of)
		}
	}
	names := make([]string, 0, len(outcomes))
	for name, list := range outcomes {
		names = append(names, name)
		slices.SortFunc(list, func(a, b *story) int {
			return cmp.Or(cmp.Compare(xxhash.Sum64String(a.Customer), xxhash.Sum64String(b.Customer)), cmp.Compare(a.Customer, b.Customer))
		})
	}
	slices.Sort(names)
	picked, list := map[*story]bool{}, []Sample{}
	for round := true; round && len(list) < samples; {
		round = false
		for _, name := range names {
			of := next(outcomes, name, picked)
			if of != nil && len(list) < samples {
				picked[of] = true
				list = append(list, of.Sample)
				round = true
			}
		}
	}
	return list
}

// next is the first customer of an outcome who is not picked yet.
func next(outcomes map[string][]*story, name string, picked map[*story]bool) *story {
	for len(outcomes[name]) > 0 && picked[outcomes[name][0]] {
		outcomes[name] = outcomes[name][1:]
	}
	if len(outcomes[name]) == 0 {
		return nil
	}
	return outcomes[name][0]
}
