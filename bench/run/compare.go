package run

import (
	"fmt"
	"io"
	"slices"
)

// figure is one that is compared between documents.
type figure struct {
	Figure string // its path in JSON
	AtMost bool   // lower is better
	Range  string // the path of its median and range; "" where Figure has them
}

// figures are those that are compared: what is promised, and what explains it.
func figures() []figure {
	ranges := map[string]string{
		"pipeline.events_per_s": "pipeline.ours", "ingest.batch_events_per_s": "ingest.batch",
		"ingest.single_events_per_s": "ingest.single", "restart.seconds": "restart.spread",
	}
	var list []figure
	for i := range promises {
		p := &promises[i]
		list = append(list, figure{p.Figure, p.AtMost, ranges[p.Figure]})
	}
	return append(list, []figure{
		{"recommend.peak_per_s", false, ""}, {"recommend.half_peak.ratio.p50", true, ""},
		{"ingest.applied", false, ""}, {"ingest.batch_p99_ms", true, ""}, {"ingest.single_p99_ms", true, ""},
		{"e2e.message.p50_ms", true, ""}, {"e2e.profile.p50_ms", true, ""}, {"e2e.profile.p99_ms", true, ""}, {"e2e.capacity", false, ""},
		{"mixed.alone.p99_ms", true, ""}, {"mixed.beside.p99_ms", true, ""}, {"mixed.gc_pause_p99_ms", true, ""},
	}...)
}

// noise is by how much a figure without a range of its own may differ.
const noise = 0.05

// Change is a figure in two documents.
type Change struct {
	Figure   string `json:"figure"`
	Old      Spread `json:"old"`
	New      Spread `json:"new"`
	Lower    bool   `json:"lower_is_better"`
	Verdict  string `json:"verdict"` // worse, better or same
	relative float64
}

// Comparison is what changed between two documents. A figure is better or worse
// where the ranges of its rounds do not overlap; without rounds, where it
// differs by more than a twentieth.
type Comparison struct {
	Changes []Change `json:"changes"`
	Worse   int      `json:"worse"`
	Better  int      `json:"better"`
	Missing []string `json:"missing,omitempty"` // figures of only one of the documents
	Notes   []string `json:"notes,omitempty"`   // what else differs between the two
}

// Compare compares documents of the same measurements. It fails where they were
// measured with other sizes, or have nothing in common.
func Compare(old, later Document) (*Comparison, error) {
	if err := sameSizes(old, later); err != nil {
		return nil, err
	}
	c := &Comparison{Notes: otherMachine(old, later)}
	for _, f := range figures() {
		o, inOld := old.figure(f)
		n, inNew := later.figure(f)
		switch {
		case inOld && inNew:
			c.add(f, o, n)
		case inOld:
			c.Missing = append(c.Missing, f.Figure+" is only in the old document")
		case inNew:
			c.Missing = append(c.Missing, f.Figure+" is only in the new document")
		}
	}
	if len(c.Changes) == 0 {
		return nil, fmt.Errorf("the documents have no figure in common: compare those of the same benchmark")
	}
	return c, nil
}

// figure is that in the document, with its range where that is known.
func (d Document) figure(f figure) (Spread, bool) {
	if s, ok := d.spread(f.Range); ok {
		return s, true
	}
	return d.spread(f.Figure)
}

func (c *Comparison) add(f figure, old, later Spread) {
	change := Change{Figure: f.Figure, Old: old, New: later, Lower: f.AtMost, Verdict: "same"}
	if old.Median != 0 {
		change.relative = later.Median/old.Median - 1
	}
	up, down := later.widened().Low > old.widened().High, later.widened().High < old.widened().Low
	switch {
	case up && !f.AtMost, down && f.AtMost:
		change.Verdict = "better"
		c.Better++
	case up, down:
		change.Verdict = "worse"
		c.Worse++
	}
	c.Changes = append(c.Changes, change)
}

// widened is a point with what may be noise around it; other ranges are as they
// are.
func (s Spread) widened() Spread {
	if s.Low != s.High {
		return s
	}
	return Spread{Median: s.Median, Low: s.Low * (1 - noise/2), High: s.High * (1 + noise/2)}
}

// sameSizes is an error where a benchmark was measured with other sizes.
func sameSizes(old, later Document) error {
	for _, part := range []string{"recommend", "mixed", "ingest", "pipeline", "e2e", "memory", "restart", "snapshots"} {
		for _, size := range []string{"items", "profiles", "sessions", "events", "connections"} {
			o, inOld := old.spread(part + "." + size)
			n, inNew := later.spread(part + "." + size)
			if inOld && inNew && o.Median != n.Median {
				return fmt.Errorf("%s was measured with %s %s in the old document and %s in the new one: measure both alike",
					part, thousands(int64(o.Median)), size, thousands(int64(n.Median)))
			}
		}
	}
	return nil
}

// otherMachine says where the machines differ.
func otherMachine(old, later Document) []string {
	var notes []string
	for _, part := range []string{"recommend", "mixed", "ingest", "pipeline", "e2e", "memory", "restart", "snapshots"} {
		for _, of := range []string{"cores", "go", "os"} {
			o, _ := old.at(part + ".machine." + of)
			n, _ := later.at(part + ".machine." + of)
			note := fmt.Sprintf("the machines differ: %s %v in the old document, %v in the new one", of, o, n)
			if o != nil && n != nil && o != n && !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	return notes
}

// Write prints the comparison as a table: what got worse first.
func (c *Comparison) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("%-7s %-34s %-26s %-26s %8s", "", "", "old", "new", "change")
	for _, verdict := range []string{"worse", "better", "same"} {
		for _, x := range c.Changes {
			if x.Verdict == verdict {
				p.line("%-7s %-34s %-26s %-26s %+7.1f%%", x.Verdict, x.Figure, x.Old, x.New, 100*x.relative)
			}
		}
	}
	for _, text := range append(c.Missing, c.Notes...) {
		p.line("%s", text)
	}
	p.line("")
	p.line("%d worse, %d better beyond the ranges of their rounds", c.Worse, c.Better)
	return p.err
}
