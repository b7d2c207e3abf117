package reference_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rapport-engine/rapport/bench/reference"
	"github.com/rapport-engine/rapport/rules"
	"github.com/rapport-engine/rapport/streams"
)

// dataFile returns a file of the real data, and skips the test where there is none.
func dataFile(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real data: %v; set RAPPORT_DATA", err)
	}
	return path
}

// watched collects what a fold decides.
type watched []reference.Decision

func (w *watched) watch(t *rules.Turn) {
	for i := range t.Messages {
		*w = append(*w, sent(&t.Messages[i].Message))
	}
	for _, s := range t.Skips {
		*w = append(*w, reference.Decision{Profile: t.Profile.Id, Trigger: s.Trigger, Step: s.Step, At: t.Now, Reason: s.Reason})
	}
}

func sent(m *streams.Message) reference.Decision {
	d := reference.Decision{Profile: m.Profile, Trigger: m.Trigger, Step: m.Step, At: m.At.UnixMilli(), ID: m.ID, Channel: m.Channel,
		Variant: m.Variant, Expires: m.Expires.UnixMilli(), Items: []string{}}
	for _, item := range m.Data.Items {
		d.Items = append(d.Items, fmt.Sprintf("%s x%d", item.ID, item.Quantity))
	}
	slices.Sort(d.Items)
	return d
}

// compare lists where the engine decided otherwise than the model, at most
// twenty, in order of customer and time.
func compare(model, engine []reference.Decision) (differences []string) {
	a, b := texts(model), texts(engine)
	for len(a)+len(b) > 0 && len(differences) < 20 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
			differences, a = append(differences, "only the model:  "+a[0]), a[1:]
		case len(a) == 0 || b[0] < a[0]:
			differences, b = append(differences, "only the engine: "+b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return differences
}

func texts(list []reference.Decision) []string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = fmt.Sprintf("%s %d %s.%d %s", d.Profile, d.At, d.Trigger, d.Step, cmp.Or(d.Reason, "sent"))
		if d.Reason == "" {
			out[i] += fmt.Sprintf(" %s %s %q until %d %v", d.ID, d.Channel, d.Variant, d.Expires, d.Items)
		}
	}
	slices.Sort(out)
	return out
}

// reasons counts decisions by trigger and reason.
func reasons(list []reference.Decision) map[string]int {
	n := map[string]int{}
	for _, d := range list {
		n[d.Trigger+" "+cmp.Or(d.Reason, "sent")]++
	}
	return n
}
