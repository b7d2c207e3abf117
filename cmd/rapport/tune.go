package main

import (
	"os"
	"runtime"
)

// slack is how much garbage a small heap may hold before it is collected. With
// little alive the collector would otherwise run many times a second while
// events pour in; with much it changes nothing.
const slack = 192 << 20

// newBallast counts as alive and so lets the heap grow by as much again between
// two collections. It is never touched and takes no memory itself.
func newBallast() []byte { return make([]byte, slack) }

// fewCores is up to how many cores one more thread than cores runs Go code.
const fewCores = 4

// addThread lets one more thread than there are cores run Go code where these
// are few, and GOMAXPROCS does not say otherwise. A thread that comes back from
// a system call may find itself queued behind another on a busy core, for up to
// a tick of the kernel (4 ms), while the second core falls idle: with two
// threads for two cores half of the process then stands still
// (docs/benchmarks.md has the figures).
func addThread() {
	if n := runtime.GOMAXPROCS(0); n <= fewCores && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(n + 1)
	}
}
