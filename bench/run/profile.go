package run

import (
	"fmt"
	"io"
	"runtime/pprof"
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
