package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// SoakConfig says how a server is loaded for a long time.
type SoakConfig struct {
	Items, Profiles, Sessions int
	Seed                      uint64
	Connections               int           // kept alive, of each of the two senders
	Duration                  time.Duration // of the whole
	Every                     time.Duration // a line
	Progress                  func(string)  // told what happens; nil: nobody
	Profile                   io.Writer     // gets a CPU profile of what is measured; nil: nobody
	Sender                    []string      // command of a process that sends (load.Serve); none: this process sends
}

// Validate says what cannot be measured.
func (c *SoakConfig) Validate() error {
	if c.Every < 10*time.Millisecond || c.Duration < 3*c.Every || c.Duration > 1000*c.Every {
		return errors.New("every: must be 10ms or more, and from a thousandth to a third of the duration")
	}
	r := c.recommend()
	return r.Validate()
}

func (c *SoakConfig) recommend() RecommendConfig {
	return RecommendConfig{
		Items: c.Items, Profiles: c.Profiles, Sessions: c.Sessions, Seed: c.Seed, Connections: c.Connections,
		Duration: min(c.Every, 5*time.Second), Rounds: 1, Progress: c.Progress, Sender: c.Sender,
	}
}

// SoakReport is what a server is like under a load that goes on: recommendations
// and single events, each at a quarter of what can be done of them alone, which
// is half of what the machine can do.
type SoakReport struct {
	Grew          []string   `json:"grew"` // what was not flat; empty: all was
	Lines         []SoakLine `json:"lines"`
	RecommendRate float64    `json:"recommend_rate"`
	IngestRate    float64    `json:"ingest_rate"`
	Items         int        `json:"items"`
	Profiles      int        `json:"profiles"`
	Sessions      int        `json:"sessions"`
	Seconds       float64    `json:"seconds"` // of the whole
	Every         float64    `json:"every_seconds"`
	Machine       Machine    `json:"machine"`
}

// SoakLine is one interval.
type SoakLine struct {
	Seconds      float64 `json:"seconds"`      // since the beginning, at its end
	Heap         float64 `json:"heap_live_mb"` // what the last collection left
	Resident     float64 `json:"resident_mb"`  // memory of the process; 0 where the system does not say
	Goroutines   float64 `json:"goroutines"`
	Files        float64 `json:"files"` // open; 0 where the system does not say
	RecommendP99 float64 `json:"recommend_p99_ms"`
	EventP99     float64 `json:"event_p99_ms"` // due to acknowledged
	Failed       int64   `json:"failed"`
	Saturated    bool    `json:"saturated"`
}

// flat are the figures that must not grow: the median of the last third of the
// lines may be share times that of the third before, and more besides.
var flat = []struct {
	name        string
	of          func(*SoakLine) float64
	share, more float64
}{
	{"live heap, MB", func(l *SoakLine) float64 { return l.Heap }, 1.15, 16},
	{"resident memory, MB", func(l *SoakLine) float64 { return l.Resident }, 1.15, 32},
	{"goroutines", func(l *SoakLine) float64 { return l.Goroutines }, 1.1, 20},
	{"open files", func(l *SoakLine) float64 { return l.Files }, 1.1, 20},
	{"recommend p99, ms", func(l *SoakLine) float64 { return l.RecommendP99 }, 1.5, 1},
	{"event p99, ms", func(l *SoakLine) float64 { return l.EventP99 }, 1.5, 5},
}

