package delivery

import (
	"fmt"
	"maps"
	"slices"
)

// Status is how far a queue is from having delivered all that it was given.
type Status struct {
	InFlight int      // messages that are under way
	Stopped  []string // partitions that stand still, messages being missing from the log, and why
	Trouble  []string // partitions whose last attempt failed, and why
}

// Status is that of the partitions that this process has.
func (q *Queue) Status() Status {
	q.mu.Lock()
	numbers := slices.Sorted(maps.Keys(q.partitions))
	q.mu.Unlock()
	var s Status
	for _, number := range numbers {
		p := q.partition(number)
		p.mu.Lock()
		if !p.ended() {
			s.InFlight += len(p.items)
			for _, source := range slices.Sorted(maps.Keys(p.gaps)) {
				s.Stopped = append(s.Stopped, fmt.Sprintf("partition %d: %s", number, p.gaps[source].why))
			}
			if p.trouble != "" {
				s.Trouble = append(s.Trouble, fmt.Sprintf("partition %d: %s", number, p.trouble))
			}
		}
		p.mu.Unlock()
	}
	return s
}

// ended reports whether the partition was given up. It is called with mu held.
func (p *partition) ended() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// failing notes why something has to be tried again.
func (p *partition) failing(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = err.Error()
}
