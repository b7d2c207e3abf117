package accuracy

import "cmp"

// Click is one item met in a session. Sessions and items are numbers from 0.
type Click struct {
	Session, Item uint32
	At            int64 // Unix ms

	Category string // in which it was met, where that is known
}

// Place is somewhere in a shop where a customer went, or something other than a view that
// a customer did with an item: the name of the event that says so, and where that is or
// the item's id.
type Place struct {
	Event, Name string
	At          int64  // Unix ms
	Item        uint32 // number of the item + 1; 0 for a place, and for an item that nobody viewed
	Did         bool   // it is about an item
}

// Question asks for what comes next in a session.
type Question struct {
	Session uint32
	Items   []uint32 // of the session so far, oldest first, with repeats; not empty
	Exclude []uint32 // never answered
	At      int64    // Unix ms
	Recent  []uint32 // items that the customer viewed last, newest first, in any session
}

// Model is what is measured. Calls come one at a time.
type Model interface {
	// Name is its key in the results.
	Name() string
	// Learn takes one click. Those of a session come in order.
	Learn(c Click)
	// Trained is called once, after the clicks that precede all questions.
	Trained()
	// Answer appends at most k items to out, best first, without repeats.
	Answer(q *Question, k int, out []uint32) []uint32
}

// Follower is a Model that learns from where customers go and what else they do, too.
type Follower interface {
	Visit(session uint32, p *Place)
}

// tally collects scores of items in an array that is emptied in no time. The zero
// value is ready.
type tally struct {
	scores []float64
	rounds []uint32
	round  uint32
	list   []uint32
}

func (t *tally) reset() { t.list, t.round = t.list[:0], t.round+1 }

// has reports whether i has a score.
func (t *tally) has(i uint32) bool { return int(i) < len(t.rounds) && t.rounds[i] == t.round }

func (t *tally) add(i uint32, score float64) {
	for int(i) >= len(t.rounds) {
		t.scores, t.rounds = append(t.scores, 0), append(t.rounds, 0)
	}
	if t.rounds[i] != t.round {
		t.rounds[i], t.scores[i] = t.round, 0
		t.list = append(t.list, i)
	}
	t.scores[i] += score
}

// best appends the k best items that are not excluded; equal ones by number.
func (t *tally) best(k int, exclude, out []uint32) []uint32 {
	begin := len(out)
	for _, i := range t.list {
		if contains(exclude, i) {
			continue
		}
		if len(out)-begin == k {
			if t.order(i, out[len(out)-1]) > 0 {
				continue
			}
			out = out[:len(out)-1]
		}
		at := len(out)
		out = append(out, i)
		for ; at > begin && t.order(i, out[at-1]) < 0; at-- {
			out[at] = out[at-1]
		}
		out[at] = i
	}
	return out
}

func (t *tally) order(a, b uint32) int {
	return cmp.Or(cmp.Compare(t.scores[b], t.scores[a]), cmp.Compare(a, b))
}

func contains(list []uint32, i uint32) bool {
	for _, x := range list {
		if x == i {
			return true
		}
	}
	return false
}

// at returns element i of a slice that grows as needed.
func at[T any](s *[]T, i uint32) *T {
	for int(i) >= len(*s) {
		var zero T
		*s = append(*s, zero)
	}
	return &(*s)[i]
}
