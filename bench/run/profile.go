package run

import (
	"cmp"
	"fmt"
	"io"
	"runtime/pprof"
	"slices"

	"github.com/google/pprof/profile"

	"github.com/rapport-engine/rapport/bench/page"
)

// profileCPU writes a CPU profile of what happens until stop; to nowhere where w
// is nil.
func profileCPU(w io.Writer) (stop func(), err error) {
	if w == nil {
		return func() {}, nil
	}
	if err := pprof.StartCPUProfile(w); err != nil {
		return nil, fmt.Errorf("cannot profile: %w", err)
	}
	return pprof.StopCPUProfile, nil
}

// top is the n functions of a CPU profile in which most time was spent.
func top(data []byte, n int) ([]page.Hot, error) {
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read the CPU profile: %w", err)
	}
	type times struct{ flat, full int64 }
	byName := map[string]times{}
	var all int64
	for _, s := range p.Sample {
		value := s.Value[len(s.Value)-1]
		all += value
		leaf, met := true, map[string]bool{}
		for _, l := range s.Location {
			for _, line := range l.Line {
				name := line.Function.Name
				t := byName[name]
				if leaf {
					t.flat += value
				}
				if !met[name] {
					t.full += value
				}
				leaf, met[name], byName[name] = false, true, t
			}
		}
	}
	list := make([]page.Hot, 0, len(byName))
	for name, t := range byName {
		share := func(v int64) float64 { return 100 * float64(v) / float64(max(1, all)) }
		list = append(list, page.Hot{Function: name, Flat: share(t.flat), Full: share(t.full)})
	}
	slices.SortFunc(list, func(a, b page.Hot) int {
		return cmp.Or(cmp.Compare(b.Flat, a.Flat), cmp.Compare(b.Full, a.Full), cmp.Compare(a.Function, b.Function))
	})
	return list[:min(n, len(list))], nil
}