// Soak loads a server for a long time.
func Soak(ctx context.Context, cfg SoakConfig) (report *SoakReport, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, remove, err := tempDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	t, err := startTwo(ctx, cfg.recommend(), dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.server.close()) }()
	if err := t.capacities(ctx); err != nil {
		return nil, err
	}
	r := &SoakReport{
		RecommendRate: t.peak.Median / 4, IngestRate: t.capacity.Median / 4, Items: cfg.Items, Profiles: cfg.Profiles,
		Sessions: cfg.Sessions, Seconds: cfg.Duration.Seconds(), Every: cfg.Every.Seconds(), Machine: thisMachine(),
	}
	stop, err := profileCPU(cfg.Profile)
	if err != nil {
		return nil, err
	}
	defer stop()
	began := time.Now()
	for time.Since(began) < cfg.Duration || len(r.Lines) < 3 {
		line, err := r.line(ctx, t, cfg.Every)
		if err != nil {
			return nil, err
		}
		line.Seconds = time.Since(began).Seconds()
		r.Lines = append(r.Lines, *line)
		tell(cfg.Progress, strings.TrimRight(line.String(), " "))
	}
	r.Grew = grew(r.Lines)
	r.Machine.LoadAfter = loadAverage()
	return r, nil
}

// line is one interval.
func (r *SoakReport) line(ctx context.Context, t *two, every time.Duration) (*SoakLine, error) {
	asked, events, err := t.both(ctx, r.RecommendRate, r.IngestRate, every)
	if err != nil {
		return nil, err
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return &SoakLine{
		Heap: float64(live[0].Value.Uint64()) / 1e6, Resident: resident() / 1e6, Goroutines: float64(runtime.NumGoroutine()), Files: openFiles(),
		RecommendP99: quantile(asked.FromDue, 99), EventP99: quantile(events.FromDue, 99),
		Failed: asked.Failed + events.Failed, Saturated: asked.Saturated() || events.Saturated(),
	}, nil
}

// grew names what was not flat after the first third.
func grew(lines []SoakLine) []string {
	third := len(lines) / 3
	middle, last := lines[len(lines)-2*third:len(lines)-third], lines[len(lines)-third:]
	var list []string
	for _, f := range flat {
		before, after := medianOf(middle, f.of), medianOf(last, f.of)
		if after > before*f.share+f.more {
			list = append(list, fmt.Sprintf("%s: %s in the last third, %s in the one before (at most %s times and %s more)",
				f.name, short(after), short(before), short(f.share), short(f.more)))
		}
	}
	return list
}

func medianOf(lines []SoakLine, of func(*SoakLine) float64) float64 {
	values := make([]float64, len(lines))
	for i := range lines {
		values[i] = of(&lines[i])
	}
	return spread(values).Median
}

// resident is the memory of this process in bytes; 0 where the system does not say.
func resident() float64 {
	data, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(data))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize())
}

// openFiles is how many this process has; 0 where the system does not say.
func openFiles() float64 {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return float64(len(list))
}

const soakColumns = "%9s  %14s %14s %12s %8s  %16s %14s"

// String is the line as a row of the table.
func (l *SoakLine) String() string {
	text := fmt.Sprintf(soakColumns, short(l.Seconds), short(l.Heap), short(l.Resident), short(l.Goroutines), short(l.Files), short(l.RecommendP99), short(l.EventP99))
	if l.Failed > 0 {
		text += fmt.Sprintf("  %d failed", l.Failed)
	}
	if l.Saturated {
		text += "  saturated"
	}
	return text
}

// Write prints the report as a table.
func (r *SoakReport) Write(w io.Writer) error {
	p := &printer{w: w}
	p.line("a load that goes on: %s recommendations/s and %s single events/s, a quarter each of what can be done of them alone", thousands(int64(r.RecommendRate)), thousands(int64(r.IngestRate)))
	p.line("%s items, %s profiles, %s sessions learned before", thousands(int64(r.Items)), thousands(int64(r.Profiles)), thousands(int64(r.Sessions)))
	p.line("%s", r.Machine.String())
	p.line("")
	p.line(soakColumns, "seconds", "live heap, MB", "resident, MB", "goroutines", "files", "recommend p99", "event p99, ms")
	for i := range r.Lines {
		p.line("%s", &r.Lines[i])
	}
	p.line("")
	for _, text := range r.Grew {
		p.line("NOT FLAT: %s", text)
	}
	if len(r.Grew) == 0 {
		p.line("flat: no figure grew from the second third to the last beyond what is allowed")
	}
	return p.err
}
