package replay

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rapport-engine/rapport/engine"
)

// InvalidRow is the reason of rows that are no event.
const InvalidRow = "invalid_row"

// Summary is what a replay did: the document of `rapport replay --json`.
type Summary struct {
	Read         int64                       `json:"read"`    // events written to the log
	Outside      int64                       `json:"outside"` // left out by --from and --to
	Events       int64                       `json:"events"`  // applied to a profile
	Duplicates   int64                       `json:"duplicates"`
	Kinds        map[string]int64            `json:"events_by_name"`
	Channels     map[string]int64            `json:"events_by_channel"`
	Profiles     int64                       `json:"profiles"`
	Sessions     int64                       `json:"sessions"`
	Carts        int64                       `json:"carts"`
	Orders       int64                       `json:"orders"`
	Runs         int64                       `json:"runs"`
	TriggerRuns  map[string]int64            `json:"runs_by_trigger"`
	Messages     map[string]int64            `json:"messages"`
	Skipped      map[string]map[string]int64 `json:"skipped"`
	DeadLetters  map[string]int64            `json:"deadletters"`
	Issues       map[string]int64            `json:"issues"` // what was odd in events applied
	From         time.Time                   `json:"from"`   // event time
	To           time.Time                   `json:"to"`
	Seconds      float64                     `json:"seconds"`
	EventsPerSec float64                     `json:"events_per_s"`
	Samples      []string                    `json:"invalid_rows,omitempty"` // the first ones
}

// Summarize puts together what was fed and what the engine did of it.
func Summarize(fed Fed, c engine.Counts, took time.Duration) *Summary {
	s := &Summary{
		Read: fed.Events, Outside: fed.Outside, Events: c.Applied, Duplicates: c.Duplicates,
		Kinds: c.Events, Channels: c.Channels, Profiles: c.Profiles, Sessions: c.Sessions, Carts: c.Carts,
		Orders: c.Orders, TriggerRuns: c.Runs, Messages: c.Messages, Skipped: c.Skipped,
		DeadLetters: maps.Clone(c.DeadLetters), Issues: c.Issues,
		From: time.UnixMilli(fed.First).UTC(), To: time.UnixMilli(fed.Last).UTC(),
		Seconds: took.Seconds(), Samples: fed.Samples,
	}
	for _, n := range c.Runs {
		s.Runs += n
	}
	if fed.Invalid > 0 {
		s.DeadLetters[InvalidRow] += fed.Invalid
	}
	if took > 0 {
		s.EventsPerSec = float64(fed.Events) / took.Seconds()
	}
	return s
}

// Write prints the summary for people.
func (s *Summary) Write(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, n int64) { fmt.Fprintf(w, "%s\t%s\t\n", Thousands(n), name) }
	row("events", s.Events)
	for _, kv := range byCount(s.Kinds) {
		row("  "+kv.name, kv.n)
	}
	for _, kv := range byCount(s.Channels) {
		row("  in channel "+kv.name, kv.n)
	}
	row("duplicates dropped", s.Duplicates)
	row("profiles", s.Profiles)
	row("sessions", s.Sessions)
	row("carts", s.Carts)
	row("orders", s.Orders)
	if err := w.Flush(); err != nil {
		return err
	}
	return s.writeTriggers(to)
}

func (s *Summary) writeTriggers(to io.Writer) error {
	var out strings.Builder
	for _, trigger := range triggersOf(s) {
		fmt.Fprintf(&out, "\n%s: %s runs, %s messages", trigger, Thousands(s.TriggerRuns[trigger]), Thousands(s.Messages[trigger]))
		for _, kv := range byCount(s.Skipped[trigger]) {
			fmt.Fprintf(&out, "\n  not sent, %s: %s", kv.name, Thousands(kv.n))
		}
	}
	out.WriteString("\n\n")
	for _, kv := range byCount(s.DeadLetters) {
		fmt.Fprintf(&out, "dead letters, %s: %s\n", kv.name, Thousands(kv.n))
	}
	for _, text := range s.Samples {
		fmt.Fprintf(&out, "  %s\n", text)
	}
	for _, kv := range byCount(s.Issues) {
		fmt.Fprintf(&out, "odd but applied, %s: %s\n", kv.name, Thousands(kv.n))
	}
	if s.Read > 0 {
		fmt.Fprintf(&out, "%s to %s in %.1f s: %s events/s\n", s.From.Format(time.DateTime), s.To.Format(time.DateTime),
			s.Seconds, Thousands(int64(s.EventsPerSec)))
	}
	_, err := io.WriteString(to, out.String())
	return err
}

func triggersOf(s *Summary) []string {
	names := map[string]bool{}
	for name := range s.TriggerRuns {
		names[name] = true
	}
	for name := range s.Skipped {
		names[name] = true
	}
	for name := range s.Messages {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

type counted struct {
	name string
	n    int64
}

// byCount lists a map, the largest first.
func byCount(m map[string]int64) []counted {
	list := make([]counted, 0, len(m))
	for name, n := range m {
		list = append(list, counted{name, n})
	}
	slices.SortFunc(list, func(a, b counted) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	return list
}

// Thousands writes 1483153 as 1,483,153.
func Thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
