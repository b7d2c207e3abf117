package backtest

import (
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rapport-engine/rapport/rules"
)

// tally counts what one set of rules decides.
type tally struct {
	zone    *time.Location
	runs    map[string]int64            // by trigger
	sent    map[string]int64            // messages by trigger
	skipped map[string]map[string]int64 // sends not made, by trigger and reason
	steps   map[string]map[string]int64 // by trigger.step and "sent" or reason
	days    map[string]map[string]int64 // messages by trigger and day
	channel map[string]int64            // messages by channel
	failed  map[string]map[string]int64 // conditions that could not be told

	ids       map[uint64]struct{} // hashes of messages' ids
	customers map[string][]int64  // when each customer got messages, Unix ms
	stories   *stories            // nil: none are kept
}

func newTally(zone *time.Location, samples bool) *tally {
	t := &tally{
		zone: zone, runs: map[string]int64{}, sent: map[string]int64{}, channel: map[string]int64{},
		skipped: map[string]map[string]int64{}, steps: map[string]map[string]int64{},
		days: map[string]map[string]int64{}, failed: map[string]map[string]int64{},
		ids: map[uint64]struct{}{}, customers: map[string][]int64{},
	}
	if samples {
		t.stories = newStories()
	}
	return t
}

// watch counts one turn.
func (t *tally) watch(turn *rules.Turn) {
	for _, trigger := range turn.Started {
		t.runs[trigger]++
	}
	for i := range turn.Messages {
		m := &turn.Messages[i].Message
		at := m.At.UnixMilli()
		t.sent[m.Trigger]++
		t.channel[m.Channel]++
		add(t.steps, stepName(m.Trigger, m.Step), "sent")
		add(t.days, m.Trigger, m.At.In(t.zone).Format(time.DateOnly))
		t.ids[xxhash.Sum64String(m.ID)] = struct{}{}
		times, known := t.customers[m.Profile]
		if !known {
			m.Profile = strings.Clone(m.Profile)
		}
		t.customers[m.Profile] = append(times, at)
	}
	for _, s := range turn.Skips {
		add(t.skipped, s.Trigger, s.Reason)
		add(t.steps, stepName(s.Trigger, s.Step), s.Reason)
	}
	for _, f := range turn.Failures {
		add(t.failed, f.Trigger, f.Kind)
	}
	if t.stories != nil {
		t.stories.watch(turn)
	}
}

func add(m map[string]map[string]int64, a, b string) {
	if m[a] == nil {
		m[a] = map[string]int64{}
	}
	m[a][b]++
}

// week is how long a week is, in ms.
const week = 7 * 24 * 60 * 60 * 1000

// busiest is the most messages that any 7 days saw.
func busiest(times []int64) int {
	slices.Sort(times)
	most, first := 0, 0
	for last := range times {
		for times[last]-times[first] >= week {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// Over says how many customers would have got more than a number of messages
// in some 7 days.
type Over struct {
	MoreThan  int   `json:"more_than"`
	Customers int64 `json:"customers"`
}

// maxOver bounds the list of weekly figures.
const maxOver = 20

// weekly counts customers by their busiest week, from more than 0 messages up
// to what somebody got.
func (t *tally) weekly() []Over {
	exactly := make([]int64, maxOver+2)
	for _, times := range t.customers {
		exactly[min(busiest(times), maxOver+1)]++
	}
	list, more := []Over{}, int64(0)
	for n := maxOver; n >= 0; n-- {
		if more += exactly[n+1]; more > 0 {
			list = append(list, Over{MoreThan: n, Customers: more})
		}
	}
	slices.Reverse(list)
	return list
}
