package rules

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapport-engine/rapport/engine/profiles"
	"github.com/rapport-engine/rapport/streams"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts in testdata print")

// TestScripts runs testdata/runs/*.txt. A script is blocks of a command, its
// input, "----" and what it prints; see world.run for the commands.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/runs/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) { runScript(t, name) })
	}
}

var blank = regexp.MustCompile(`\n\n+`)

func runScript(t *testing.T, name string) {
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	var out []string
	for _, block := range blank.Split(strings.TrimRight(string(src), "\n"), -1) {
		input, want, isCommand := strings.Cut(block+"\n", "----\n")
		if !isCommand {
			out = append(out, strings.TrimRight(block, "\n")) // a comment
			continue
		}
		got := w.run(strings.TrimRight(input, "\n"))
		if got != want && !*rewrite {
			t.Errorf("%s: %s\ngot:\n%swant:\n%s", name, input, got, want)
		}
		out = append(out, strings.TrimRight(input+"----\n"+got, "\n"))
	}
	if *rewrite {
		if err := os.WriteFile(name, []byte(strings.Join(out, "\n\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// world is one partition: profiles as they are at rest, timers, a clock.
type world struct {
	t        *testing.T
	set      *Set
	decoder  streams.Decoder
	settings profiles.Settings
	profiles map[string][]byte
	catalog  map[string]*streams.Item
	timers   Timers
	turn     Turn
	event    int
	live     bool
	now      int64
	full     bool // print messages in full
	out      strings.Builder
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, set: BuiltIn(), settings: profiles.DefaultSettings(),
		profiles: map[string][]byte{}, catalog: map[string]*streams.Item{}}
	w.turn.Env = &Env{
		Timezone: "Europe/Kyiv",
		Catalog:  func(id string) *streams.Item { return w.catalog[id] },
		Decode: func(r *profiles.Run, e *streams.Event) error {
			return w.decoder.DecodeStored(r.Event, r.StartedBy, r.EventAt, r.EventLoggedAt, e)
		},
	}
	return w
}

// run runs one command:
//
//	rules      replaces the rules by the YAML that follows
//	catalog    puts items, one JSON object a line
//	log        events, one a line: time name @identifier {properties} ; {context}
//	           with a time of -2h after the time for how long ago it happened
//	tick T     moves history's clock
//	live T     a live tick
//	first T    the first live tick after history
//	restart    forgets the timers and makes them again from the profiles
//	full       prints the messages that follow in full
//	profile I  prints runs, states and messages of a profile
func (w *world) run(input string) string {
	w.out.Reset()
	head, body, _ := strings.Cut(input, "\n")
	command, arg, _ := strings.Cut(head, " ")
	switch command {
	case "rules":
		w.rules(body)
	case "catalog":
		for _, line := range strings.Split(body, "\n") {
			item := &streams.Item{}
			w.must(json.Unmarshal([]byte(line), item))
			w.catalog[item.ID] = item
		}
	case "log":
		for _, line := range strings.Split(body, "\n") {
			w.log(line)
		}
	case "tick":
		w.tick(w.time(arg))
	case "live":
		w.live = true
		w.tick(w.time(arg))
	case "first":
		w.first(w.time(arg))
	case "restart":
		w.timers = Timers{}
		for _, id := range slices.Sorted(maps.Keys(w.profiles)) {
			w.set.Timers(w.profile(id), w.now, w.turn.Env, w.timers.Push)
		}
	case "full":
		w.full = true
	case "profile":
		w.show(w.profile(arg))
	default:
		w.t.Fatalf("unknown command %q", command)
	}
	return w.out.String()
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

func (w *world) rules(text string) {
	set, err := Parse(map[string][]byte{"t.yaml": []byte(text)})
	var problems Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(&w.out, problems.Error())
		return
	}
	w.must(err)
	w.set = set
	w.settings.Counted = map[string]bool{}
	for _, name := range set.CountedEvents() {
		w.settings.Counted[name] = true
	}
}

func (w *world) time(s string) int64 {
	t, err := time.Parse(time.RFC3339, s)
	w.must(err)
	return t.UnixMilli()
}

func (w *world) profile(id string) *profiles.Profile {
	p := &profiles.Profile{Id: id}
	if data, ok := w.profiles[id]; ok {
		w.must(profiles.Decode(id, data, p))
	}
	return p
}

var logLine = regexp.MustCompile(`^(\S+Z)(-\w+)? (.+?) @(\S+)(?: (\{.*?\}))?(?: ; (\{.*\}))?$`)

func (w *world) log(line string) {
	m := logLine.FindStringSubmatch(line)
	if m == nil {
		w.t.Fatalf("cannot read %q", line)
	}
	logged := w.time(m[1])
	at := logged
	if m[2] != "" {
		ms, _ := parseDuration(m[2][1:])
		at -= ms
	}
	w.tick(logged)
	w.event++
	id := fmt.Sprintf("m%d", w.event)
	e := &streams.Event{}
	w.must(w.decoder.DecodeStored([]byte(w.call(m, id)), id, at, logged, e))
	fmt.Fprintf(&w.out, "%s %s %s\n", m[1], m[4], e.Name)
	key := m[4]
	p := w.profile(key)
	w.turn.Now, w.turn.Live, w.turn.Profile, w.turn.Event = w.now, w.live, p, e
	w.settings.Apply(p, e, w.now, w.turn.Env.Catalog)
	w.set.OnEvent(&w.turn)
	w.done(key)
}

// call is the Segment call of a line.
func (w *world) call(m []string, id string) string {
	typ, value, _ := strings.Cut(m[4], ":")
	who := fmt.Sprintf(`"context":{"externalIds":[{"type":%q,"id":%q}]}`, typ, value)
	if m[6] != "" {
		who = strings.TrimSuffix(who, "}") + "," + m[6][1:]
	}
	body := m[5]
	if body == "" {
		body = "{}"
	}
	if m[3] == "identify" {
		return fmt.Sprintf(`{"type":"identify","messageId":%q,"traits":%s,%s}`, id, body, who)
	}
	return fmt.Sprintf(`{"type":"track","event":%q,"messageId":%q,"properties":%s,%s}`, m[3], id, body, who)
}

// done prints what the turn decided, keeps the profile and its timers.
func (w *world) done(id string) {
	t := &w.turn
	for _, name := range t.Started {
		fmt.Fprintf(&w.out, "  start %s\n", name)
	}
	for i := range t.Messages {
		w.message(&t.Messages[i])
	}
	for _, s := range t.Skips {
		fmt.Fprintf(&w.out, "  skip %s.%d %s\n", s.Trigger, s.Step, s.Reason)
	}
	for _, name := range t.Ended {
		fmt.Fprintf(&w.out, "  end %s\n", name)
	}
	for _, f := range t.Failures {
		fmt.Fprintf(&w.out, "  failure %s %s\n", f.Trigger, f.Kind)
	}
	w.set.TurnTimers(t, w.timers.Push)
	w.profiles[id] = profiles.Encode(t.Profile)
	t.Reset()
}

func (w *world) message(s *Send) {
	m := s.Message
	if w.full {
		b, err := json.MarshalIndent(m, "  ", " ")
		w.must(err)
		fmt.Fprintf(&w.out, "  %s\n", b)
		return
	}
	var items []string
	for _, it := range m.Data.Items {
		items = append(items, it.ID)
	}
	fmt.Fprintf(&w.out, "  message %s to %s by %s", m.ID, strings.TrimSuffix(m.Profile+" "+m.To, " "), m.Channel)
	fmt.Fprintf(&w.out, " at %s items %v", m.At.Format(time.RFC3339), items)
	if s.Recommend != nil {
		fmt.Fprintf(&w.out, " recommend %s %d %v", s.Recommend.Placement, s.Recommend.Limit, s.Recommend.Items)
	}
	if m.Data.Custom != nil {
		b, err := json.Marshal(m.Data.Custom)
		w.must(err)
		fmt.Fprintf(&w.out, " data %s", b)
	}
	fmt.Fprintln(&w.out)
}

// tick fires what is due; in history the clock passes through every due time.
func (w *world) tick(to int64) {
	for {
		tm, ok := w.timers.PopDue(to)
		if !ok {
			break
		}
		now := tm.Due
		if w.live {
			now = to
		}
		w.fire(tm, now, w.set.OnTimer)
	}
	w.now = to
}

// first is the first live tick: what was due before it is dropped.
func (w *world) first(to int64) {
	w.live = true
	for {
		tm, ok := w.timers.PopDue(to - 1)
		if !ok {
			break
		}
		w.fire(tm, to, w.set.Expire)
	}
	w.tick(to)
}

func (w *world) fire(tm Timer, now int64, f func(*Turn, Timer)) {
	w.turn.Now, w.turn.Live, w.turn.Profile, w.turn.Event = now, w.live, w.profile(tm.Profile), nil
	fmt.Fprintf(&w.out, "%s timer %s %s\n", time.UnixMilli(tm.Due).UTC().Format(time.RFC3339), tm.Profile, tm.Trigger)
	f(&w.turn, tm)
	w.done(tm.Profile)
}

func (w *world) show(p *profiles.Profile) {
	at := func(ms int64) string {
		if ms == 0 {
			return "never"
		}
		return time.UnixMilli(ms).UTC().Format(time.RFC3339)
	}
	for _, r := range p.Runs {
		fmt.Fprintf(&w.out, "run %s key %q by %s step %d due %s sent %d\n", r.Trigger, r.Key, r.StartedBy, r.Step, at(dueOf(r, p)), r.Sent)
	}
	for _, s := range p.Triggers {
		fmt.Fprintf(&w.out, "state %s start %s end %s message %s date %s\n", s.Trigger, at(s.LastStartAt), at(s.LastEndAt), at(s.LastMessageAt), at(s.LastDateAt))
	}
	for _, m := range p.Messages {
		fmt.Fprintf(&w.out, "message %s %s %s %s\n", m.Id, m.Channel, at(m.At), m.Status)
	}
}
