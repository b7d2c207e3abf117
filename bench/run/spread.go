package run

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// Spread is a figure of several rounds.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// spread is that of the rounds' values; zero without any.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Low: sorted[0], High: sorted[n-1]}
}

// String is the median with the range: "3.1 (2.8-4.0)".
func (s Spread) String() string {
	return fmt.Sprintf("%s (%s-%s)", short(s.Median), short(s.Low), short(s.High))
}

// short is a number to three digits or so.
func short(v float64) string {
	switch {
	case v >= 1000:
		return thousands(int64(v + 0.5))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// thousands is a whole number with separators: 1,483,154.
func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// ratios divides round by round.
func ratios(ours, floor []float64) []float64 {
	list := make([]float64, 0, len(ours))
	for i := range ours {
		if floor[i] > 0 {
			list = append(list, ours[i]/floor[i])
		}
	}
	return list
}

// Machine says what the figures were measured on.
type Machine struct {
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	OS    string `json:"os"`
	// Load is the machine's load average before and after: above the number of
	// cores others were at work, too.
	LoadBefore string `json:"load_before,omitempty"`
	LoadAfter  string `json:"load_after,omitempty"`
}

func thisMachine() Machine {
	return Machine{
		Cores: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH,
		LoadBefore: loadAverage(),
	}
}

// loadAverage is that of the last minute, "" where the system does not say.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// String is one line for people.
func (m *Machine) String() string {
	text := fmt.Sprintf("%d cores, %s, %s", m.Cores, m.OS, m.Go)
	if m.LoadBefore != "" {
		text += fmt.Sprintf(", load average %s before and %s after", m.LoadBefore, m.LoadAfter)
	}
	return text
}
