package torture

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Fault is a time in which a process died, or may have lost partitions.
type Fault struct {
	What      string
	At, Until time.Time
}

// Repeated is what came more than once.
type Repeated struct {
	Count       int            // messages
	Most        int            // at most of one partition by one fault
	By          map[string]int // by Fault.What
	Unexplained []string       // between whose arrivals nothing was injected
}

// Repeats counts the messages that came more than once, each by the first of the
// faults that was in force between its arrivals. where is each message's partition.
func Repeats(received map[string]*Receipt, where map[string]int32, faults []Fault) Repeated {
	type cause struct {
		fault     int
		partition int32
	}
	by := map[cause]int{}
	all := Repeated{By: map[string]int{}}
	for _, id := range slices.Sorted(maps.Keys(received)) {
		r := received[id]
		for i := 1; i < len(r.At); i++ {
			all.Count++
			n := slices.IndexFunc(faults, func(f Fault) bool { return !f.Until.Before(r.At[i-1]) && !f.At.After(r.At[i]) })
			if n < 0 {
				all.Unexplained = append(all.Unexplained, fmt.Sprintf("%s at %v, again at %v", id, r.At[i-1], r.At[i]))
				continue
			}
			c := cause{n, where[id]}
			by[c]++
			all.Most = max(all.Most, by[c])
			all.By[faults[n].What]++
		}
	}
	return all
}
